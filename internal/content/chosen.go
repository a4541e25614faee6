package content

import (
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// The followed settings that a user may choose differently from the origin's.
const (
	fieldTTL     = "allow_msg_ttl"
	fieldMaxAge  = "max_age"
	fieldHistory = "max_msgs_per_subject"
)

// chosen says whether a mirror's setting differs from its origin's by choice.
func chosen(mirror stream.Config, field string) bool { return kvcfg.IsChosen(mirror, field) }
