package check

import (
	"time"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// Facts are what was read about one mirror. They are gathered beforehand, so
// that finding problems needs no connection.
type Facts struct {
	Mirror *stream.Info
	// Level is the API level of the mirror's server; nil when it is not known.
	Level *int
	// Stored is how many bytes the mirror's account stores, where the mirror does, and
	// MayStore how many it may; 0 when there is no limit, or none is known.
	Stored, MayStore uint64

	Origin       *stream.Info // nil when it could not be read
	OriginUnread Unreadable   // why not
	// Above are the origin's own origins, the nearest first, when the origin is
	// a mirror itself.
	Above []*stream.Info
	// AboveUnreadable is why the chain could not be followed to its top; empty
	// when it was.
	AboveUnreadable string

	// Earlier are the states of an earlier reading; nil when there was only one.
	// A mirror that is [Facts.Suspicious] is read twice.
	Earlier *States
	// NextPending is the sequence of the origin's next message for the mirror, as
	// the origin reports it; 0 when there is none, because those between have
	// expired, or are of keys that the mirror does not take. It is nil when the
	// origin was not asked, as where the sequences are the same, or did not answer.
	NextPending *uint64
	// Content is the result of comparing the messages, one by one or by their sequences;
	// nil when that was not done.
	Content *Content
}

// Content is how many messages differ between a mirror and its origin, by
// reason, as counted one by one.
type Content struct {
	LeftOver, Missing, Different map[string]uint64
	// MissingAbove is how many of the mirror's messages its origin has lost, while the
	// top of the chain has them.
	MissingAbove uint64
	// Skew is how far the clock of the mirror's server is ahead of the origin's.
	Skew time.Duration
	// Partly says that only the messages next to those that are left over or missing were
	// compared, so that more may be different.
	Partly bool
	// Unverified is why not all could be compared; empty when all was.
	Unverified string
}

// States are the states of both sides, read shortly after each other, and then what
// was pending. The origin's is empty when it could not be read.
type States struct {
	Mirror, Origin stream.State
	NextPending    *uint64 // as in [Facts]
}

// Unreadable is why something could not be read. Detail is the text of the
// failure.
type Unreadable struct {
	Reason Reason
	Detail string
}

// Reason is a kind of failure to read something.
type Reason string

// The reasons.
const (
	ReasonMissing     Reason = "missing"      // there is no such stream
	ReasonNotBucket   Reason = "not-a-bucket" // the stream is no Key-Value bucket
	ReasonNotMirror   Reason = "not-a-mirror" // the bucket is no mirror
	ReasonDenied      Reason = "denied"       // permissions do not allow it
	ReasonUnreachable Reason = "unreachable"  // no responders, or a timeout
)

// Compare compares the states of mirror and origin; ok is false when the origin
// could not be read.
func (f Facts) Compare() (c Comparison, ok bool) {
	if f.Origin == nil {
		return Comparison{}, false
	}
	return Compare(f.Mirror.Config, f.Origin.Config, f.Mirror.State, f.Origin.State, f.NextPending), true
}

// LeftOver is the smallest number of messages that the mirror holds and its
// origin does not; 0 when that is not known. What the mirror holds now is compared
// with what the origin held earlier and has received since: a message that expires
// is gone from both sides within a second, though not at the same time, and is not
// counted.
func (f Facts) LeftOver() uint64 {
	if f.Origin == nil || f.Earlier == nil {
		return 0
	}
	return Compare(f.Mirror.Config, f.Origin.Config, f.Mirror.State, f.Earlier.Origin, f.NextPending).LeftOver()
}

// Missing is the smallest number of messages that the origin holds and the
// mirror does not; 0 when that is not known. It is LeftOver with the sides
// exchanged. A mirror that drops messages at a limit of its own may hold fewer.
func (f Facts) Missing() uint64 {
	c, ok := f.Compare()
	if !ok || f.Earlier == nil || !c.Counted || f.dropsMore() {
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

// Counts are how many messages only the mirror, and only the origin, holds against the
// design: at least so many, unless all messages were compared. What the facts do not
// tell is nil.
func (f Facts) Counts() (leftOver, missing *uint64) {
	if f.verified() {
		return new(sum(f.Content.LeftOver)), new(sum(f.Content.Missing))
	}
	c, ok := f.Compare()
	if ok && c.Bounded && (f.Earlier != nil || c.LeftOver() == 0) {
		leftOver = new(f.LeftOver())
	}
	if ok && c.Counted && !f.dropsMore() && (f.Earlier != nil || c.Missing == 0) {
		missing = new(f.Missing())
	}
	return leftOver, missing
}

// dropsMore reports whether the mirror drops its oldest messages at a limit that its
// origin does not have, which is a finding of its own.
func (f Facts) dropsMore() bool {
	return kvcfg.DropsOldest(f.Mirror.Config) && !kvcfg.DropsOldest(f.Origin.Config)
}

// tailUnknown reports whether a filtered mirror seems to be behind, as it does
// whenever the origin's last message is not for it, and the origin did not tell
// what is pending.
func (f Facts) tailUnknown() bool {
	c, ok := f.Compare()
	return ok && c.Behind > 0 && f.Mirror.Config.Filtered() && f.NextPending == nil
}

// Suspicious reports whether the mirror has to be read a second time: the two
// sides are not read at the same time, so a message that seems to be pending, left
// over or missing may only be on its way.
func (f Facts) Suspicious() bool {
	c, ok := f.Compare()
	return f.neverActive() || ok && (c.Behind > 0 || c.LeftOver() > 0 || c.Missing > 0 || f.Mirror.State.LastSeq > f.Origin.State.LastSeq)
}

// Inexact reports whether the counts of both sides differ, or agree while something else
// about them does not, so that only their sequences tell what is left over or missing.
func (f Facts) Inexact() bool {
	c, ok := f.Compare()
	if !ok || c.Behind > 0 {
		return false
	}
	m, o := f.Mirror.State, f.Origin.State
	sameSize := m.Bytes == o.Bytes || f.Mirror.Config.Storage != f.Origin.Config.Storage
	return c.LeftOver() > 0 || c.Missing > 0 ||
		m.LastSeq == o.LastSeq && (m.Msgs != o.Msgs || m.FirstSeq != o.FirstSeq || m.Subjects != o.Subjects || !sameSize)
}

// Undecided reports whether a mirror that did not advance between two readings has to
// be read a third time: all that is pending came after the first one, so it may be on
// its way. Of a key that is rewritten all the time it always did.
func (f Facts) Undecided() bool {
	c, ok := f.Compare()
	return ok && c.Behind > 0 && f.Earlier != nil && f.Earlier.NextPending == nil && f.NextPending != nil &&
		f.Earlier.Mirror.LastSeq == f.Mirror.State.LastSeq && *f.NextPending > f.Earlier.Origin.LastSeq
}

// neverActive reports whether the mirror has received nothing from its origin since its
// server runs it, which is also true of one that was just created.
func (f Facts) neverActive() bool {
	return f.Mirror.Mirror != nil && !f.Mirror.Mirror.EverActive()
}

// originHasTTL reports whether keys expire at the origin.
func (f Facts) originHasTTL() bool { return f.Origin != nil && f.Origin.Config.AllowMsgTTL }
