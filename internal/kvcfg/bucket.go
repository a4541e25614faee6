package kvcfg

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"nats-kvmirror/internal/stream"
)

const streamPrefix = "KV_"

// MaxBucketName is how many characters the name of a bucket may have: that of its stream
// may have 255 (server/jetstream_api.go, JSMaxNameLen).
const MaxBucketName = 255 - len(streamPrefix)

// Errors about what a name or a stream is.
var (
	// ErrInvalidName is returned for a name that no bucket, key filter, domain
	// or API prefix can have.
	ErrInvalidName = errors.New("invalid name")
	// ErrNotBucket is returned for a stream that is no Key-Value bucket.
	ErrNotBucket = errors.New("not a key-value bucket")
	// ErrNotMirror is returned for a Key-Value bucket that mirrors nothing.
	ErrNotMirror = errors.New("not a mirror")
)

var (
	bucketName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
	// keyFilter is a key whose tokens may be the wildcards * and, last, >
	// (ADR-8 allows these characters in keys).
	keyFilter = regexp.MustCompile(`^(>|([-/_=a-zA-Z0-9]+|\*)(\.([-/_=a-zA-Z0-9]+|\*))*(\.>)?)$`)
)

// ValidateBucket returns an error that wraps [ErrInvalidName] when no bucket
// can have this name (ADR-8: letters, digits, _ and -), or no server has room for it.
func ValidateBucket(name string) error {
	if len(name) > MaxBucketName {
		return fmt.Errorf("%w: bucket %q: it has %d characters, and servers take %d", ErrInvalidName, fmt.Sprintf("%.20s…", name), len(name), MaxBucketName)
	}
	if !bucketName.MatchString(name) {
		return fmt.Errorf("%w: bucket %q: only letters, digits, _ and - are allowed", ErrInvalidName, name)
	}
	return nil
}

// ValidateFilter returns an error that wraps [ErrInvalidName] when no key can
// match the filter.
func ValidateFilter(filter string) error {
	if !keyFilter.MatchString(filter) {
		return fmt.Errorf("%w: key filter %q", ErrInvalidName, filter)
	}
	return nil
}

// ValidateDomain returns an error that wraps [ErrInvalidName] when a JetStream
// domain cannot be a single token of a subject.
func ValidateDomain(domain string) error {
	if domain == "" || strings.ContainsFunc(domain, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(".*>", r) }) {
		return fmt.Errorf("%w: domain %q", ErrInvalidName, domain)
	}
	return nil
}

// ValidatePrefix returns an error that wraps [ErrInvalidName] when the prefix
// is not a subject without wildcards.
func ValidatePrefix(prefix string) error {
	for token := range strings.SplitSeq(prefix, ".") {
		if ValidateDomain(token) != nil {
			return fmt.Errorf("%w: subject prefix %q", ErrInvalidName, prefix)
		}
	}
	return nil
}

// StreamName is the name of the stream behind a bucket.
func StreamName(bucket string) string { return streamPrefix + bucket }

// BucketName is the bucket that a stream of this name would be; ok is false
// when the name is no bucket's.
func BucketName(stream string) (bucket string, ok bool) {
	return strings.CutPrefix(stream, streamPrefix)
}

// DisplayName is the bucket's name for messages, or the stream's when it is
// not named like a bucket's.
func DisplayName(stream string) string {
	bucket, _ := BucketName(stream)
	return bucket
}

// Subject is the subject under which all keys of a bucket are stored.
func Subject(bucket string) string { return "$KV." + bucket + ".>" }

// Key is the key that a bucket's subject stores, or the subject where it is none
// of a bucket's.
func Key(subject string) string {
	rest, isKV := strings.CutPrefix(subject, "$KV.")
	_, key, ok := strings.Cut(rest, ".")
	if !isKV || !ok {
		return subject
	}
	return key
}

// CheckBucket returns an error that wraps [ErrNotBucket], with the reason, when
// the stream does not hold a Key-Value bucket: nats.go opens only streams that
// bound their history (jetstream/kv.go), and keys are found only under the
// bucket's own subject. A mirror has no subject, and one without a bound is
// still a bucket, so that an edit can give it the bound.
func CheckBucket(c stream.Config) error {
	bucket, ok := BucketName(c.Name)
	switch {
	case !ok || ValidateBucket(bucket) != nil:
		return fmt.Errorf("stream %q is %w: it is not named like one", c.Name, ErrNotBucket)
	case c.Mirror != nil:
		if origin, ok := BucketName(c.Mirror.Name); !ok || ValidateBucket(origin) != nil {
			return fmt.Errorf("stream %q is %w: it mirrors the stream %q", c.Name, ErrNotBucket, c.Mirror.Name)
		}
		return nil
	case c.MaxMsgsPerSubject < 1:
		return fmt.Errorf("stream %q is %w: it keeps no bounded history", c.Name, ErrNotBucket)
	case !slices.Contains(c.Subjects, Subject(bucket)):
		return fmt.Errorf("stream %q is %w: it does not listen on %q", c.Name, ErrNotBucket, Subject(bucket))
	}
	return nil
}

// CheckMirror returns an error that wraps [ErrNotBucket] or [ErrNotMirror] when
// the stream is not the mirror of a bucket.
func CheckMirror(c stream.Config) error {
	if err := CheckBucket(c); err != nil {
		return err
	}
	if c.Mirror == nil {
		return fmt.Errorf("bucket %q is %w", DisplayName(c.Name), ErrNotMirror)
	}
	return nil
}
