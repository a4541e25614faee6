package mirror

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/content"
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

// Wait waits until the mirror has all that its origin had when it was planned. The
// error is [ErrNotCaughtUp] when that takes longer than limit, [ErrInterrupted] when
// ctx ends, and [ErrOriginUnreadable] when the origin was not read.
func (p *AddPlan) Wait(ctx context.Context, limit time.Duration) error {
	origin := p.read.origin
	if origin.info == nil {
		return fail(ErrOriginUnreadable, "cannot wait for bucket %q: the origin was not read, so its last sequence is not known", p.Bucket)
	}
	target := origin.info.State.LastSeq
	end := time.Now().Add(limit)
	stalled := false
	info, err := p.client.waitForSeq(ctx, p.Info, origin, target, func(idle time.Duration) bool {
		stalled = idle >= p.client.waits.SecondRead
		return time.Now().After(end)
	})
	p.set(info)
	p.Origin = origin.report(info)
	switch {
	case err == nil:
		p.Origin.Behind, p.Origin.BehindBound = new(uint64), false
		p.client.observer.Reached(p.Bucket, fmt.Sprintf("reached sequence %d of its origin", target)+p.compareReached(ctx, info))
		return nil
	case errors.Is(err, errGivenUp):
		if account, err := p.client.own.Account(ctx); err == nil {
			p.read.account = account // with what the mirror stores by now
		}
		return p.notCaughtUp(ErrNotCaughtUp, target, fmt.Sprintf("after %v", limit), stalled)
	case ctx.Err() != nil:
		return p.notCaughtUp(ErrInterrupted, target, "when interrupted", stalled)
	}
	return AsError(err).wrap("bucket %q %s, and cannot be read since", p.Bucket, p.wasCreated())
}

// compareReached compares the sequences of a mirror that was waited for with those of its
// origin, where that is possible, and warns if they differ. It returns what to add to what
// the mirror has.
func (p *AddPlan) compareReached(ctx context.Context, reached *stream.Info) string {
	origin := p.read.origin
	if !content.Listable(reached.Config, origin.info.Config) {
		return ""
	}
	compared, _, err := p.client.compare(ctx, origin.pair(p.Bucket, reached), ContentOptions{count: &content.Count{Most: maxCounted}}, nil)
	switch {
	case err != nil || compared.OriginUnreadable != "":
		return ""
	case compared.Verdict == SameSequences:
		return ", and has the same sequences"
	case compared.Verdict == Differs:
		p.Warnings.add("differs", "bucket %q lacks %s of its origin, and holds %s that its origin does not",
			p.Bucket, count(compared.MissingCount(), "message"), count(compared.LeftOverCount(), "message"))
		p.Warnings.advise(Advice{Code: CompareContent, Bucket: p.Bucket})
	}
	return ""
}

// wasCreated says what became of the mirror.
func (p *AddPlan) wasCreated() string {
	switch p.Action {
	case Unchanged:
		return "is unchanged"
	case Updated:
		return "was updated"
	}
	return "was created"
}

// notCaughtUp says how far the mirror came, and what it says is wrong, or, of one that
// has stalled, what is known to be.
func (p *AddPlan) notCaughtUp(kind Kind, target uint64, when string, stalled bool) error {
	cause, link := "", p.Info.Mirror
	var advice []Advice
	switch {
	case link == nil:
	case link.Error != nil:
		cause = "; the mirror says: " + link.Error.Description
	case !link.EverActive():
		cause = "; it has never been connected to its origin"
		advice = []Advice{{Code: CheckLink}}
	case stalled:
		facts := check.Facts{Mirror: p.Info, Origin: p.read.origin.info}
		facts.Stored, facts.MayStore = p.read.account.Usage(p.Info.Config.Storage, p.Info.Config.Replicas)
		if why, _ := facts.StallCause(); why != "" {
			cause = "; " + why
		}
	}
	return fail(kind, "bucket %q %s, and %s it is at sequence %d of %d%s", p.Bucket, p.wasCreated(), when, p.Info.State.LastSeq, target, cause).advise(advice...)
}
