package kvcfg

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nats-kvmirror/internal/stream"
)

// Errors of planning.
var (
	// ErrTTLStays is returned when per-key TTL was to be turned off: no server
	// does that (10052, "message TTL status cannot be disabled").
	ErrTTLStays = errors.New("per-key TTL cannot be turned off again")
	// ErrStorageStays is returned when an edit was to change the storage.
	ErrStorageStays = errors.New("storage cannot be changed")
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
	Config  stream.Raw
	Changes []Change
}

// EnablesTTL says whether the plan turns per-key TTL on.
func (p Plan) EnablesTTL() bool {
	return slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Field == "allow_msg_ttl" && string(c.To) == "true" })
}

// NewMirror is what is asked of a mirror that does not exist yet.
type NewMirror struct {
	Bucket   string
	Origin   Origin
	Filters  []string // keys to mirror; none means all
	Settings Settings
}

// New plans a mirror. What the settings leave open of per-key TTL, maximum age,
// history and maximum value size is the origin's, and so are the limits of the bucket
// where the origin drops its oldest values at them; origin is nil when it could
// not be read, which is [ErrUnread] unless the settings say AllowMsgTTL.
//
// The rest is what every client gives a bucket (jetstream/kv.go), so that they
// all take the mirror for one, but for the duplicate window: servers call it
// invalid on a mirror and drop it when they restart, and in a cluster at once
// (server/jetstream.go, fixCfgMirrorWithDedupWindow). The errors of [Settings.Validate],
// [CheckRetention] and [ValidateBucket] are returned as well.
func New(m NewMirror, origin *stream.Config) (Plan, error) {
	if err := m.validate(); err != nil {
		return Plan{}, err
	}
	s := m.Settings
	if origin == nil && s.AllowMsgTTL == nil {
		return Plan{}, ErrUnread
	}
	if err := errors.Join(checkRepublish(s, origin), checkOrigin(origin)); err != nil {
		return Plan{}, err
	}

	p := Plan{Config: baseOf(m, origin)}
	put := func(field string, v any, source string) {
		if v == nil {
			return // what is not there yet cannot be taken away
		}
		p.Config.Set(field, v)
		p.Changes = slices.DeleteFunc(p.Changes, func(c Change) bool { return c.Field == field })
		p.Changes = append(p.Changes, Change{Field: field, From: json.RawMessage("null"), To: p.Config[field], Source: source})
	}
	inherit(s, origin, put)
	put("mirror", m.Origin.source(m.Filters), FromFlag)
	storage := "file"
	if s.Storage != nil {
		storage = *s.Storage
	}
	if origin != nil && DropsOldest(*origin) && s.takesLimits(*origin, storage) {
		limits := limitsBelow(*origin, storage)
		put("discard", limits.Discard, FromOrigin)
		put("max_msgs", limits.MaxMsgs, FromOrigin)
		put("max_bytes", limits.MaxBytes, FromOrigin)
	}
	if err := apply(s, p.Config, put); err != nil {
		return Plan{}, err
	}
	return p, p.choose(choices{settings: s}, origin)
}

// baseOf is what every mirror begins with.
func baseOf(m NewMirror, origin *stream.Config) stream.Raw {
	base := stream.Raw{}
	for field, v := range map[string]any{
		"name": StreamName(m.Bucket), "retention": "limits", "max_consumers": -1, "allow_direct": true, "allow_rollup_hdrs": true,
		"deny_delete": true, "deny_purge": false, "storage": "file", "num_replicas": 1, "compression": "none",
		"discard": "new", "max_msgs": -1, "max_bytes": -1,
	} {
		base.Set(field, v)
	}
	switch {
	case m.Origin.External():
		base.Set("mirror_direct", true)
	case origin != nil:
		// Beside the origin, the server does that itself (server/stream.go).
		base.Set("mirror_direct", origin.AllowDirect)
	}
	return base
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
	return m.Settings.Validate()
}

// inherit puts the settings in which a mirror follows its origin.
func inherit(s Settings, origin *stream.Config, put func(field string, v any, source string)) {
	source := FromOrigin
	if origin == nil {
		// What clients give a bucket of which nothing is said.
		origin, source = &stream.Config{MaxMsgsPerSubject: 1}, FromDerived
	}
	if s.AllowMsgTTL == nil {
		put("allow_msg_ttl", origin.AllowMsgTTL, source)
	}
	if s.History == nil {
		put("max_msgs_per_subject", stream.Limit(origin.MaxMsgsPerSubject), source)
	}
	if s.TTL == nil {
		put("max_age", max(origin.MaxAge, 0), source)
	}
	if s.MaxValueSize == nil {
		put("max_msg_size", stream.Limit(origin.MaxMsgSize), source)
	}
}

