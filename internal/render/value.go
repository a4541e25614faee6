package render

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/nats-io/natscli/columns"

	"nats-kvmirror/internal/kvcfg"
)

// Differences writes changes field by field, old values before new ones.
func Differences(w io.Writer, changes []kvcfg.Change) error {
	var b strings.Builder
	b.WriteString("Differences (-old +new):\n")
	for _, c := range changes {
		note := ""
		if c.Source == kvcfg.FromOrigin {
			note = "  (as the origin)"
		}
		fmt.Fprintf(&b, "- %s: %s\n+ %s: %s%s\n", c.Field, Value(c.Field, c.From), c.Field, Value(c.Field, c.To), note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Label is the name for people of a field of a configuration.
func Label(field string) string {
	switch field {
	case "allow_msg_ttl":
		return "Per-Key TTL"
	case "max_age":
		return "Maximum Age"
	case "max_msgs_per_subject":
		return "History"
	case "max_msg_size":
		return "Maximum Value Size"
	case "max_bytes":
		return "Maximum Bucket Size"
	case "max_msgs":
		return "Maximum Messages"
	case "discard":
		return "Discard"
	}
	return Clean(field)
}

// Value is a field's value for people: sizes and durations in their units. No
// value at all is the same as null.
func Value(field string, data json.RawMessage) string {
	var n int64
	none := len(data) == 0 || string(data) == "null"
	switch {
	case field == "allow_msg_ttl" && none:
		return "false"
	case none:
		return "none"
	case field == "metadata":
		return metadataValue(data)
	case json.Unmarshal(data, &n) != nil:
		return Clean(unescaped(data))
	}
	switch field {
	case "max_age":
		return ageOrUnlimited(time.Duration(n))
	case "duplicate_window", "subject_delete_marker_ttl":
		return columns.F(time.Duration(n))
	case "max_msg_size", "max_bytes":
		return bytesOrUnlimited(n)
	case "max_msgs", "max_msgs_per_subject", "max_consumers":
		if n <= 0 {
			return "unlimited"
		}
	}
	return columns.F(n)
}

func bytesOrUnlimited(n int64) string {
	if n <= 0 {
		return "unlimited"
	}
	return humanize.IBytes(uint64(n))
}

func ageOrUnlimited(d time.Duration) string {
	if d <= 0 {
		return "unlimited"
	}
	return columns.F(d)
}

// unescaped is JSON with <, > and & as themselves: servers escape them, and
// subjects are full of them.
func unescaped(data json.RawMessage) string {
	// The first pair keeps an escaped backslash from being taken for more.
	return strings.NewReplacer(`\\`, `\\`, `\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(data))
}

// metadataValue is metadata in one line, without the server's own.
func metadataValue(data json.RawMessage) string {
	var metadata map[string]string
	if json.Unmarshal(data, &metadata) != nil {
		return Clean(string(data))
	}
	shown := withoutReserved(metadata)
	if len(shown) == 0 {
		return "none"
	}
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(shown)) {
		pairs = append(pairs, k+"="+shown[k])
	}
	return strings.Join(pairs, ", ")
}
