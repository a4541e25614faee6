package cli

import (
	"math"
	"strings"
	"testing"
	"time"

	"nats-kvmirror/internal/stream"
)

// Why a mirror has not come to where it was to come is said where the mirror knows.
func TestNotCaughtUp(t *testing.T) {
	const heardOf = `bucket "m" was created, and after 1s it is at sequence 3 of 9`
	for _, test := range []struct {
		name, says string
		hint       bool
		link       *stream.SourceInfo
	}{
		{"it hears of its origin", heardOf, false, &stream.SourceInfo{Active: time.Second}},
		{"its server does not say", heardOf, false, nil},
		{"it reports an error", heardOf + "; the mirror says: no such luck", false, &stream.SourceInfo{Active: -1, Error: &stream.APIError{Description: "no such luck"}}},
		{"it never heard", heardOf + "; it has never heard of its origin", true, &stream.SourceInfo{Active: -1}},
		{"it never heard, in other words", heardOf + "; it has never heard of its origin", true, &stream.SourceInfo{Active: math.MaxInt64}},
	} {
		mirror := &stream.Info{State: stream.State{LastSeq: 3}, Mirror: test.link}
		err := notCaughtUp(&mirror.Report{Bucket: "m", Action: mirror.Created}, mirror, 9, mirror.ErrNotCaughtUp, "after 1s")
		f := explain(err)
		if err.Error() != test.says || f.kind != mirror.ErrNotCaughtUp || strings.Contains(f.hint, "is the link up") != test.hint {
			t.Errorf("%s: %v, of kind %q, with the hint %q", test.name, err, f.kind, f.hint)
		}
	}
}
