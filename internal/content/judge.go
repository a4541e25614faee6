package content

import (
	"strconv"
	"strings"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
)

// Kind is a way in which mirror and origin differ at a sequence.
type Kind string

// The kinds.
const (
	Missing   Kind = "missing"   // the origin has the message, the mirror has not
	LeftOver  Kind = "left-over" // the mirror has it, the origin has not
	Different Kind = "different" // both have one, and not the same
)

// Reasons for which a message is left over, or missing. Of a different one, the
// reason is in what: subject, time, size, headers or payload.
const (
	Expired = "expired" // its TTL is over
	TooOld  = "too-old" // it is older than the origin's maximum age
	Gone    = "gone"    // purged, deleted or replaced at the origin
	Absent  = "absent"  // nothing explains that it is missing
)

// Item is a message that mirror and origin do not have in common.
type Item struct {
	Kind   Kind      `json:"kind"`
	Reason string    `json:"reason"`
	Seq    uint64    `json:"seq"`
	Key    string    `json:"key"`
	Time   time.Time `json:"time"` // when it was stored at the origin
	TTL    string    `json:"ttl,omitempty"`

	Subject string `json:"-"` // on the mirror if it is there
}

// Grace is how long after its time a message may still be there: servers look
// for expired ones about once a second, and not all of them at once. Before its
// time one may be gone by as much, or by half of its life if that is short: clocks
// differ.
const Grace = 10 * time.Second

// judge decides whether what differs matters. Each side is judged by the clock
// of its own server.
type judge struct {
	mirror, origin       kvcfg.Config
	mirrorNow, originNow time.Time
	mirrorState          kvcfg.State
	// behind says that the mirror has not got all that came at the origin, so
	// that what replaces its messages may only be on its way.
	behind bool
	rename func(string) string
	// kept counts, by key, what of the side with the larger history is still to
	// come; nil when both keep the same.
	kept *history
}

// verdict is what is to be thought of a difference.
type verdict int

const (
	same      verdict = iota
	designed          // the mirror is meant to hold less, or more
	doubtful          // the mirror may be meant to hold less
	transient         // it will be gone in a moment
	pending           // it may go when the mirror has caught up
	wrong
)

// judge says what is to be thought of a sequence and, if something is wrong,
// what.
func (j *judge) judge(p pair) (verdict, Kind, string) {
	newer := j.kept.pass(p)
	switch {
	case p.mirror != nil && p.origin != nil:
		if what := unlike(p, j.rename); what != "" {
			return wrong, Different, what
		}
		return same, "", ""
	case p.origin != nil:
		return j.missing(p.origin, newer)
	}
	return j.leftOver(p.mirror, newer)
}

// missing judges a message that only the origin has; newer is how many of its
// key are newer there.
func (j *judge) missing(h *jsapi.MsgMeta, newer int64) (verdict, Kind, string) {
	switch {
	case j.mirror.MaxAge > 0 && over(h, j.mirror.MaxAge, j.mirrorNow.Add(min(Grace, j.mirror.MaxAge/2))) && TTL(h) != Never,
		j.mirror.Mirror.BeginsAfter(h.Seq, time.Unix(0, h.Time)),
		j.kept.ofOrigin() && newer >= j.mirror.MaxMsgsPerSubject:
		return designed, "", ""
	case j.dropsOldest() && (h.Seq < j.mirrorState.FirstSeq || j.mirrorState.Msgs == 0):
		if j.hasRoom(h) {
			return doubtful, "", ""
		}
		return designed, "", ""
	}
	switch ttl := TTL(h); {
	case ttl <= 0 || !over(h, ttl, j.mirrorNow.Add(min(Grace, ttl/2))):
		return wrong, Missing, Absent
	case over(h, ttl, j.originNow.Add(-Grace)):
		return wrong, Missing, Expired // the origin's server heeds no TTL
	}
	return transient, "", ""
}

// leftOver judges a message that only the mirror has; newer is how many of its
// key are newer there.
func (j *judge) leftOver(h *jsapi.MsgMeta, newer int64) (verdict, Kind, string) {
	ttl := TTL(h)
	if j.origin.Name != "" && !j.origin.AllowMsgTTL {
		ttl = 0 // nothing expires there
	}
	for _, limit := range []struct {
		age    time.Duration
		reason string
	}{{ttl, Expired}, {j.origin.MaxAge, TooOld}} {
		if limit.age <= 0 || limit.reason == TooOld && ttl == Never || !over(h, limit.age, j.originNow.Add(Grace)) {
			continue
		}
		if over(h, limit.age, j.mirrorNow.Add(-Grace)) {
			return wrong, LeftOver, limit.reason
		}
		return transient, "", ""
	}
	switch {
	case j.kept.ofMirror() && newer >= j.origin.MaxMsgsPerSubject:
		return designed, "", ""
	case j.behind:
		return pending, LeftOver, Gone
	}
	return wrong, LeftOver, Gone
}

func (j *judge) dropsOldest() bool {
	c := j.mirror
	return c.Discard != "new" && (c.MaxBytes > 0 || c.MaxMsgs > 0)
}

// overhead is more than a message takes beside its subject and its body.
const overhead = 512

// hasRoom says whether a message would fit on the mirror now: then it was dropped
// when the mirror held more, or never came.
func (j *judge) hasRoom(h *jsapi.MsgMeta) bool {
	c, s := j.mirror, j.mirrorState
	return (c.MaxMsgs <= 0 || s.Msgs < uint64(c.MaxMsgs)) &&
		(c.MaxBytes <= 0 || s.Bytes+uint64(h.Size+len(h.Subject)+overhead) <= uint64(c.MaxBytes))
}

// over says whether a message's age is over at a time.
func over(h *jsapi.MsgMeta, age time.Duration, now time.Time) bool {
	return time.Unix(0, h.Time).Add(age).Before(now)
}

// Never is the TTL of a message that does not expire, whatever the maximum age
// is.
const Never time.Duration = -1

// TTL is a message's TTL: 0 when it has none (ADR-43: seconds, a duration, or
// "never").
func TTL(h *jsapi.MsgMeta) time.Duration {
	if len(h.ControlHeaders) == 0 {
		return 0
	}
	text := h.Header(jsapi.TTLHeader)
	if strings.EqualFold(text, "never") {
		return Never
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		switch {
		case seconds == -1:
			return Never
		case seconds < 0 || seconds > int64(maxTTL/time.Second):
			return 0
		}
		return time.Duration(seconds) * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0
	}
	return d
}

const maxTTL time.Duration = 1<<63 - 1
