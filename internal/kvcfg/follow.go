package kvcfg

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"nats-kvmirror/internal/stream"
)

// OwnMetadata is the prefix of the metadata keys that are this program's.
const OwnMetadata = "nats-kvmirror."

// ChosenKey is the metadata key of a mirror that lists the settings, sorted and
// separated by commas, in which it differs from its origin because a flag set them.
const ChosenKey = OwnMetadata + "chosen"

// Followed compares the settings in which a mirror follows its origin, as changes
// from the mirror's value to the origin's: differs are those that nobody chose, and
// chosen are those that a flag set. It is the one answer to whether a mirror follows.
//
// The settings are per-key TTL, maximum age, history and maximum value size and,
// below an origin that drops its oldest values at a limit ([DropsOldest]), the limits
// of the whole bucket; a limit that only the mirror has
// is the site's own. Per-key TTL that only the mirror has is no difference: it
// cannot be turned off, and no TTL comes from an origin without it. It is one where
// the origin's server ignores TTLs ([IgnoresTTL]).
func Followed(mirror, origin stream.Config) (differs, chosen []Change) {
	for _, c := range unequal(mirror, origin) {
		switch {
		case IsChosen(mirror, c.Field):
			chosen = append(chosen, c)
		case c.Field == "allow_msg_ttl" && mirror.AllowMsgTTL && !IgnoresTTL(origin):
		case slices.Contains(limitFields(), c.Field) && !DropsOldest(origin):
		default:
			differs = append(differs, c)
		}
	}
	return differs, chosen
}

// unequal lists the followed settings that are not the same on both sides.
func unequal(mirror, origin stream.Config) []Change {
	var changes []Change
	compare := func(field string, have, want any) {
		if have != want {
			changes = append(changes, Change{Field: field, From: stream.JSON(have), To: stream.JSON(want), Source: FromOrigin})
		}
	}
	compare("allow_msg_ttl", mirror.AllowMsgTTL, origin.AllowMsgTTL)
	compare("max_age", max(mirror.MaxAge, 0), max(origin.MaxAge, 0))
	compare("max_msgs_per_subject", stream.Limit(mirror.MaxMsgsPerSubject), stream.Limit(origin.MaxMsgsPerSubject))
	compare("max_msg_size", stream.Limit(mirror.MaxMsgSize), stream.Limit(origin.MaxMsgSize))
	if !DropsOldest(mirror) && !DropsOldest(origin) {
		return changes
	}
	limits := limitsBelow(origin, mirror.Storage)
	discard := "old"
	if mirror.Discard != "" {
		discard = mirror.Discard
	}
	compare("max_msgs", stream.Limit(mirror.MaxMsgs), limits.MaxMsgs)
	compare("max_bytes", stream.Limit(mirror.MaxBytes), limits.MaxBytes)
	compare("discard", discard, limits.Discard)
	return changes
}

// limitsBelow are the limits of the whole bucket that a mirror of this origin has in
// this storage: the origin's where it drops its oldest values at them, and otherwise
// none, because a mirror that reaches one stops. A message counts up to 18 bytes more
// in a file than in memory, and no less than 23 there (server/filestore.go,
// server/memstore.go): twice as many bytes hold all that the origin holds.
func limitsBelow(origin stream.Config, storage string) stream.Config {
	if !DropsOldest(origin) {
		return stream.Config{MaxMsgs: -1, MaxBytes: -1, Discard: "new"}
	}
	limits := stream.Config{MaxMsgs: stream.Limit(origin.MaxMsgs), MaxBytes: stream.Limit(origin.MaxBytes), Discard: "old"}
	if limits.MaxBytes > 0 && origin.Storage == "memory" && storage != "memory" {
		limits.MaxBytes = 2 * min(limits.MaxBytes, math.MaxInt64/2)
	}
	return limits
}

// CountsOtherwise says whether an origin drops its oldest values at a number of bytes
// that its mirror, in another storage, counts otherwise: it then holds more by design.
func CountsOtherwise(mirror, origin stream.Config) bool {
	return DropsOldest(origin) && origin.MaxBytes > 0 && (mirror.Storage == "memory") != (origin.Storage == "memory")
}

// DropsOldest says whether a bucket drops its oldest values when it reaches a limit.
func DropsOldest(c stream.Config) bool {
	return c.Discard != "new" && (c.MaxMsgs > 0 || c.MaxBytes > 0)
}

// IgnoresTTL says whether an origin's server is older than per-key TTL: it stores a
// TTL as a header like any other. Servers from 2.11 on put into each stream's metadata
// what it requires and, unless it is in a list, their version.
func IgnoresTTL(origin stream.Config) bool {
	for key := range origin.Metadata {
		if strings.HasPrefix(key, stream.ReservedMetadata) {
			return false
		}
	}
	return true
}

