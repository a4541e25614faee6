package kvcfg

import "time"

// Facts are what was read about one mirror. They are gathered beforehand, so
// that a check needs no connection.
type Facts struct {
	Mirror  Bucket
	Link    *Link    // the mirror's connection to its origin, as its server sees it
	Cluster *Cluster // where the mirror's replicas are
	// Level is the API level of the mirror's server; nil when it did not say.
	Level *int

	Origin *Bucket // nil when it was not read
	Unread Unread  // why not
	// Above are the origin's own origins, the nearest first, when the origin is
	// a mirror itself.
	Above []Bucket

	// Before is the mirror's state at an earlier look; nil when there was one
	// look alone. Whoever is behind is looked at twice.
	Before *State
	// NothingLeft says whether the origin, when asked for the first message that
	// the mirror still has to take, had none: those between have expired, or are
	// of keys that the mirror does not take. It is nil when nobody asked, or
	// there was no answer.
	NothingLeft *bool
}

// Bucket is what a stream is and holds.
type Bucket struct {
	Config  Config
	State   State
	Created time.Time
	Prefix  string // the API prefix under which it was read
}

// Unread is why an origin was not read; Detail is the failure's own words.
type Unread struct {
	Reason Reason
	Detail string
}

// Reason is a kind of failure to read an origin.
type Reason string

// The reasons.
const (
	Missing     Reason = "missing"      // there is no such stream
	NotBucket   Reason = "not-a-bucket" // the stream is something else
	Denied      Reason = "denied"       // the reader may not ask
	Unreachable Reason = "unreachable"  // nobody answers, or not in time
)

// Compare sets mirror and origin side by side; ok is false when the origin was
// not read.
func (f Facts) Compare() (c Comparison, ok bool) {
	if f.Origin == nil {
		return Comparison{}, false
	}
	c = Compare(f.Mirror.Config, f.Origin.Config, f.Mirror.State, f.Origin.State)
	if f.NothingLeft != nil && *f.NothingLeft {
		c.Behind = 0
	}
	return c, true
}

// tailUnread says that a filtered mirror seems to be behind, as it does whenever
// the origin's last message is not for it, and that nobody knows better.
func (f Facts) tailUnread() bool {
	c, ok := f.Compare()
	return ok && c.Behind > 0 && f.Mirror.Config.Filtered() && f.NothingLeft == nil
}

// Suspicious says that one look does not suffice: the two sides are not read at
// the same moment, so what seems to be behind, too much or too little may only
// be on its way.
func (f Facts) Suspicious() bool {
	c, ok := f.Compare()
	return ok && (c.Behind > 0 || c.LeftOver() > 0 || c.Missing > 0 || f.Mirror.State.LastSeq > f.Origin.State.LastSeq)
}
