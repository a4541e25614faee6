package content

import (
	"time"

	"nats-kvmirror/internal/stream"
)

// MaxSkew is how far the clocks of two hosts may be apart before it matters.
const MaxSkew = 2 * time.Second

// tolerance is how far a clock that was just measured may be off, beside the bound
// of the measurement: servers look for expired messages by timers of their own.
const tolerance = time.Second

// clock is a server's clock as it was measured: how far it is ahead of ours, give or
// take a bound. What a server did is compared with the earliest and the latest time
// that it may have had.
type clock struct {
	ahead, bound time.Duration
	known        bool      // whether the server told its time
	read         time.Time // when it was measured, by our clock
}

// clockOf measures a clock by an answer that was asked for between two times.
func clockOf(i *stream.Info, asked, answered time.Time) clock {
	c := clock{read: asked}
	if !i.TimeStamp.IsZero() {
		half := answered.Sub(asked) / 2
		c.ahead, c.bound, c.known = i.TimeStamp.Sub(asked.Add(half)), half, true
	}
	return c
}

// earliest is the earliest time that the server may have had when it was read.
func (c clock) earliest() time.Time { return c.read.Add(c.ahead - c.bound) }

// latest is the latest time that the server may have now.
func (c clock) latest() time.Time { return time.Now().Add(c.ahead + c.bound + tolerance) }

// skew is how far the mirror's clock is ahead of the origin's, as far as the answers'
// round trips allow to say; 0 where they do not.
func skew(mirror, origin clock) time.Duration {
	if !mirror.known || !origin.known {
		return 0
	}
	switch ahead, bound := mirror.ahead-origin.ahead, mirror.bound+origin.bound; {
	case ahead > bound:
		return ahead - bound
	case -ahead > bound:
		return ahead + bound
	}
	return 0
}