// Chosen are the settings of which a mirror's metadata says that a flag set them to
// a value other than the origin's. The limits of the whole bucket are chosen together,
// as max_bytes.
func Chosen(mirror stream.Config) []string {
	return strings.FieldsFunc(mirror.Metadata[ChosenKey], func(r rune) bool { return r == ',' || r == ' ' })
}

// IsChosen says whether a field of a mirror is one of those that are [Chosen].
func IsChosen(mirror stream.Config, field string) bool {
	if field == "max_msgs" || field == "discard" {
		field = "max_bytes"
	}
	return mirror.Metadata[ChosenKey] != "" && slices.Contains(Chosen(mirror), field)
}

// Follow lists what makes a mirror follow its origin in some fields, whether they were
// chosen or not. Per-key TTL is not turned off, because no server does that.
func Follow(mirror, origin stream.Config, fields ...string) []Change {
	var changes []Change
	for _, c := range unequal(mirror, origin) {
		if !slices.Contains(fields, c.Field) || c.Field == "allow_msg_ttl" && mirror.AllowMsgTTL {
			continue
		}
		changes = append(changes, c)
		if window := DuplicateWindow(origin.MaxAge, mirror.DuplicateWindow); c.Field == "max_age" && window != mirror.DuplicateWindow {
			// Servers refuse a max_age below the duplicate window (10052).
			changes = append(changes, Change{Field: "duplicate_window", From: stream.JSON(mirror.DuplicateWindow), To: stream.JSON(window), Source: FromDerived})
		}
	}
	return changes
}

// limitFields are the limits of the whole bucket.
func limitFields() []string { return []string{"max_msgs", "max_bytes", "discard"} }

// FollowField is the field of a setting in which a mirror follows its origin, by the
// name that people, or a configuration, have for it. The error wraps
// [ErrInvalidSetting].
func FollowField(name string) (string, error) {
	switch name {
	case "ttl", "max-age", "max_age":
		return "max_age", nil
	case "history", "max_msgs_per_subject":
		return "max_msgs_per_subject", nil
	case "max-value-size", "max_msg_size":
		return "max_msg_size", nil
	case "allow-msg-ttl", "per-key-ttl", "allow_msg_ttl":
		return "allow_msg_ttl", nil
	case "max-bucket-size", "max_bytes":
		return "max_bytes", nil
	}
	return "", fmt.Errorf("%w: %q is none of %s", ErrInvalidSetting, name, strings.Join(FollowNames(), ", "))
}

// FollowNames are the names of the settings in which a mirror follows its origin.
func FollowNames() []string {
	return []string{"ttl", "history", "max-value-size", "allow-msg-ttl", "max-bucket-size"}
}

// choices are what decides which settings are chosen from then on.
type choices struct {
	settings Settings // those that were asked for
	follow   []string // fields in which the origin is to be followed again
	keep     bool     // leave a choice that has become the origin's value
}

// choose writes into a plan's metadata which settings are chosen: those of before, and
// those that a flag sets to a value other than the origin's; not those in which the
// origin is followed again. What an origin that was not read has is not known: what a
// flag sets then counts as chosen, but for per-key TTL, of which somebody has to decide
// in order to go on.
func (p *Plan) choose(c choices, origin *stream.Config) error {
	after, err := p.Config.Config()
	if err != nil {
		return err
	}
	before := Chosen(after)
	chosen := map[string]bool{}
	for _, field := range before {
		chosen[field] = !slices.Contains(c.follow, field)
	}
	for _, field := range c.settings.followed() {
		switch {
		case origin == nil:
			chosen[field] = chosen[field] || field != "allow_msg_ttl" && field != "max_bytes"
		case slices.ContainsFunc(unequal(after, *origin), func(c Change) bool { return c.Field == field }):
			chosen[field] = true
		case !c.keep:
			chosen[field] = false
		}
	}
	maps.DeleteFunc(chosen, func(_ string, is bool) bool { return !is })
	list := slices.Sorted(maps.Keys(chosen))
	if slices.Sort(before); slices.Equal(list, slices.Compact(before)) {
		return nil
	}
	var value any
	if len(list) > 0 {
		value = strings.Join(list, ",")
	}
	metadata := stream.Raw{"metadata": p.Config["metadata"]}
	if err := metadata.SetIn("metadata", ChosenKey, value); err != nil {
		return err
	}
	p.Set("metadata", metadata["metadata"], FromDerived)
	return nil
}
