package kvcfg

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"nats-kvmirror/internal/stream"
)

// MinMarkerTTL is the shortest time that a limit marker can be kept
// (server/stream.go, checkStreamCfg).
const MinMarkerTTL = time.Second

// Errors of promoting.
var (
	// ErrOtherKeys is returned when a mirror stores its keys under the subject
	// of another bucket than itself, so that no client would find them in it
	// once it is a bucket of its own.
	ErrOtherKeys = errors.New("its keys are stored as those of another bucket")
	// ErrNoHistory is returned for a mirror that keeps any number of values of
	// a key: no client takes a stream like that for a bucket (nats.go,
	// jetstream/kv.go), but for a mirror.
	ErrNoHistory = errors.New("it keeps no bounded history")
	// ErrMarkerNeedsTTL is returned when limit markers are wanted of a stream
	// without per-key TTL; the server refuses that (ADR-43).
	ErrMarkerNeedsTTL = errors.New("limit markers need per-key TTL")
)

// SubjectBucket is the bucket whose keys a subject is one of; ok is false when
// it is no bucket's.
func SubjectBucket(subject string) (bucket string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "$KV.")
	if !ok {
		return "", false
	}
	bucket, _, ok = strings.Cut(rest, ".")
	return bucket, ok && ValidateBucket(bucket) == nil
}

// StoredAs is the bucket as whose keys a mirror stores what it takes: its
// origin's, unless its transforms say otherwise; ok is false when they say so
// of several buckets, or of none. Of a mirror of a mirror only a stored message
// can tell.
func StoredAs(c stream.Config) (bucket string, ok bool) {
	if c.Mirror == nil {
		return "", false
	}
	bucket = DisplayName(c.Mirror.Name)
	for i, t := range c.Mirror.SubjectTransforms {
		subject := t.Destination
		if subject == "" {
			subject = t.Source // a filter
		}
		to, ok := SubjectBucket(subject)
		if !ok || i > 0 && to != bucket {
			return "", false
		}
		bucket = to
	}
	return bucket, true
}

// Promote plans to make a mirror a bucket of its own: its origin is taken out
// and it listens on its own subject. All else stays as it is, but for a
// duplicate window longer than the maximum age, which no stream can have; where
// there is none, the server sets its default. storedAs is the bucket as whose
// keys the mirror's messages are stored. markerTTL, when it is not nil, is how
// long a limit marker is to be kept, [MinMarkerTTL] or more.
//
// The mirror is null in the planned configuration, so that [Raw.Differing] finds
// it when it is still there. Errors wrap [ErrNotBucket], [ErrNotMirror],
// [ErrOtherKeys], [ErrNoHistory], [ErrMarkerNeedsTTL], [ErrInvalidSetting] or
// [stream.ErrMalformed].
func Promote(current stream.Raw, storedAs string, markerTTL *time.Duration) (Plan, error) {
	have, err := current.Config()
	if err != nil {
		return Plan{}, err
	}
	if err := CheckMirror(have); err != nil {
		return Plan{}, err
	}
	bucket := DisplayName(have.Name)
	switch {
	case storedAs != bucket:
		return Plan{}, fmt.Errorf("bucket %q: %w, %q", bucket, ErrOtherKeys, storedAs)
	case have.MaxMsgsPerSubject < 1:
		return Plan{}, fmt.Errorf("bucket %q: %w", bucket, ErrNoHistory)
	}
	if err := checkMarkerTTL(have, markerTTL); err != nil {
		return Plan{}, err
	}
	p := Update(current)
	p.Set("mirror", nil, FromFlag)
	p.Config["mirror"] = json.RawMessage("null")
	p.Set("subjects", []string{Subject(bucket)}, FromDerived)
	p.Set("mirror_direct", false, FromDerived)
	p.fitDuplicateWindow(have)
	if _, ok := have.Metadata[ChosenKey]; ok { // nothing is followed any more
		metadata := stream.Raw{"metadata": current["metadata"]}
		if err := metadata.SetIn("metadata", ChosenKey, nil); err != nil {
			return Plan{}, err
		}
		p.Set("metadata", metadata["metadata"], FromDerived)
	}
	if markerTTL != nil {
		p.Set("subject_delete_marker_ttl", *markerTTL, FromFlag)
	}
	return p, nil
}

// fitDuplicateWindow makes the duplicate window one that a stream that is no
// mirror can have. None is left for the server to set: its limit is not known.
func (p *Plan) fitDuplicateWindow(have stream.Config) {
	if have.DuplicateWindow <= 0 {
		delete(p.Config, "duplicate_window")
		return
	}
	p.Set("duplicate_window", DuplicateWindow(have.MaxAge, have.DuplicateWindow), FromDerived)
}

func checkMarkerTTL(have stream.Config, markerTTL *time.Duration) error {
	switch {
	case markerTTL == nil:
		return nil
	case *markerTTL < MinMarkerTTL:
		return fmt.Errorf("%w: marker ttl %v is below %v, the shortest that a server keeps", ErrInvalidSetting, *markerTTL, MinMarkerTTL)
	case !have.AllowMsgTTL:
		return fmt.Errorf("bucket %q: %w", DisplayName(have.Name), ErrMarkerNeedsTTL)
	}
	return nil
}

// AnswersFor says whether a mirror answers direct reads of the bucket's name
// without being a copy of the bucket in the mirror's own API: one of an origin
// of that name elsewhere.
func AnswersFor(c stream.Config, bucket string) bool {
	return c.Mirror != nil && c.Mirror.External != nil && c.MirrorDirect && c.Mirror.Name == StreamName(bucket) && c.Name != StreamName(bucket)
}

// Silenced is the metadata key of a mirror that no longer answers direct reads of
// its origin's name because there is a bucket of that name beside it, which was
// promoted; it holds that name.
const Silenced = "nats-kvmirror.silenced-for"

// StopAnswering plans that a mirror no longer answers direct reads of a bucket's
// name. The error wraps [stream.ErrMalformed].
func StopAnswering(current stream.Raw, bucket string) (Plan, error) {
	p := Update(current)
	marked := stream.Raw{"metadata": current["metadata"]}
	if err := marked.SetIn("metadata", Silenced, bucket); err != nil {
		return Plan{}, err
	}
	p.Set("mirror_direct", false, FromDerived)
	p.Set("metadata", marked["metadata"], FromDerived)
	return p, nil
}
