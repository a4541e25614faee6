package content

import (
	"slices"
	"strings"

	"nats-kvmirror/internal/stream"
)

// The followed settings that a user may choose differently from the origin's.
const (
	fieldTTL     = "allow_msg_ttl"
	fieldMaxAge  = "max_age"
	fieldHistory = "max_msgs_per_subject"
)

// chosen says whether a mirror's setting is unlike its origin's by choice, as its
// metadata records it.
func chosen(mirror stream.Config, field string) bool {
	fields := strings.Split(mirror.Metadata["nats-kvmirror.chosen"], ",")
	return slices.ContainsFunc(fields, func(f string) bool { return strings.TrimSpace(f) == field })
}
