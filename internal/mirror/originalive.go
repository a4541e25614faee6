package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// signOfLife says how an origin shows that it is alive, "" when it does not.
// An origin that answers is alive, whatever it answers, and one that is not found
// is not. One that cannot be read, for want of an export, a permission or a
// link, is watched through its mirror.
func (c *Client) signOfLife(ctx context.Context, read originRead, mirror *stream.Info) (string, error) {
	switch {
	case errors.Is(read.err, context.Canceled):
		return "", AsError(read.err)
	case errors.Is(read.err, jsapi.ErrNotFound):
		return "", nil
	case read.answered():
		return fmt.Sprintf("the origin, %v, answers", read.origin), nil
	}
	return c.watchLink(ctx, read, mirror.Config.Name)
}

// signOfLifeSince says how an origin that showed no sign of life up to a time has shown
// one since; "" when it has not. now is the mirror as it was asked for at a later
// time, and the origin was read after that.
func signOfLifeSince(watched time.Time, read originRead, now *stream.Info, asked time.Time) string {
	switch {
	case read.answered():
		return fmt.Sprintf("the origin, %v, answers again", read.origin)
	case !errors.Is(read.err, jsapi.ErrNotFound) && now.Mirror.EverActive() && asked.Add(-now.Mirror.Active).After(watched):
		return fmt.Sprintf("the origin, %v, cannot be read, but the mirror's link to it is active again", read.origin)
	}
	return ""
}

// watchLink reads a mirror until its link has been active once more, or Waits.Watch
// is over. It fails when the mirror cannot be read twice.
func (c *Client) watchLink(ctx context.Context, read originRead, mirror string) (string, error) {
	start, reads, sign := time.Now(), 0, ""
	// When the link was last active, at the latest, as the first read told: what the
	// server says is true at some time between question and answer.
	var first time.Time
	err := jsapi.Poll(ctx, c.waits.Poll, func() (bool, error) {
		asked := time.Now()
		now, err := c.own.Stream(ctx, mirror)
		over := time.Since(start) >= c.waits.Watch
		if err != nil {
			if ctx.Err() != nil || over {
				return false, fmt.Errorf("whether the origin is alive cannot be told by its mirror: %w", err)
			}
			return false, nil
		}
		reads++
		active := now.Mirror.EverActive()
		switch {
		case reads == 1 && active:
			first = time.Now().Add(-now.Mirror.Active)
		case reads > 1 && active && asked.Add(-now.Mirror.Active).After(first):
			sign = fmt.Sprintf("the origin, %v, cannot be read, but the mirror's link to it is active", read.origin)
			return true, nil
		}
		return reads >= 2 && over, nil
	})
	if err != nil {
		return "", AsError(err)
	}
	return sign, nil
}
