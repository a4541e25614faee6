package content

// Verdict is the outcome of a comparison.
type Verdict string

// The verdicts.
const (
	Identical  Verdict = "identical" // every message was compared
	Alike      Verdict = "alike"     // the counts agree, and so does a sample of messages
	Differs    Verdict = "differs"
	Unverified Verdict = "unverified" // not all messages could be compared
)

// Result is what a comparison found.
type Result struct {
	Verdict Verdict `json:"verdict"`
	// Through is the last sequence that was compared, and Compared how many
	// messages are the same on both sides.
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
}

// differences is how many messages are not as they should be.
func (r *Result) differences() uint64 { return Sum(r.Missing) + Sum(r.LeftOver) + Sum(r.Different) }

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
	case pending:
		r.Pending++
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
