package kvcfg

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ErrInvalidWish is returned for a value that no server accepts, whatever the
// bucket is.
var ErrInvalidWish = errors.New("invalid value")

const (
	// MaxHistory is the largest history of a bucket (ADR-8).
	MaxHistory = 64
	// MaxReplicas is the largest number of replicas of a stream
	// (server/stream.go, StreamMaxReplicas).
	MaxReplicas = 5
	// minMaxAge is the smallest max_age but zero (server/stream.go).
	minMaxAge = 100 * time.Millisecond
)

// Wishes are the settings that a user asked for; nil is "not said". Zero sizes
// and durations mean unlimited.
type Wishes struct {
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
	Metadata      map[string]string // replaces all that is not the server's own
	RePublish     *WishedRePublish
	AllowMsgTTL   *bool
}

// WishedRePublish is what is asked of the republishing of what a mirror stores; of
// an existing one, what is not said stays.
type WishedRePublish struct {
	Source      *string // default: all
	Destination string
	HeadersOnly *bool // default: no
}

// Empty says whether nothing at all was asked for.
func (w Wishes) Empty() bool {
	return w.Description == nil && w.History == nil && w.Storage == nil && w.TTL == nil && w.Replicas == nil &&
		w.MaxValueSize == nil && w.MaxBucketSize == nil && w.Tags == nil && w.Cluster == nil && w.Compress == nil &&
		w.Metadata == nil && w.RePublish == nil && w.AllowMsgTTL == nil
}

// Validate returns an error that wraps [ErrInvalidWish] for the first value
// that is out of its range.
func (w Wishes) Validate() error {
	invalid := func(format string, a ...any) error {
		return fmt.Errorf("%w: %s", ErrInvalidWish, fmt.Sprintf(format, a...))
	}
	switch {
	case w.History != nil && (*w.History < 1 || *w.History > MaxHistory):
		return invalid("history %d is not between 1 and %d", *w.History, MaxHistory)
	case w.Replicas != nil && (*w.Replicas < 1 || *w.Replicas > MaxReplicas):
		return invalid("replicas %d is not between 1 and %d", *w.Replicas, MaxReplicas)
	case w.TTL != nil && *w.TTL != 0 && *w.TTL < minMaxAge:
		return invalid("ttl %v is below %v, the shortest that a server keeps", *w.TTL, minMaxAge)
	case w.MaxValueSize != nil && (*w.MaxValueSize < 0 || *w.MaxValueSize > 1<<31-1):
		return invalid("max value size %d is not between 0 and %d", *w.MaxValueSize, 1<<31-1)
	case w.MaxBucketSize != nil && *w.MaxBucketSize < 0:
		return invalid("max bucket size %d is negative", *w.MaxBucketSize)
	case w.Storage != nil && *w.Storage != "file" && *w.Storage != "memory":
		return invalid("storage %q is neither file nor memory", *w.Storage)
	case slices.Contains(w.Tags, ""):
		return invalid("a placement tag is empty")
	}
	for _, key := range slices.Sorted(maps.Keys(w.Metadata)) {
		switch {
		case key == "":
			return invalid("a metadata key is empty")
		case strings.HasPrefix(key, ReservedMetadata):
			return invalid("metadata key %q is reserved for the server", key)
		}
	}
	return nil
}
