package mirror

import (
	"math"
	"slices"
	"testing"
	"time"

	"nats-kvmirror/internal/stream"
)

// Why a mirror has not come to where it was to come is said where the mirror knows.
func TestNotCaughtUp(t *testing.T) {
	const isAt = `bucket "m" was created, and after 1s it is at sequence 3 of 9`
	for _, test := range []struct {
		name, says string
		advice     bool
		link       *stream.SourceInfo
	}{
		{"its link is active", isAt, false, &stream.SourceInfo{Active: time.Second}},
		{"its server does not say", isAt, false, nil},
		{"it reports an error", isAt + "; the mirror says: no such luck", false, &stream.SourceInfo{Active: -1, Error: &stream.APIError{Description: "no such luck"}}},
		{"it never connected", isAt + "; it has never been connected to its origin", true, &stream.SourceInfo{Active: -1}},
		{"it never connected, in other words", isAt + "; it has never been connected to its origin", true, &stream.SourceInfo{Active: math.MaxInt64}},
	} {
		p := &AddPlan{Report: Report{Bucket: "m", Action: Created, Info: &stream.Info{State: stream.State{LastSeq: 3}, Mirror: test.link}}}
		err := AsError(p.notCaughtUp(ErrNotCaughtUp, 9, "after 1s", true))
		checkLink := slices.ContainsFunc(err.Advice, func(a Advice) bool { return a.Code == CheckLink })
		if err.Error() != test.says || err.Kind != ErrNotCaughtUp || checkLink != test.advice {
			t.Errorf("%s: %v, of kind %q, with the advice %v", test.name, err, err.Kind, err.Advice)
		}
	}
}
