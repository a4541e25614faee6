package content

import (
	"strconv"
	"strings"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// Kind is a way in which mirror and origin differ at a sequence.
type Kind string

// The kinds.
const (
	Missing   Kind = "missing"   // the origin has the message, the mirror has not
	LeftOver  Kind = "left-over" // the mirror has it, the origin has not
	Different Kind = "different" // both have one, and not the same
)

// Reasons why a message is left over or missing. For one that is different the
// reason is what differs: subject, time, size, headers or payload.
const (
	Expired = "expired" // its TTL has passed
	TooOld  = "too-old" // it is older than the origin's maximum age
	Gone    = "gone"    // purged, deleted or replaced at the origin
	Absent  = "absent"  // nothing explains why it is missing
)

// Grace is how long a message may outlive its TTL or maximum age: servers look for
// expired messages about once a second, and not for all of them at once. A message
// may also be gone that much too early, or half of its life if that is shorter,
// because clocks differ.
const Grace = 10 * time.Second

// classifier says whether a difference matters. Each side is measured by the
// clock of its own server.
type classifier struct {
	mirror, origin       stream.Config
	mirrorNow, originNow time.Time
	mirrorState          stream.State
	// behind says that the mirror lags, so that what replaces its messages may
	// be on its way.
	behind bool
	rename func(string) string
	// kept counts, by key, the messages that are left on the side with the larger
	// history; nil when both keep the same number.
	kept *history
}

// class is what a difference means.
type class int

const (
	same      class = iota
	byDesign        // the mirror is meant to hold fewer messages, or more
	uncertain       // the mirror may be meant to hold fewer
	transient       // it will be gone soon
	pending         // it may go when the mirror has caught up
	wrong           // it is an [Item]
)

// classify says what the messages of a sequence mean and, if something is wrong,
// what.
func (c *classifier) classify(p pair) (class, Kind, string) {
	newer := c.kept.pass(p)
	switch {
	case p.mirror != nil && p.origin != nil:
		if what := difference(p, c.rename); what != "" {
			return wrong, Different, what
		}
		return same, "", ""
	case p.origin != nil:
		return c.missing(p.origin, newer)
	}
	return c.leftOver(p.mirror, newer)
}

// missing classifies a message that only the origin has; newer is how many newer
// messages of its key are there.
func (c *classifier) missing(m *jsapi.MsgMeta, newer int64) (class, Kind, string) {
	switch {
	case c.mirror.MaxAge > 0 && expired(m, c.mirror.MaxAge, c.mirrorNow.Add(min(Grace, c.mirror.MaxAge/2))) && TTL(m) != Never,
		c.mirror.Mirror.BeginsAfter(m.Seq, time.Unix(0, m.Time)),
		c.kept.ofOrigin() && newer >= c.mirror.MaxMsgsPerSubject:
		return byDesign, "", ""
	case c.dropsOldest() && (m.Seq < c.mirrorState.FirstSeq || c.mirrorState.Msgs == 0):
		if c.hasRoom(m) {
			return uncertain, "", ""
		}
		return byDesign, "", ""
	}
	switch ttl := TTL(m); {
	case ttl <= 0 || !expired(m, ttl, c.mirrorNow.Add(min(Grace, ttl/2))):
		return wrong, Missing, Absent
	case expired(m, ttl, c.originNow.Add(-Grace)):
		return wrong, Missing, Expired // the origin's server does not expire it
	}
	return transient, "", ""
}

// leftOver classifies a message that only the mirror has; newer is how many newer
// messages of its key are there.
func (c *classifier) leftOver(m *jsapi.MsgMeta, newer int64) (class, Kind, string) {
	ttl := TTL(m)
	if c.origin.Name != "" && !c.origin.AllowMsgTTL {
		ttl = 0 // nothing expires there
	}
	for _, limit := range []struct {
		age    time.Duration
		reason string
	}{{ttl, Expired}, {c.origin.MaxAge, TooOld}} {
		if limit.age <= 0 || limit.reason == TooOld && ttl == Never || !expired(m, limit.age, c.originNow.Add(Grace)) {
			continue
		}
		if expired(m, limit.age, c.mirrorNow.Add(-Grace)) {
			return wrong, LeftOver, limit.reason
		}
		return transient, "", ""
	}
	switch {
	case c.kept.ofMirror() && newer >= c.origin.MaxMsgsPerSubject:
		return byDesign, "", ""
	case c.behind:
		return pending, LeftOver, Gone
	}
	return wrong, LeftOver, Gone
}

func (c *classifier) dropsOldest() bool {
	config := c.mirror
	return config.Discard != "new" && (config.MaxBytes > 0 || config.MaxMsgs > 0)
}

// overhead is more than a stored message takes besides its subject and body.
const overhead = 512

// hasRoom says whether a message would fit on the mirror now. If so, it was dropped
// when the mirror held more, or it never arrived.
func (c *classifier) hasRoom(m *jsapi.MsgMeta) bool {
	config, state := c.mirror, c.mirrorState
	return (config.MaxMsgs <= 0 || state.Msgs < uint64(config.MaxMsgs)) &&
		(config.MaxBytes <= 0 || state.Bytes+uint64(m.Size+len(m.Subject)+overhead) <= uint64(config.MaxBytes))
}

// expired says whether a message is older than age.
func expired(m *jsapi.MsgMeta, age time.Duration, now time.Time) bool {
	return time.Unix(0, m.Time).Add(age).Before(now)
}

// Never is the TTL of a message that does not expire, whatever the maximum age.
const Never time.Duration = -1

// TTL is a message's TTL; 0 when it has none (ADR-43: seconds, a duration, or
// "never").
func TTL(m *jsapi.MsgMeta) time.Duration {
	if len(m.ControlHeaders) == 0 {
		return 0
	}
	text := m.Header(jsapi.TTLHeader)
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
