package kvcfg

import (
	"fmt"
	"slices"

	"nats-kvmirror/internal/stream"
)

// Edits is what to change of a mirror that exists.
type Edits struct {
	Settings Settings
	// Follow are fields (see [FollowField]) in which the mirror is to follow its
	// origin again: what was chosen of them is taken back.
	Follow []string
	// InLine says that the mirror is also to follow its origin in all that nobody
	// chose. An edit that asks for nothing else means that.
	InLine bool
	// Usable turns on what every mirror needs: roll-ups, direct get and, of an origin
	// elsewhere, that it answers for it; and that single messages cannot be deleted.
	Usable bool
	// KeepChosen leaves a choice whose value has become the origin's.
	KeepChosen bool
}

// inLine says whether the mirror is to follow its origin in all that nobody chose.
func (e Edits) inLine() bool { return e.InLine || e.Settings.Empty() && len(e.Follow) == 0 }

// Edit plans the change of an existing mirror. Only the fields that the edits name are
// touched, and of those only the ones that really change; origin is nil when it could
// not be read, which is [ErrUnread] where its values are needed. A value that a flag
// sets, and that is not the origin's, is recorded as chosen ([ChosenKey]).
//
// Errors wrap [ErrNotBucket], [ErrNotMirror], [ErrTTLStays],
// [ErrStorageStays], [ErrUnread], [stream.ErrMalformed] or [ErrInvalidSetting].
func Edit(current stream.Raw, origin *stream.Config, e Edits) (Plan, error) {
	have, err := current.Config()
	if err != nil {
		return Plan{}, err
	}
	if err := CheckMirror(have); err != nil {
		return Plan{}, err
	}
	if err := e.validate(have); err != nil {
		return Plan{}, err
	}
	if err := checkRepublish(e.Settings, origin); err != nil {
		return Plan{}, err
	}
	if origin == nil && (e.inLine() || len(e.Follow) > 0) {
		return Plan{}, ErrUnread
	}
	p := Update(current)
	s := e.Settings
	if origin != nil {
		for _, c := range Follow(have, *origin, e.fields(have, *origin)...) {
			p.Set(c.Field, c.To, c.Source)
		}
	}
	if e.Usable {
		p.makeUsable(have)
	}
	if err := apply(s, current, p.Set); err != nil {
		return Plan{}, err
	}
	if s.TTL != nil {
		// The server refuses a max_age below the duplicate window (10052).
		p.Set("duplicate_window", DuplicateWindow(*s.TTL, have.DuplicateWindow), FromDerived)
	}
	if err := p.choose(choices{settings: s, follow: e.Follow, keep: e.KeepChosen}, origin); err != nil {
		return Plan{}, err
	}
	return p, nil
}

// makeUsable turns on what every mirror needs. Roll-ups require that messages can be
// purged, and no update gives that back (server/stream.go); a mirror that was silenced
// stays so.
func (p *Plan) makeUsable(have stream.Config) {
	if !have.DenyPurge {
		p.Set("allow_rollup_hdrs", true, FromDerived)
	}
	p.Set("deny_delete", true, FromDerived)
	p.Set("allow_direct", true, FromDerived)
	if have.Mirror.External != nil && have.Metadata[Silenced] == "" {
		p.Set("mirror_direct", true, FromDerived)
	}
}

func (e Edits) validate(have stream.Config) error {
	s := e.Settings
	if err := s.Validate(); err != nil {
		return err
	}
	for _, field := range e.Follow {
		if slices.Contains(s.followed(), field) {
			return fmt.Errorf("%w: %s is set, and is to follow the origin", ErrInvalidSetting, field)
		}
	}
	switch {
	case s.AllowMsgTTL != nil && !*s.AllowMsgTTL && have.AllowMsgTTL:
		return ErrTTLStays
	case s.Storage != nil && !stream.SameValue("storage", stream.JSON(*s.Storage), stream.JSON(have.Storage)):
		return ErrStorageStays
	}
	return nil
}

// fields are those in which the mirror is to get its origin's values. What a flag sets
// is not among them, but for the rest of the limits of a bucket whose size is set to
// the origin's.
func (e Edits) fields(have, origin stream.Config) []string {
	fields := slices.Clone(e.Follow)
	if e.inLine() {
		differs, _ := Followed(have, origin)
		for _, c := range differs {
			fields = append(fields, c.Field)
		}
		if DropsOldest(origin) && e.Settings.MaxBucketSize != nil && e.Settings.takesLimits(origin, have.Storage) {
			fields = append(fields, limitFields()...)
		}
	}
	if slices.Contains(fields, "max_bytes") {
		fields = append(fields, limitFields()...)
	}
	if !e.Settings.takesLimits(origin, have.Storage) {
		fields = slices.DeleteFunc(fields, func(f string) bool { return slices.Contains(limitFields(), f) })
	}
	return slices.DeleteFunc(fields, func(f string) bool { return f != "max_bytes" && slices.Contains(e.Settings.followed(), f) })
}
