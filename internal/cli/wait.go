package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/natscli/columns"

	"nats-kvmirror/internal/render"
	"nats-kvmirror/internal/stream"
)

// errGivenUp is returned when a mirror has not come to where it was to come.
var errGivenUp = errors.New("given up")

// reach waits until a mirror has reached a sequence of its origin, and returns it
// as it was last read. Lag says nothing (it is 0 also when the mirror has never
// connected); sequence numbers do, since a mirror keeps the origin's. The error is
// [errGivenUp] when giveUp, which is told for how long nothing has come, says so,
// that of ctx when that ends, and that of the read when the mirror cannot be
// read for a timeout.
//
// A mirror does not reach a sequence whose message it does not take, or that
// has expired before it came, so when the mirror stands still the origin is
// asked whether anything is left.
func (s *session) reach(ctx context.Context, mirror *stream.Info, origin originRead, target uint64, bar *bar, giveUp func(standing time.Duration) bool) (*stream.Info, error) {
	moved, seen := time.Now(), time.Now()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		bar.at(mirror.State.LastSeq, target)
		if mirror.State.LastSeq >= target || inTouch(mirror) && origin.api.CaughtUp(ctx, origin.origin.Stream(), mirror, target) {
			bar.done = true
			return mirror, nil
		}
		if giveUp(time.Since(moved)) {
			return mirror, errGivenUp
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return mirror, ctx.Err()
		}
		again, err := s.own.Stream(ctx, mirror.Config.Name)
		switch {
		case err == nil:
			if again.State.LastSeq > mirror.State.LastSeq {
				moved = time.Now()
			}
			mirror, seen = again, time.Now()
		case ctx.Err() != nil:
			return mirror, ctx.Err()
		case time.Since(seen) > s.conn.Timeout():
			return mirror, err
		}
	}
}

// inTouch says that a mirror has heard of its origin and reports no error.
func inTouch(mirror *stream.Info) bool {
	return mirror.Mirror.EverActive() && mirror.Mirror.Error == nil
}

// waitFor waits until the mirror has reached the origin's last sequence as it
// was read at the start.
func (o *addOptions) waitFor(ctx context.Context, rt *runtime, s *session, r *render.Report, origin originRead) error {
	if origin.stream == nil {
		return fail(kindOriginUnread, "", "cannot wait for bucket %q: how far it has to come is not known, because the origin was not read", r.Bucket)
	}
	target := origin.stream.State.LastSeq
	bar := newWaitBar(rt, s.style, r.Bucket)
	defer bar.stop()

	limit := time.Now().Add(*o.wait)
	mirror, err := s.reach(ctx, r.Source, origin, target, bar, func(time.Duration) bool { return time.Now().After(limit) })
	r.SetStream(mirror)
	r.Origin = origin.report(mirror)
	switch {
	case err == nil:
		var none uint64
		r.Origin.Behind, r.Origin.BehindBound = &none, false
		bar.say(fmt.Sprintf("Bucket %s has reached sequence %s of its origin", r.Bucket, columns.F(target)))
		return nil
	case errors.Is(err, errGivenUp):
		return notCaughtUp(r, mirror, target, kindNotCaughtUp, fmt.Sprintf("after %v", *o.wait))
	case ctx.Err() != nil:
		return notCaughtUp(r, mirror, target, kindInterrupted, "when interrupted")
	}
	return fmt.Errorf("bucket %q %s, and cannot be read since: %w", r.Bucket, created(r), err)
}

// created says what a mirror that is waited for is.
func created(r *render.Report) string {
	if r.Action == render.Unchanged {
		return "is unchanged"
	}
	return "was created"
}

// notCaughtUp says how far the mirror came, and what it says is wrong.
func notCaughtUp(r *render.Report, mirror *stream.Info, target uint64, kind, when string) error {
	hint, cause := "", ""
	link := mirror.Mirror
	switch {
	case link == nil:
	case link.Error != nil:
		cause = "; the mirror says: " + link.Error.Description
	case !link.EverActive():
		cause = "; it has never heard of its origin"
		hint = "is the link up, and may the mirror create a consumer on the origin?"
	}
	return fail(kind, hint, "bucket %q %s, and %s it is at sequence %d of %d%s", r.Bucket, created(r), when, mirror.State.LastSeq, target, cause)
}
