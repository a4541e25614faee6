package mirror

import (
	"context"
	"errors"
	"math"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// errGivenUp is returned when a mirror has not come to where it was to come.
var errGivenUp = errors.New("given up")

// waitForSeq waits until a mirror has reached a sequence of its origin, and returns
// it as it was last read. Lag tells nothing (it is 0 also when the mirror has never
// connected); sequence numbers do, since a mirror keeps the origin's. The error is
// [errGivenUp] when giveUp, which is told for how long nothing has come, says so,
// that of ctx when that ends, and that of the read when the mirror cannot be
// read for a timeout.
//
// A mirror does not reach a sequence whose message it does not take, or that
// has expired before it came, so when the mirror does not move the origin is
// asked whether anything is pending: at once, and then while it does not move. Where that
// takes a consumer, it is asked less often.
func (c *Client) waitForSeq(ctx context.Context, mirror *stream.Info, origin originRead, target uint64, giveUp func(idle time.Duration) bool) (*stream.Info, error) {
	at, end := c.observer.Begin(TaskWait, kvcfg.DisplayName(mirror.Config.Name))
	moved, seen := time.Now(), time.Now()
	pause := c.waits.Poll / 2
	if origin.info != nil && origin.api.MaxAnswer() < math.MaxInt {
		pause = 5 * c.waits.Poll
	}
	var asked time.Time
	due := func() bool {
		if !asked.IsZero() && min(time.Since(moved), time.Since(asked)) < pause {
			return false
		}
		asked = time.Now()
		return true
	}
	first := true
	err := jsapi.Poll(ctx, c.waits.Poll, func() (bool, error) {
		if !first {
			again, err := c.own.Stream(ctx, mirror.Config.Name)
			switch {
			case err == nil:
				if again.State.LastSeq > mirror.State.LastSeq {
					moved = time.Now()
				}
				mirror, seen = again, time.Now()
			case ctx.Err() != nil:
				return false, ctx.Err()
			case time.Since(seen) > c.conn.Timeout():
				return false, err
			}
		}
		first = false
		at(mirror.State.LastSeq, target)
		switch {
		case mirror.State.LastSeq >= target, isConnected(mirror) && due() && origin.nothingPending(ctx, mirror):
			return true, nil
		case giveUp(time.Since(moved)):
			return false, errGivenUp
		}
		return false, nil
	})
	end(err == nil)
	return mirror, err
}

// nothingPending says that a mirror has nothing more to take of its origin, as that says
// now. What was read of it is only where to ask.
func (r originRead) nothingPending(ctx context.Context, mirror *stream.Info) bool {
	if r.info == nil {
		return false
	}
	next := r.api.Pending(ctx, r.info, mirror)
	return next != nil && *next == 0
}

// isConnected says that a mirror's link has been active and reports no error.
func isConnected(mirror *stream.Info) bool {
	return mirror.Mirror.EverActive() && mirror.Mirror.Error == nil
}
