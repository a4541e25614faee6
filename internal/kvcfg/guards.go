package kvcfg

import (
	"errors"
	"fmt"
	"strings"

	"nats-kvmirror/internal/stream"
)

// ErrRetention is returned for an origin, or a mirror, that does not keep its messages
// until a limit is reached: what a mirror takes is gone from an origin with retention
// workqueue, and one with interest keeps nothing for it.
var ErrRetention = errors.New("a bucket keeps its messages until a limit is reached")

// CheckRetention returns an error that wraps [ErrRetention] where a stream has another
// retention than limits.
func CheckRetention(c stream.Config) error {
	if c.Retention == "" || c.Retention == "limits" {
		return nil
	}
	return fmt.Errorf("stream %q has retention %q: %w", c.Name, c.Retention, ErrRetention)
}

// checkOrigin is CheckRetention of an origin, nil when it was not read.
func checkOrigin(origin *stream.Config) error {
	if origin == nil {
		return nil
	}
	return CheckRetention(*origin)
}

// RepublishLoops says whether what is republished to a destination may come back: it
// reaches the subjects of a bucket, or those given, of the stream that the mirror
// reads. Subjects pass leafnodes, so a bucket of another domain is reached as well.
func RepublishLoops(destination string, subjects ...string) bool {
	pattern := reaches(destination)
	for _, subject := range append([]string{"$KV.>"}, subjects...) {
		if overlap(pattern, strings.Split(subject, ".")) {
			return true
		}
	}
	return false
}

// checkRepublish returns an error that wraps [ErrInvalidSetting] for a republishing
// that may loop. origin is nil when it was not read.
func checkRepublish(s Settings, origin *stream.Config) error {
	if s.RePublish == nil {
		return nil
	}
	var subjects []string
	if origin != nil {
		subjects = origin.Subjects
	}
	if !RepublishLoops(s.RePublish.Destination, subjects...) {
		return nil
	}
	return fmt.Errorf("%w: republish destination %q reaches the subjects of a bucket, so what is republished may come back to the mirror without end", ErrInvalidSetting, s.RePublish.Destination)
}

// reaches is the pattern of the subjects that a destination can become: a function of
// a transform may become any token, and some become several.
func reaches(destination string) []string {
	var pattern []string
	for token := range strings.SplitSeq(destination, ".") {
		switch lower := strings.ToLower(strings.ReplaceAll(token, " ", "")); {
		case strings.HasPrefix(lower, "{{wildcard("), strings.HasPrefix(lower, "{{partition("), len(token) > 1 && token[0] == '$' && strings.Trim(token[1:], "0123456789") == "":
			pattern = append(pattern, "*")
		case strings.Contains(token, "{{"):
			return append(pattern, ">")
		default:
			pattern = append(pattern, token)
		}
	}
	return pattern
}

// overlap says whether a subject matches both of two patterns.
func overlap(a, b []string) bool {
	for i := 0; ; i++ {
		switch {
		case i < len(a) && i < len(b) && (a[i] == ">" || b[i] == ">"):
			return true
		case i == len(a) || i == len(b):
			return len(a) == len(b)
		case a[i] != b[i] && a[i] != "*" && b[i] != "*":
			return false
		}
	}
}
