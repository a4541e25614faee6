package check

import (
	"nats-kvmirror/internal/stream"
)

// Facts are what was read about one mirror. They are gathered beforehand, so
// that a check needs no connection.
type Facts struct {
	Mirror *stream.Info
	// Level is the API level of the mirror's server; nil when it did not say.
	Level *int

	Origin *stream.Info // nil when it was not read
	Unread Unread       // why not
	// Above are the origin's own origins, the nearest first, when the origin is
	// a mirror itself.
	Above []*stream.Info
	// AboveUnread is why the chain could not be followed to its top; empty when
	// it was.
	AboveUnread string

	// Earlier is what an earlier look saw; nil when there was one look alone.
	// Whoever is suspicious is looked at twice.
	Earlier *Look
	// Left is the sequence of the first message that the mirror still has to
	// take, as the origin says; 0 when there is none, because those between have
	// expired, or are of keys that the mirror does not take. It is nil when
	// nobody asked, or there was no answer.
	Left *uint64
	// Content is what comparing the messages one by one has shown; nil when
	// that was not done.
	Content *Content
}

// Content is how many messages differ between a mirror and its origin, by
// reason, as counted one by one.
type Content struct {
	LeftOver, Missing, Different map[string]uint64
	// Unproved is why not all could be compared; empty when all was.
	Unproved string
}

// Look is what both sides held at a moment.
type Look struct{ Mirror, Origin stream.State }

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
	Unreachable Reason = "unreachable"  // no responders, or not in time
)

// Compare sets mirror and origin side by side; ok is false when the origin was
// not read.
func (f Facts) Compare() (c Comparison, ok bool) {
	if f.Origin == nil {
		return Comparison{}, false
	}
	c = Compare(f.Mirror.Config, f.Origin.Config, f.Mirror.State, f.Origin.State)
	if f.Left != nil && *f.Left == 0 {
		c.Behind = 0
	}
	return c, true
}

// LeftOver is the smallest number of messages that the mirror holds and its
// origin does not; 0 when that is not known. What the mirror holds now is set
// against what the origin held at the earlier look and has got since: a message
// that expires is gone from both sides within a second, though not at the same
// moment, and is not counted.
func (f Facts) LeftOver() uint64 {
	if f.Origin == nil || f.Earlier == nil {
		return 0
	}
	return Compare(f.Mirror.Config, f.Origin.Config, f.Mirror.State, f.Earlier.Origin).LeftOver()
}

// Missing is the smallest number of messages that the origin holds and the
// mirror does not; 0 when that is not known. It is LeftOver with the sides
// changed. A mirror that drops messages by a limit of its own may hold less.
func (f Facts) Missing() uint64 {
	c, ok := f.Compare()
	if !ok || f.Earlier == nil || !c.Counted || f.dropsOfItself() {
		return 0
	}
	held := f.Earlier.Mirror.Msgs
	if since := f.Origin.State.LastSeq; since > f.Earlier.Mirror.LastSeq {
		held += since - f.Earlier.Mirror.LastSeq
	}
	if f.Origin.State.Msgs <= held {
		return 0
	}
	return f.Origin.State.Msgs - held
}

// dropsOfItself says that the mirror does not keep all that its origin keeps: it
// has a shorter maximum age, or drops the oldest messages at a limit.
func (f Facts) dropsOfItself() bool {
	c, age := f.Mirror.Config, f.Origin.Config.MaxAge
	return c.MaxAge > 0 && (age <= 0 || c.MaxAge < age) || c.Discard != "new" && (c.MaxBytes > 0 || c.MaxMsgs > 0)
}

// tailUnread says that a filtered mirror seems to be behind, as it does whenever
// the origin's last message is not for it, and that nobody knows better.
func (f Facts) tailUnread() bool {
	c, ok := f.Compare()
	return ok && c.Behind > 0 && f.Mirror.Config.Filtered() && f.Left == nil
}

// Suspicious says that one look does not suffice: the two sides are not read at
// the same moment, so what seems to be behind, too much or too little may only
// be on its way.
func (f Facts) Suspicious() bool {
	c, ok := f.Compare()
	return ok && (c.Behind > 0 || c.LeftOver() > 0 || c.Missing > 0 || f.Mirror.State.LastSeq > f.Origin.State.LastSeq || f.neverHeard())
}

// neverHeard says that the mirror has never heard of its origin, which is also so
// of one that was just created.
func (f Facts) neverHeard() bool {
	return f.Mirror.Mirror != nil && !f.Mirror.Mirror.EverActive()
}
