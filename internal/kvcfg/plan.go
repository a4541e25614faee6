package kvcfg

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Errors of planning.
var (
	// ErrTTLStays is returned when per-key TTL was to be turned off: no server
	// does that (10052, "message TTL status can not be disabled").
	ErrTTLStays = errors.New("per-key TTL can not be turned off again")
	// ErrStorageStays is returned when an edit was to change the storage.
	ErrStorageStays = errors.New("storage can not be changed")
	// ErrUnread is returned when what the origin says is needed and nobody
	// could read it.
	ErrUnread = errors.New("the origin was not read")
)

// Where the new value of a change comes from.
const (
	FromFlag    = "flag"    // the user asked for it
	FromOrigin  = "origin"  // the origin has it
	FromDerived = "derived" // another change needs it
)

// Change is one field of a configuration that becomes another. From and To are
// JSON as servers spell it; null or absent is null.
type Change struct {
	Field  string          `json:"field"`
	From   json.RawMessage `json:"from"`
	To     json.RawMessage `json:"to"`
	Source string          `json:"source"`
}

// Plan is a configuration to send and how it differs from the present one.
type Plan struct {
	Config  Raw
	Changes []Change
}

// EnablesTTL says whether the plan turns per-key TTL on.
func (p Plan) EnablesTTL() bool {
	return slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Field == "allow_msg_ttl" && string(c.To) == "true" })
}

// NewMirror is what is asked of a mirror that does not exist yet.
type NewMirror struct {
	Bucket  string
	Origin  Origin
	Filters []string // keys to mirror; none means all
	Wishes  Wishes
}

// New plans a mirror. What the wishes leave open of per-key TTL, maximum age,
// history and maximum value size is the origin's; origin is nil when it could
// not be read, which is [ErrUnread] unless the wishes say AllowMsgTTL.
//
// The rest is what every client gives a bucket (jetstream/kv.go), so that they
// all take the mirror for one, but for the duplicate window: servers call it
// invalid on a mirror and drop it when they restart, and in a cluster at once
// (server/jetstream.go, fixCfgMirrorWithDedupWindow). The errors of [Wishes.Validate] and
// [ValidateBucket] are returned as well.
func New(m NewMirror, origin *Config) (Plan, error) {
	if err := m.validate(); err != nil {
		return Plan{}, err
	}
	w := m.Wishes
	if origin == nil && w.AllowMsgTTL == nil {
		return Plan{}, ErrUnread
	}

	p := Plan{Config: Raw{}}
	put := func(field string, v any, source string) {
		if v == nil {
			return // what is not there yet cannot be taken away
		}
		p.Config.set(field, v)
		p.Changes = append(p.Changes, Change{Field: field, From: json.RawMessage("null"), To: p.Config[field], Source: source})
	}
	fixed := func(field string, v any) { p.Config.set(field, v) }
	inherit(w, origin, put)

	fixed("name", StreamName(m.Bucket))
	fixed("retention", "limits")
	fixed("discard", "new")
	fixed("max_consumers", -1)
	fixed("max_msgs", -1)
	fixed("allow_direct", true)
	switch {
	case m.Origin.External():
		fixed("mirror_direct", true)
	case origin != nil:
		// Beside the origin, the server sees to it itself (server/stream.go).
		fixed("mirror_direct", origin.AllowDirect)
	}
	fixed("allow_rollup_hdrs", true)
	fixed("deny_delete", true)
	fixed("deny_purge", false)
	put("mirror", m.Origin.source(m.Filters), FromFlag)

	fixed("storage", "file")
	fixed("num_replicas", 1)
	fixed("max_bytes", -1)
	fixed("compression", "none")
	if err := apply(w, p.Config, put); err != nil {
		return Plan{}, err
	}

	return p, nil
}

func (m NewMirror) validate() error {
	if err := ValidateBucket(m.Bucket); err != nil {
		return err
	}
	if err := ValidateBucket(m.Origin.Bucket); err != nil {
		return err
	}
	for _, f := range m.Filters {
		if err := ValidateFilter(f); err != nil {
			return err
		}
	}
	return m.Wishes.Validate()
}

