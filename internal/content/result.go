package content

import "time"

// Verdict is the outcome of a comparison.
type Verdict string

// The verdicts.
const (
	Identical  Verdict = "identical" // every message was compared
	Differs    Verdict = "differs"
	Unverified Verdict = "unverified" // not all messages could be compared
	// SameSequences says that both sides have messages at the same sequences, and that
	// their subjects, times and bytes agree as a whole. It is no proof that the messages
	// are the same.
	SameSequences Verdict = "same-sequences"
)

// Method is how a comparison was made.
type Method string

// The methods.
const (
	ByWalk      Method = "walk"      // all messages were read
	BySequences Method = "sequences" // the messages of those sequences that differ
)

// Result is what a comparison found.
type Result struct {
	Verdict Verdict `json:"verdict"`
	Method  Method  `json:"method"`
	// Through is the last sequence that was compared, and Compared how many
	// messages are the same on both sides; by sequences, how many both sides have.
	Through  uint64 `json:"through"`
	Compared uint64 `json:"compared"`
	Payload  bool   `json:"payload"` // whether the bodies were compared
	// Missing, LeftOver and Different are how many messages differ, by reason.
	Missing   map[string]uint64 `json:"missing"`
	LeftOver  map[string]uint64 `json:"left_over"`
	Different map[string]uint64 `json:"different"`
	// ByDesign is how many messages only one side is meant to hold, and Kept how
	// many of them the mirror holds.
	ByDesign uint64 `json:"by_design"`
	Kept     uint64 `json:"kept_by_design"`
	// MissingAbove is how many messages the mirror and the top of the chain have, and
	// the mirror's origin, which is a mirror itself, has lost.
	MissingAbove uint64 `json:"missing_above"`
	// Unresolved is how many messages were about to expire on one side alone when the
	// comparison ended, and Unreadable how many could not be read as a whole.
	Unresolved uint64 `json:"unresolved"`
	Unreadable uint64 `json:"unreadable"`
	// Skew is how far the clock of the mirror's server is ahead of the origin's, as
	// far as it could be measured.
	Skew time.Duration `json:"-"`
	// Uncertain is how many messages the mirror either dropped at its limit or
	// lacks.
	Uncertain uint64 `json:"uncertain"`
	// Pending is how many messages of the mirror may go when it has caught up,
	// and Behind how many sequences it lags behind the origin's last.
	Pending uint64 `json:"pending"`
	Behind  uint64 `json:"behind"`
	// Ahead is how many sequences the mirror's last is ahead of the origin's. The
	// mirror was then filled from another origin.
	Ahead uint64 `json:"ahead"`
	// OriginUnreadable is why the origin's messages could not be read. Only what
	// the mirror alone shows to be left over is then counted.
	OriginUnreadable string `json:"unread,omitempty"`

	// Older are the mirror's messages from before its origin's first, before any of
	// them was read; unknown, and zero, unless it was done by sequences.
	Older Older `json:"-"`
}

// differences is how many messages are not as they should be.
func (r *Result) differences() uint64 {
	return Sum(r.Missing) + Sum(r.LeftOver) + Sum(r.Different) + r.MissingAbove
}

// count counts a message that is no [Item].
func (r *Result) count(p pair, class class) {
	switch class {
	case same:
		r.Compared++
	case byDesign:
		r.ByDesign++
		if p.mirror != nil {
			r.Kept++
		}
	case uncertain:
		r.Uncertain++
	case unread:
		r.Unreadable++
	}
}

// Sum is how many messages a map of reasons counts.
func Sum(reasons map[string]uint64) uint64 {
	var n uint64
	for _, count := range reasons {
		n += count
	}
	return n
}
