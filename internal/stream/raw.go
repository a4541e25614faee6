package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// ErrMalformed is returned for a configuration that is not a JSON object or
// whose fields have types that no server gives them.
var ErrMalformed = errors.New("malformed stream configuration")

// ReservedMetadata is the prefix of the metadata keys that belong to the server
// (ADR-44); it sets them itself, whatever a client sends.
const ReservedMetadata = "_nats."

// Raw is a stream configuration as the server spells it: each field's JSON by
// its name. Values are never decoded and encoded again on the way through, so
// unknown fields and large numbers stay what they were.
type Raw map[string]json.RawMessage

// ParseRaw reads a configuration. The error wraps [ErrMalformed].
func ParseRaw(data []byte) (Raw, error) {
	var raw Raw
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if raw == nil {
		return nil, fmt.Errorf("%w: not an object", ErrMalformed)
	}
	return raw, nil
}

// Config decodes the fields that this program knows. The error wraps
// [ErrMalformed].
func (r Raw) Config() (Config, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return c, nil
}

// Set stores v under field; a nil v takes the field away.
func (r Raw) Set(field string, v any) {
	if v == nil {
		delete(r, field)
		return
	}
	r[field] = JSON(v)
}

// SetIn stores v under key of the object in field, leaving the object's other
// keys alone; an empty object is taken away. The error wraps [ErrMalformed].
func (r Raw) SetIn(field, key string, v any) error {
	inner := Raw{}
	if current, ok := r[field]; ok && !IsNull(current) {
		parsed, err := ParseRaw(current)
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		inner = parsed
	}
	inner.Set(key, v)
	if len(inner) == 0 {
		delete(r, field)
		return nil
	}
	r.Set(field, inner)
	return nil
}

// NotIn returns the names, sorted, of the fields of r that do not mean the same in
// got. A field that the server left out, null and a zero value
// are the same thing, as are the spellings of "unlimited"; the server's own
// metadata does not count. Of a mirror, neither does the duplicate window, which
// servers drop (server/jetstream.go, fixCfgMirrorWithDedupWindow), nor, beside
// its origin, mirror_direct, which they take from the origin's allow_direct
// (server/stream.go).
func (r Raw) NotIn(got Raw) []string {
	var fields []string
	for _, field := range slices.Sorted(maps.Keys(r)) {
		if r.serverDecides(field) {
			continue
		}
		if !SameValue(field, r[field], got[field]) {
			fields = append(fields, field)
		}
	}
	return fields
}

// Diff returns the names, sorted, of the fields that do not mean the same in both
// configurations of a stream, whichever of them has the field.
func (r Raw) Diff(other Raw) []string {
	fields := append(r.NotIn(other), other.NotIn(r)...)
	slices.Sort(fields)
	return slices.Compact(fields)
}

// serverDecides says whether a server sets a field of this mirror as it likes.
func (r Raw) serverDecides(field string) bool {
	var mirror struct {
		External json.RawMessage `json:"external"`
	}
	if IsNull(r["mirror"]) || json.Unmarshal(r["mirror"], &mirror) != nil {
		return false
	}
	return field == "duplicate_window" || field == "mirror_direct" && IsNull(mirror.External)
}

// SameValue says whether two spellings of a field mean the same to a server.
func SameValue(field string, a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	return reflect.DeepEqual(canonical(field, a), canonical(field, b))
}

// canonical decodes a field's value to a form in which equal meaning is deep
// equality: defaults filled in as the server does (server/stream.go,
// checkStreamCfg), empty values taken away.
func canonical(field string, data json.RawMessage) any {
	v, ok := decode(data)
	if !ok {
		return string(data)
	}
	if field == "metadata" {
		return withoutReserved(v) // an empty value there is a value
	}
	v = prune(v)
	switch field {
	case "max_bytes", "max_msgs", "max_msg_size", "max_consumers", "max_msgs_per_subject":
		if v == nil {
			return json.Number("-1")
		}
	case "num_replicas":
		if v == nil {
			return json.Number("1")
		}
	case "compression":
		if v == nil {
			return "none"
		}
	case "retention":
		if v == nil {
			return "limits"
		}
	case "storage":
		if v == nil {
			return "file"
		}
	case "discard":
		if v == nil {
			return "old"
		}
	case "republish":
		if m, ok := v.(map[string]any); ok && m["src"] == nil {
			m["src"] = ">"
		}
	}
	return v
}

func decode(data json.RawMessage) (any, bool) {
	if len(data) == 0 {
		return nil, true
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	return v, true
}

// prune turns empty values into nil and drops them from objects. Elements of
// arrays keep their places.
func prune(v any) any {
	switch x := v.(type) {
	case bool:
		if !x {
			return nil
		}
	case string:
		if x == "" {
			return nil
		}
	case json.Number:
		if x == "0" {
			return nil
		}
	case []any:
		if len(x) == 0 {
			return nil
		}
		for i := range x {
			x[i] = prune(x[i])
		}
	case map[string]any:
		for k, inner := range x {
			if p := prune(inner); p == nil {
				delete(x, k)
			} else {
				x[k] = p
			}
		}
		if len(x) == 0 {
			return nil
		}
	}
	return v
}

func withoutReserved(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	maps.DeleteFunc(m, func(k string, _ any) bool { return strings.HasPrefix(k, ReservedMetadata) })
	if len(m) == 0 {
		return nil
	}
	return m
}

// IsNull says whether a field has no value.
func IsNull(data json.RawMessage) bool {
	return len(data) == 0 || string(bytes.TrimSpace(data)) == "null"
}

// JSON encodes a value that cannot fail to be encoded: one of the types of a
// configuration.
func JSON(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("stream: cannot encode %T: %v", v, err))
	}
	return data
}

// Limit spells "unlimited", which old servers call 0, as current ones do: -1.
func Limit(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}

// Difference is a field that is not as it was asked for.
type Difference struct {
	Field      string
	Have, Want json.RawMessage // nil when absent
}

// Differences are those of some fields between what a stream has and what was asked.
func Differences(fields []string, have, want Raw) []Difference {
	var all []Difference
	for _, field := range fields {
		all = append(all, Difference{field, have[field], want[field]})
	}
	return all
}