// inherit puts the settings in which a mirror follows its origin.
func inherit(w Wishes, origin *Config, put func(field string, v any, source string)) {
	source := FromOrigin
	if origin == nil {
		// What clients give a bucket of which nothing is said.
		origin, source = &Config{MaxMsgsPerSubject: 1}, FromDerived
	}
	if w.AllowMsgTTL == nil {
		put("allow_msg_ttl", origin.AllowMsgTTL, source)
	}
	if w.History == nil {
		put("max_msgs_per_subject", limit(origin.MaxMsgsPerSubject), source)
	}
	if w.TTL == nil {
		put("max_age", max(origin.MaxAge, 0), source)
	}
	if w.MaxValueSize == nil {
		put("max_msg_size", limit(origin.MaxMsgSize), source)
	}
}

// apply puts the settings that were asked for into a configuration. put is
// called once for each.
func apply(w Wishes, current Raw, put func(field string, v any, source string)) error {
	if w.Description != nil {
		put("description", orNil(*w.Description), FromFlag)
	}
	if w.History != nil {
		put("max_msgs_per_subject", *w.History, FromFlag)
	}
	if w.Storage != nil {
		put("storage", *w.Storage, FromFlag)
	}
	if w.TTL != nil {
		put("max_age", *w.TTL, FromFlag)
	}
	if w.Replicas != nil {
		put("num_replicas", *w.Replicas, FromFlag)
	}
	if w.MaxValueSize != nil {
		put("max_msg_size", limit(*w.MaxValueSize), FromFlag)
	}
	if w.MaxBucketSize != nil {
		put("max_bytes", limit(*w.MaxBucketSize), FromFlag)
	}
	if w.Compress != nil {
		put("compression", compression(*w.Compress, current["compression"]), FromFlag)
	}
	if w.RePublish != nil {
		republish := Raw{"republish": current["republish"]}
		wished := map[string]any{"dest": w.RePublish.Destination}
		if w.RePublish.Source != nil {
			wished["src"] = *w.RePublish.Source
		} else if isNull(current["republish"]) {
			wished["src"] = ">"
		}
		if w.RePublish.HeadersOnly != nil {
			wished["headers_only"] = *w.RePublish.HeadersOnly
		}
		for key, value := range wished {
			if err := republish.setIn("republish", key, value); err != nil {
				return err
			}
		}
		put("republish", republish["republish"], FromFlag)
	}
	if w.AllowMsgTTL != nil {
		put("allow_msg_ttl", *w.AllowMsgTTL, FromFlag)
	}
	if w.Metadata != nil {
		metadata, err := mergedMetadata(w.Metadata, current["metadata"])
		if err != nil {
			return err
		}
		put("metadata", metadata, FromFlag)
	}
	if w.Cluster != nil || w.Tags != nil {
		placement := Raw{"placement": current["placement"]}
		if w.Cluster != nil {
			if err := placement.setIn("placement", "cluster", orNil(*w.Cluster)); err != nil {
				return err
			}
		}
		if w.Tags != nil {
			if err := placement.setIn("placement", "tags", w.Tags); err != nil {
				return err
			}
		}
		if placement["placement"] == nil {
			put("placement", nil, FromFlag)
		} else {
			put("placement", placement["placement"], FromFlag)
		}
	}
	return nil
}

// Edit plans the change of an existing mirror. Only the fields that the wishes
// name are touched, and of those only the ones that really change. With no
// wish at all, per-key TTL is turned on if the origin has it; origin is nil
// when it could not be read, which is then [ErrUnread] unless the mirror has
// per-key TTL, which nothing turns off.
//
// Errors wrap [ErrNotBucket], [ErrNotMirror], [ErrTTLStays],
// [ErrStorageStays], [ErrUnread], [ErrMalformed] or [ErrInvalidWish].
func Edit(current Raw, origin *Config, w Wishes) (Plan, error) {
	have, err := current.Config()
	if err != nil {
		return Plan{}, err
	}
	if err := CheckMirror(have); err != nil {
		return Plan{}, err
	}
	if err := w.Validate(); err != nil {
		return Plan{}, err
	}
	if w.AllowMsgTTL != nil && !*w.AllowMsgTTL && have.AllowMsgTTL {
		return Plan{}, ErrTTLStays
	}
	if w.Storage != nil && !sameValue("storage", mustJSON(*w.Storage), mustJSON(have.Storage)) {
		return Plan{}, ErrStorageStays
	}

	p := Plan{Config: maps.Clone(current)}
	put := p.changer(current)

	if w.Empty() {
		switch {
		case have.AllowMsgTTL:
		case origin == nil:
			return Plan{}, ErrUnread
		case origin.AllowMsgTTL:
			put("allow_msg_ttl", true, FromOrigin)
		}
		return p, nil
	}
	if err := apply(w, current, put); err != nil {
		return Plan{}, err
	}
	if w.TTL != nil {
		// The server refuses a max_age below the duplicate window (10052).
		put("duplicate_window", duplicateWindow(*w.TTL, have.DuplicateWindow), FromDerived)
	}
	return p, nil
}

