package kvcfg

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nats-kvmirror/internal/stream"
)

// ErrInvalidSetting is returned for a value that no server accepts, whatever the
// bucket is.
var ErrInvalidSetting = errors.New("invalid value")

const (
	// MaxHistory is the largest history of a bucket (ADR-8).
	MaxHistory = 64
	// MaxReplicas is the largest number of replicas of a stream
	// (server/stream.go, StreamMaxReplicas).
	MaxReplicas = 5
	// minMaxAge is the smallest max_age but zero (server/stream.go).
	minMaxAge = 100 * time.Millisecond
)

// Settings are the settings that a user asked for; nil is "not said". Zero sizes
// and durations mean unlimited.
type Settings struct {
	Description   *string
	History       *int64         // values per key, 1 to MaxHistory
	Storage       *string        // "file" or "memory"; only for a new mirror
	TTL           *time.Duration // max_age: 0, or 100 ms and more
	Replicas      *int64         // 1 to MaxReplicas
	MaxValueSize  *int64         // bytes, to 2 GiB - 1
	MaxBucketSize *int64         // bytes
	Tags          []string
	Cluster       *string
	Compress      *bool
	Metadata      map[string]string // replaces all that is not the server's or this program's own
	RePublish     *RePublishSettings
	AllowMsgTTL   *bool
}

// RePublishSettings is what is asked of the republishing of what a mirror stores; of
// an existing one, what is not said stays.
type RePublishSettings struct {
	Source      *string // default: all
	Destination string
	HeadersOnly *bool // default: no
}

// Empty says whether nothing at all was asked for.
func (s Settings) Empty() bool {
	return s.Description == nil && s.History == nil && s.Storage == nil && s.TTL == nil && s.Replicas == nil &&
		s.MaxValueSize == nil && s.MaxBucketSize == nil && s.Tags == nil && s.Cluster == nil && s.Compress == nil &&
		s.Metadata == nil && s.RePublish == nil && s.AllowMsgTTL == nil
}

// Validate returns an error that wraps [ErrInvalidSetting] for the first value
// that is out of its range.
func (s Settings) Validate() error {
	invalid := func(format string, a ...any) error {
		return fmt.Errorf("%w: %s", ErrInvalidSetting, fmt.Sprintf(format, a...))
	}
	switch {
	case s.History != nil && (*s.History < 1 || *s.History > MaxHistory):
		return invalid("history %d is not between 1 and %d", *s.History, MaxHistory)
	case s.Replicas != nil && (*s.Replicas < 1 || *s.Replicas > MaxReplicas):
		return invalid("replicas %d is not between 1 and %d", *s.Replicas, MaxReplicas)
	case s.TTL != nil && *s.TTL != 0 && *s.TTL < minMaxAge:
		return invalid("ttl %v is below %v, the shortest that a server keeps", *s.TTL, minMaxAge)
	case s.MaxValueSize != nil && (*s.MaxValueSize < 0 || *s.MaxValueSize > 1<<31-1):
		return invalid("max value size %d is not between 0 and %d", *s.MaxValueSize, 1<<31-1)
	case s.MaxBucketSize != nil && *s.MaxBucketSize < 0:
		return invalid("max bucket size %d is negative", *s.MaxBucketSize)
	case s.Storage != nil && *s.Storage != "file" && *s.Storage != "memory":
		return invalid("storage %q is neither file nor memory", *s.Storage)
	case slices.Contains(s.Tags, ""):
		return invalid("a placement tag is empty")
	}
	for _, key := range slices.Sorted(maps.Keys(s.Metadata)) {
		switch {
		case key == "":
			return invalid("a metadata key is empty")
		case strings.HasPrefix(key, stream.ReservedMetadata):
			return invalid("metadata key %q is reserved for the server", key)
		case strings.HasPrefix(key, OwnMetadata):
			return invalid("metadata key %q is reserved for this program", key)
		}
	}
	return nil
}

// takesLimits says whether the settings let a mirror take over the limits of the whole
// bucket from an origin that has them, in this storage.
func (s Settings) takesLimits(origin stream.Config, storage string) bool {
	return s.MaxBucketSize == nil || stream.Limit(*s.MaxBucketSize) == limitsBelow(origin, storage).MaxBytes
}

// followed are the fields of the settings in which a mirror follows its origin.
func (s Settings) followed() []string {
	var fields []string
	for _, f := range []struct {
		field string
		given bool
	}{
		{"allow_msg_ttl", s.AllowMsgTTL != nil}, {"max_age", s.TTL != nil}, {"max_bytes", s.MaxBucketSize != nil},
		{"max_msg_size", s.MaxValueSize != nil}, {"max_msgs_per_subject", s.History != nil},
	} {
		if f.given {
			fields = append(fields, f.field)
		}
	}
	return fields
}
