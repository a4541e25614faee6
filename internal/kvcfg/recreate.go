package kvcfg

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"nats-kvmirror/internal/stream"
)

// ErrRenames is returned for a mirror that renames keys, whose filters or origin
// cannot be changed without losing that.
var ErrRenames = errors.New("the mirror renames keys")

// ErrNoPrefix is returned for an origin on which messages are to arrive on a prefix, and
// that is behind none.
var ErrNoPrefix = errors.New("the origin is behind no API prefix, so it takes no deliver prefix")

// Recreation is what a mirror that is deleted and created again is to have other
// than before.
type Recreation struct {
	Origin  Origin   // that it is to have, which may be the one that it has
	Filters []string // keys to mirror; nil for those of before
	// Settings are those that change. Per-key TTL of which they say nothing is what it was, or
	// on if the origin has it and nothing else was chosen.
	Settings Settings
}

// Recreate plans the mirror that takes the place of current. All that the
// recreation does not name stays as it was, also fields that this program does
// not know. found is the configuration of the recreation's origin. The errors are
// those of [CheckMirror], [CheckRetention], [ValidateFilter] and [Settings.Validate],
// [ErrRenames], [ErrNoPrefix] and [stream.ErrMalformed].
func Recreate(current stream.Raw, r Recreation, found stream.Config) (Plan, error) {
	have, err := current.Config()
	if err != nil {
		return Plan{}, err
	}
	was, err := OriginOf(have)
	if err != nil {
		return Plan{}, err
	}
	if r.Origin != was && r.Origin.DeliverPrefix != "" && !r.Origin.External() {
		return Plan{}, fmt.Errorf("bucket %q: %w", DisplayName(have.Name), ErrNoPrefix)
	}
	if err := CheckRetention(found); err != nil {
		return Plan{}, err
	}
	p := Update(current)
	if r.Origin != was || r.Filters != nil {
		filters, err := filtersFor(have, was, r.Filters)
		if err != nil {
			return Plan{}, err
		}
		source := r.Origin.source(filters)
		if r.Origin == was {
			source.OptStartSeq, source.OptStartTime = have.Mirror.OptStartSeq, have.Mirror.OptStartTime
		}
		p.Set("mirror", source, FromFlag)
		// Beside its origin, the server does that itself (server/stream.go).
		p.Set("mirror_direct", r.Origin.External() || found.AllowDirect, FromDerived)
	}
	if r.Settings.AllowMsgTTL == nil && found.AllowMsgTTL && !IsChosen(have, "allow_msg_ttl") {
		p.Set("allow_msg_ttl", true, FromOrigin)
	}
	if err := errors.Join(r.Settings.Validate(), apply(r.Settings, current, p.Set)); err != nil {
		return Plan{}, err
	}
	if err := p.choose(choices{settings: r.Settings}, &found); err != nil {
		return Plan{}, err
	}
	return p, forCreation(p.Config)
}

// filtersFor are the keys that a mirror is to take: those that are wished for, or
// those that it takes.
func filtersFor(have stream.Config, was Origin, wished []string) ([]string, error) {
	for _, f := range wished {
		if err := ValidateFilter(f); err != nil {
			return nil, err
		}
	}
	if rename, ok := have.Rename(); !ok || rename != nil {
		return nil, fmt.Errorf("bucket %q: %w", DisplayName(have.Name), ErrRenames)
	}
	if wished != nil {
		return wished, nil
	}
	var filters []string
	for _, subject := range have.Filters() {
		key, ok := strings.CutPrefix(subject, "$KV."+was.Bucket+".")
		if !ok {
			return nil, fmt.Errorf("bucket %q: %w: it takes %q", DisplayName(have.Name), ErrRenames, subject)
		}
		filters = append(filters, key)
	}
	return filters, nil
}

// forCreation takes away what a server says of a stream of its own and what it
// refuses or drops when a mirror is created.
func forCreation(r stream.Raw) error {
	delete(r, "duplicate_window")
	if stream.IsNull(r["metadata"]) {
		return nil
	}
	metadata, err := stream.ParseRaw(r["metadata"])
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	maps.DeleteFunc(metadata, func(k string, _ json.RawMessage) bool { return strings.HasPrefix(k, stream.ReservedMetadata) })
	if len(metadata) == 0 {
		delete(r, "metadata")
	} else {
		r.Set("metadata", metadata)
	}
	return nil
}

// ForCreation is a configuration as it is sent to create the mirror again. The
// error wraps [stream.ErrMalformed].
func ForCreation(config stream.Raw) (stream.Raw, error) {
	c := maps.Clone(config)
	return c, forCreation(c)
}