// apply puts the settings that were asked for into a configuration. put is
// called once for each.
func apply(s Settings, current stream.Raw, put func(field string, v any, source string)) error {
	if s.Description != nil {
		put("description", orNil(*s.Description), FromFlag)
	}
	if s.History != nil {
		put("max_msgs_per_subject", *s.History, FromFlag)
	}
	if s.Storage != nil {
		put("storage", *s.Storage, FromFlag)
	}
	if s.TTL != nil {
		put("max_age", *s.TTL, FromFlag)
	}
	if s.Replicas != nil {
		put("num_replicas", *s.Replicas, FromFlag)
	}
	if s.MaxValueSize != nil {
		put("max_msg_size", stream.Limit(*s.MaxValueSize), FromFlag)
	}
	if s.MaxBucketSize != nil {
		put("max_bytes", stream.Limit(*s.MaxBucketSize), FromFlag)
	}
	if s.Compress != nil {
		put("compression", compression(*s.Compress, current["compression"]), FromFlag)
	}
	if s.RePublish != nil {
		republish, err := s.RePublish.over(current["republish"])
		if err != nil {
			return err
		}
		put("republish", republish, FromFlag)
	}
	if s.AllowMsgTTL != nil {
		put("allow_msg_ttl", *s.AllowMsgTTL, FromFlag)
	}
	if s.Metadata != nil {
		metadata, err := mergedMetadata(s.Metadata, current["metadata"])
		if err != nil {
			return err
		}
		put("metadata", metadata, FromFlag)
	}
	if s.Cluster != nil || s.Tags != nil {
		placement, err := s.placement(current["placement"])
		if err != nil {
			return err
		}
		put("placement", placement, FromFlag)
	}
	return nil
}

// over is a republishing with what is set of it.
func (r *RePublishSettings) over(current json.RawMessage) (any, error) {
	republish := stream.Raw{"republish": current}
	set := map[string]any{"dest": r.Destination}
	if r.Source != nil {
		set["src"] = *r.Source
	} else if stream.IsNull(current) {
		set["src"] = ">"
	}
	if r.HeadersOnly != nil {
		set["headers_only"] = *r.HeadersOnly
	}
	for key, value := range set {
		if err := republish.SetIn("republish", key, value); err != nil {
			return nil, err
		}
	}
	return republish["republish"], nil
}

// placement is a placement with what is set of it; nil when nothing is left of it.
func (s Settings) placement(current json.RawMessage) (any, error) {
	placement := stream.Raw{"placement": current}
	if s.Cluster != nil {
		if err := placement.SetIn("placement", "cluster", orNil(*s.Cluster)); err != nil {
			return nil, err
		}
	}
	if s.Tags != nil {
		if err := placement.SetIn("placement", "tags", s.Tags); err != nil {
			return nil, err
		}
	}
	if left, ok := placement["placement"]; ok {
		return left, nil
	}
	return nil, nil
}

// Update is a plan that changes nothing of a configuration yet.
func Update(current stream.Raw) Plan { return Plan{Config: maps.Clone(current)} }

// Set puts a value into the plan if it is not what the configuration means already.
// A nil v takes the field away. Of a field that is set twice, the last value counts.
func (p *Plan) Set(field string, v any, source string) {
	next := stream.Raw{}
	next.Set(field, v)
	if stream.SameValue(field, p.Config[field], next[field]) {
		return
	}
	change := Change{Field: field, From: orNull(p.Config[field]), To: orNull(next[field]), Source: source}
	if i := slices.IndexFunc(p.Changes, func(c Change) bool { return c.Field == field }); i >= 0 {
		change.From = p.Changes[i].From
		p.Changes = slices.Delete(p.Changes, i, i+1)
	}
	// What is taken away is null in the plan, so that the comparison with the
	// server's answer finds it where it was kept.
	p.Config[field] = change.To
	if !stream.SameValue(field, change.From, change.To) {
		p.Changes = append(p.Changes, change)
	}
}

// Unchangeable lists in what an existing mirror differs from the planned one that no
// update can change: where it is stored, and what it reads.
func (p Plan) Unchangeable(existing stream.Raw) []Change {
	var changes []Change
	for _, field := range []string{"mirror", "storage"} {
		if !stream.SameValue(field, p.Config[field], existing[field]) {
			changes = append(changes, Change{Field: field, From: orNull(existing[field]), To: orNull(p.Config[field]), Source: FromFlag})
		}
	}
	return changes
}

// mergedMetadata is the metadata that was asked for, with the keys of the server and of
// this program kept.
func mergedMetadata(asked map[string]string, current json.RawMessage) (map[string]string, error) {
	merged := map[string]string{}
	if !stream.IsNull(current) {
		if err := json.Unmarshal(current, &merged); err != nil {
			return nil, fmt.Errorf("%w: metadata: %w", stream.ErrMalformed, err)
		}
		maps.DeleteFunc(merged, func(k, _ string) bool {
			return !strings.HasPrefix(k, stream.ReservedMetadata) && !strings.HasPrefix(k, OwnMetadata)
		})
	}
	maps.Copy(merged, asked)
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

// DuplicateWindow is window, cut down to a bucket's maximum age.
func DuplicateWindow(maxAge, window time.Duration) time.Duration {
	if maxAge > 0 && maxAge < window {
		return maxAge
	}
	return window
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
