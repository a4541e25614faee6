package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/nats-io/natscli/columns"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/render"
)

// waitFor waits until the mirror has reached the origin's last sequence as it
// was read at the start. Lag says nothing (it is 0 also when the mirror has
// never connected); sequence numbers do, since a mirror keeps the origin's.
//
// A mirror does not reach a sequence whose message it does not take, or that
// has expired before it came, so when the mirror stands still the origin is
// asked whether anything is left.
func (o *addOptions) waitFor(ctx context.Context, rt *runtime, s *session, r *render.Report, origin originRead) error {
	if origin.stream == nil {
		return fail(kindOriginUnread, "", "cannot wait for bucket %q: how far it has to come is not known, because the origin was not read", r.Bucket)
	}
	target := origin.stream.State.LastSeq
	bar := newBar(rt, s.style, r.Bucket, target)
	defer bar.stop()

	limit := time.NewTimer(*o.wait)
	defer limit.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	mirror := r.Source
	for {
		at := mirror.State.LastSeq
		bar.at(at)
		if at >= target || nothingLeft(ctx, origin, mirror, target) {
			r.SetStream(mirror)
			r.Origin = origin.report(mirror)
			var none uint64
			r.Origin.Behind, r.Origin.BehindBound = &none, false
			bar.finish(fmt.Sprintf("Bucket %s has reached sequence %s of its origin", r.Bucket, columns.F(target)))
			return nil
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return notCaughtUp(r, mirror, origin, target, kindNotCaughtUp, fmt.Sprintf("after %v", *o.wait))
		case <-ctx.Done():
			return notCaughtUp(r, mirror, origin, target, kindInterrupted, "when interrupted")
		}
		if again, err := s.own.Stream(ctx, r.Stream); err == nil {
			mirror = again
		}
	}
}

// nothingLeft says that the origin has no message up to target that the mirror
// still has to take. A mirror that has not been in touch yet does not ask.
func nothingLeft(ctx context.Context, origin originRead, mirror *jsapi.Stream, target uint64) bool {
	if mirror.Mirror == nil || mirror.Mirror.Active < 0 || mirror.Mirror.Error != nil {
		return false
	}
	next, err := origin.api.Left(ctx, origin.origin.Stream(), mirror.State.LastSeq, mirror.Config.Filters())
	return err == nil && (next == 0 || next > target)
}

// notCaughtUp says how far the mirror came, and what it says is wrong.
func notCaughtUp(r *render.Report, mirror *jsapi.Stream, origin originRead, target uint64, kind, when string) error {
	done := "was created"
	if r.Action == render.Unchanged {
		done = "is unchanged"
	}
	r.SetStream(mirror)
	r.Origin = origin.report(mirror)
	hint, cause := "", ""
	if r.Mirror != nil && r.Mirror.Error != "" {
		cause = "; the mirror says: " + r.Mirror.Error
	} else if r.Mirror != nil && r.Mirror.Active < 0 {
		cause = "; it has never heard of its origin"
		hint = "is the link up, and may the mirror create a consumer on the origin?"
	}
	return fail(kind, hint, "bucket %q %s, and %s it is at sequence %d of %d%s", r.Bucket, done, when, mirror.State.LastSeq, target, cause)
}

// bar shows how a wait goes on: a progress bar on a terminal, one line at the
// end otherwise.
type bar struct {
	rt      *runtime
	writer  progress.Writer
	tracker *progress.Tracker
}

func newBar(rt *runtime, style render.Style, bucket string, target uint64) *bar {
	b := &bar{rt: rt}
	if !isTerminal(rt.err) {
		return b
	}
	b.tracker = &progress.Tracker{Message: "Waiting for " + bucket, Total: int64(max(target, 1))}
	b.writer = progress.NewWriter()
	b.writer.SetStyle(barStyle(style))
	b.writer.SetOutputWriter(rt.err)
	b.writer.SetAutoStop(false)
	b.writer.SetNumTrackersExpected(1)
	b.writer.SetUpdateFrequency(barUpdate)
	b.writer.AppendTracker(b.tracker)
	go b.writer.Render()
	return b
}

func (b *bar) at(seq uint64) {
	if b.tracker != nil {
		b.tracker.SetValue(int64(seq))
	}
}

// finish ends the bar, or says in a line what it would have shown.
func (b *bar) finish(line string) {
	if b.tracker != nil {
		b.tracker.MarkAsDone()
		return
	}
	fmt.Fprintln(b.rt.err, line)
}

// stop ends the drawing and waits for the last of it.
func (b *bar) stop() {
	if b.writer == nil {
		return
	}
	b.writer.Stop()
	waitForBar(b.writer)
}
