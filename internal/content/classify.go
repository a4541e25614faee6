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
	// MissingAbove is a message that the mirror has and its origin lacks, while the
	// top of the chain has it: the origin has lost it.
	MissingAbove Kind = "missing-above"
)

// Reasons why a message is left over or missing. For one that is different the
// reason is what differs: subject, time, size, headers or payload.
const (
	Expired  = "expired"  // its TTL has passed
	TooOld   = "too-old"  // it is older than the origin's maximum age
	Gone     = "gone"     // purged, deleted or replaced at the origin
	Absent   = "absent"   // nothing explains why it is missing
	Early    = "early"    // expired by the mirror's clock, which is ahead of the origin's
	Unchosen = "unchosen" // a setting of the mirror differs, and nobody chose that
)

// Grace is how long a message may outlive its TTL or maximum age: servers look for
// expired messages about once a second, and not for all of them at once.
const Grace = 10 * time.Second

// classifier says whether a difference matters. Each side is measured by the
// clock of its own server.
type classifier struct {
	mirror, origin           stream.Config
	mirrorClock, originClock clock
	mirrorState              stream.State
	// behind says that the mirror lags, so that what replaces its messages may
	// be on its way.
	behind bool
	rename func(string) string
	// kept are the newest messages of each key on the side with the larger history; nil
	// when both keep the same number.
	kept *history
}

// class is what a difference means.
type class int

const (
	same      class = iota
	byDesign        // the mirror is meant to hold fewer messages, or more
	uncertain       // the mirror may be meant to hold fewer
	unread          // it could not be read as a whole, so not compared
	transient       // it will soon be gone from both sides, or be wrong
	pending         // it may go when the mirror has caught up
	wrong           // it is an [Item]
)

// classify says what the messages of a sequence mean and, if something is wrong,
// what.
func (c *classifier) classify(p pair) (class, Kind, string) {
	switch {
	case p.mirror != nil && p.mirror.Unreadable, p.origin != nil && p.origin.Unreadable:
		return unread, "", ""
	case p.mirror != nil && p.origin != nil:
		if what := difference(p, c.rename); what != "" {
			return wrong, Different, what
		}
		return same, "", ""
	case p.origin != nil:
		return c.missing(p.origin)
	}
	return c.leftOver(p.mirror)
}

// missing classifies a message that only the origin has.
func (c *classifier) missing(m *jsapi.MsgMeta) (class, Kind, string) {
	switch {
	case c.mirror.Mirror.BeginsAfter(m.Seq, time.Unix(0, m.Time)):
		return byDesign, "", ""
	case c.dropsOldest() && (m.Seq < c.mirrorState.FirstSeq || c.mirrorState.Msgs == 0):
		if c.hasRoom(m) {
			return uncertain, "", ""
		}
		return byDesign, "", ""
	}
	replaced := c.kept.ofOrigin() && c.kept.older(m)
	here, meant, there := c.lives(m)
	switch {
	case replaced && chosen(c.mirror, fieldHistory), meant.shorterThan(there) && meant.over(c.mirrorClock.latest()):
		return byDesign, "", ""
	case there.over(c.originClock.earliest().Add(-Grace)):
		return wrong, Missing, there.reason // the origin's server does not remove it
	case there.over(c.originClock.latest()):
		return transient, "", ""
	case !here.over(c.mirrorClock.latest()): // the mirror cannot have removed it because of its age
		return c.dropped(replaced)
	case here.shorterThan(there) && here.reason == Expired:
		return wrong, Missing, Expired // the origin's server does not let it expire
	case here.shorterThan(there):
		return wrong, Missing, Unchosen
	case !there.over(c.originClock.latest().Add(Grace)):
		return wrong, Missing, Early
	}
	return transient, "", ""
}

// dropped classifies a message that only the origin has and that is not too old for
// either side; replaced says that the mirror keeps less history.
func (c *classifier) dropped(replaced bool) (class, Kind, string) {
	switch {
	case replaced:
		return wrong, Missing, Unchosen
	case c.kept.ofOrigin() && expires(c.origin) && chosen(c.mirror, fieldHistory):
		return uncertain, "", "" // a newer message may have replaced it here, and expired
	}
	return wrong, Missing, Absent
}

// leftOver classifies a message that only the mirror has.
func (c *classifier) leftOver(m *jsapi.MsgMeta) (class, Kind, string) {
	_, meant, there := c.lives(m)
	switch {
	case !there.over(c.originClock.latest()):
	case there.shorterThan(meant) && !meant.over(c.mirrorClock.earliest().Add(-Grace)):
		return byDesign, "", ""
	case there.over(c.originClock.earliest().Add(-Grace)):
		return wrong, LeftOver, there.reason
	default:
		return transient, "", ""
	}
	switch {
	case c.kept.ofMirror() && c.kept.older(m) && chosen(c.mirror, fieldHistory):
		return byDesign, "", ""
	case c.kept.ofMirror() && c.kept.older(m):
		return wrong, LeftOver, Unchosen
	case c.behind:
		return pending, LeftOver, Gone
	case c.kept.ofMirror() && expires(c.mirror) && chosen(c.mirror, fieldHistory):
		return uncertain, "", "" // a newer message may have replaced it there, and expired
	}
	return wrong, LeftOver, Gone
}

// lives are the life of a message on the mirror, the one that it is meant to have
// there, with the origin's settings but for those that were chosen, and its life at
// the origin.
func (c *classifier) lives(m *jsapi.MsgMeta) (here, meant, there life) {
	origin := c.origin
	if origin.Name == "" { // it is not known what the origin does
		origin.AllowMsgTTL = true
	}
	wanted := origin
	if chosen(c.mirror, fieldTTL) {
		wanted.AllowMsgTTL = c.mirror.AllowMsgTTL
	}
	if chosen(c.mirror, fieldMaxAge) {
		wanted.MaxAge = c.mirror.MaxAge
	}
	return lifeOf(m, c.mirror), lifeOf(m, wanted), lifeOf(m, origin)
}

// expires says whether messages go from a stream by themselves.
func expires(c stream.Config) bool { return c.AllowMsgTTL || c.MaxAge > 0 }

// life is when a stream removes a message by itself, and why.
type life struct {
	end    time.Time // zero when it does not
	reason string    // Expired or TooOld
}

// lifeOf is the life of a message in a stream.
func lifeOf(m *jsapi.MsgMeta, in stream.Config) life {
	ttl := time.Duration(0)
	if in.AllowMsgTTL {
		ttl = TTL(m)
	}
	stored := time.Unix(0, m.Time)
	switch {
	case ttl > 0 && (in.MaxAge <= 0 || ttl <= in.MaxAge):
		return life{stored.Add(ttl), Expired}
	case in.MaxAge > 0 && ttl != Never:
		return life{stored.Add(in.MaxAge), TooOld}
	}
	return life{}
}

// over says whether it has ended at a time.
func (l life) over(at time.Time) bool { return !l.end.IsZero() && !l.end.After(at) }

// shorterThan says whether it ends before another one.
func (l life) shorterThan(other life) bool {
	return !l.end.IsZero() && (other.end.IsZero() || l.end.Before(other.end))
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