// changer returns a function that puts a value into the plan if it is not what
// the current configuration means already.
func (p *Plan) changer(current Raw) func(field string, v any, source string) {
	return func(field string, v any, source string) {
		next := Raw{}
		next.set(field, v)
		if sameValue(field, current[field], next[field]) {
			return
		}
		// What is taken away is null in the plan, so that the comparison with the
		// server's answer finds it where it is still there.
		p.Config[field] = orNull(next[field])
		p.Changes = append(p.Changes, Change{Field: field, From: orNull(current[field]), To: p.Config[field], Source: source})
	}
}

// Against lists in which of the planned fields an existing stream differs, as
// changes from what it has to what is planned. Fields that a plan does not
// speak of are compared with what a server gives a stream by default, when a
// user can set them.
func (p Plan) Against(existing Raw) []Change {
	asked := maps.Clone(p.Config)
	for _, field := range []string{"description", "metadata", "placement", "republish", "allow_msg_ttl"} {
		if _, ok := asked[field]; !ok {
			asked[field] = json.RawMessage("null")
		}
	}
	var changes []Change
	for _, field := range asked.Differing(existing) {
		source := FromDerived
		if i := slices.IndexFunc(p.Changes, func(c Change) bool { return c.Field == field }); i >= 0 {
			source = p.Changes[i].Source
			if source == FromDerived {
				continue // a stand-in for what an unread origin would have said
			}
		}
		changes = append(changes, Change{Field: field, From: orNull(existing[field]), To: asked[field], Source: source})
	}
	return changes
}

// Followed lists the settings in which a mirror does not follow its origin, as
// changes from the mirror's value to the origin's.
func Followed(mirror, origin Config) []Change {
	var changes []Change
	compare := func(field string, have, want any) {
		from, to := mustJSON(have), mustJSON(want)
		if !sameValue(field, from, to) {
			changes = append(changes, Change{Field: field, From: from, To: to, Source: FromOrigin})
		}
	}
	compare("allow_msg_ttl", mirror.AllowMsgTTL, origin.AllowMsgTTL)
	compare("max_age", max(mirror.MaxAge, 0), max(origin.MaxAge, 0))
	compare("max_msgs_per_subject", limit(mirror.MaxMsgsPerSubject), limit(origin.MaxMsgsPerSubject))
	compare("max_msg_size", limit(mirror.MaxMsgSize), limit(origin.MaxMsgSize))
	return changes
}

// mergedMetadata is the wished metadata with the server's own keys kept.
func mergedMetadata(wished map[string]string, current json.RawMessage) (map[string]string, error) {
	merged := map[string]string{}
	if !isNull(current) {
		if err := json.Unmarshal(current, &merged); err != nil {
			return nil, fmt.Errorf("%w: metadata: %w", ErrMalformed, err)
		}
		maps.DeleteFunc(merged, func(k, _ string) bool { return !strings.HasPrefix(k, ReservedMetadata) })
	}
	maps.Copy(merged, wished)
	return merged, nil
}

// compression keeps an algorithm that is on already, whichever it is.
func compression(on bool, current json.RawMessage) any {
	var name string
	if json.Unmarshal(current, &name) == nil && name != "" && name != "none" && on {
		return name
	}
	if on {
		return "s2"
	}
	return "none"
}

// duplicateWindow is window, cut down to a bucket's maximum age.
func duplicateWindow(maxAge, window time.Duration) time.Duration {
	if maxAge > 0 && maxAge < window {
		return maxAge
	}
	return window
}

// limit spells "unlimited" as current servers do.
func limit(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orNull(data json.RawMessage) json.RawMessage {
	if len(data) == 0 {
		return json.RawMessage("null")
	}
	return data
}
