package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/text"

	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
)

// readFleet reads the named mirrors, or all when none is named, with a progress
// bar when it takes long.
func (rt *runtime) readFleet(ctx context.Context, s *session, buckets []string) (fleet.Fleet, error) {
	for _, bucket := range buckets {
		if err := kvcfg.ValidateBucket(bucket); err != nil {
			return fleet.Fleet{}, err
		}
	}
	bar := newSlowBar(rt, s.style, "Reading mirrors")
	defer bar.stop()
	r := &fleet.Reader{Conn: s.conn, Own: s.own, Progress: bar.at}
	if len(buckets) > 0 {
		return r.Named(ctx, slices.Compact(slices.Sorted(slices.Values(buckets))))
	}
	return r.All(ctx)
}

// noteProblems says what could not be read.
func (rt *runtime) noteProblems(r *render.Fleet, read fleet.Fleet) {
	for _, p := range read.Problems {
		r.Problems = append(r.Problems, p.Error())
		if !rt.json {
			fmt.Fprintf(rt.err, "warning: not read: %s\n", render.Clean(p.Error()))
		}
	}
}

// member says of a mirror what was read and found.
func member(m fleet.Mirror, own string, findings []kvcfg.Finding) render.Member {
	f := m.Facts
	member := render.Member{
		Bucket:    m.Bucket,
		Stream:    f.Mirror.Config.Name,
		Origin:    render.MemberOrigin{Bucket: m.Origin.Bucket, Stream: m.Origin.Stream(), APIPrefix: m.Origin.Prefix(own)},
		PerKeyTTL: f.Mirror.Config.AllowMsgTTL,
		Values:    f.Mirror.State.Msgs,
		Bytes:     f.Mirror.State.Bytes,
		LastSeq:   f.Mirror.State.LastSeq,
		State:     kvcfg.Worst(findings),
		Findings:  findings,
	}
	if f.Link != nil {
		member.Active = &f.Link.Active
	}
	if c, ok := f.Compare(); ok {
		member.Behind = &c.Behind
		member.Origin.Reachable = true
		member.Origin.PerKeyTTL = &f.Origin.Config.AllowMsgTTL
		member.Origin.LastSeq = &f.Origin.State.LastSeq
	}
	return member
}

// problemFinding is a problem of reading as a finding about the fleet: what is
// known not to be there is critical, and what is not known is unknown.
func problemFinding(p fleet.Problem) kvcfg.Finding {
	f := kvcfg.Finding{Code: "unread", Severity: kvcfg.Unknown, Message: p.Error(), Remedy: kvcfg.ByNothing, Mend: "see to the cause and look again"}
	switch {
	case errors.Is(p, jsapi.ErrNotFound):
		f.Code, f.Severity = "not-found", kvcfg.Critical
	case errors.Is(p, kvcfg.ErrNotMirror), errors.Is(p, kvcfg.ErrNotBucket):
		f.Code, f.Severity = "not-a-mirror", kvcfg.Critical
	}
	return f
}

// finishFleet shows what a command on many mirrors did and returns the exit
// code: like finish.
func (rt *runtime) finishFleet(r render.Fleet, err error) int {
	var code int
	r.Action, r.Error, code = rt.outcome(r.Action, err)
	return rt.document(r, code)
}

// slowBar is a progress bar that shows itself on a terminal when what it is for
// takes longer than a second.
type slowBar struct {
	writer  progress.Writer
	tracker *progress.Tracker
	begin   *time.Timer
	started chan struct{}
	failed  bool // what it is for did not come to its end
}

func newSlowBar(rt *runtime, style render.Style, what string) *slowBar {
	return startSlowBar(rt, what, barStyle(style))
}

// newContentBar is a slow bar that shows the time left.
func newContentBar(rt *runtime, style render.Style, what string) *slowBar {
	look := barStyle(style)
	look.Visibility.ETA = true
	look.Options.ETAPrecision = time.Second
	return startSlowBar(rt, what, look)
}

func startSlowBar(rt *runtime, what string, look progress.Style) *slowBar {
	b := &slowBar{}
	if !isTerminal(rt.err) {
		return b
	}
	b.tracker = &progress.Tracker{Message: what}
	b.writer = progress.NewWriter()
	b.writer.SetStyle(look)
	b.writer.SetOutputWriter(rt.err)
	b.writer.SetNumTrackersExpected(1)
	b.writer.SetUpdateFrequency(barUpdate)
	b.writer.AppendTracker(b.tracker)
	b.started = make(chan struct{})
	b.begin = time.AfterFunc(time.Second, func() {
		close(b.started)
		b.writer.Render()
	})
	return b
}

// at moves the bar.
func (b *slowBar) at(done, known int) {
	if b.tracker != nil {
		b.tracker.UpdateTotal(int64(known))
		b.tracker.SetValue(int64(done))
	}
}

// stop takes the bar away.
func (b *slowBar) stop() {
	if b.writer == nil {
		return
	}
	if b.begin.Stop() {
		return // it was never shown
	}
	<-b.started
	if b.failed {
		b.tracker.MarkAsErrored()
	} else {
		b.tracker.MarkAsDone()
	}
	b.writer.Stop()
	waitForBar(b.writer)
}

const barUpdate = 250 * time.Millisecond

// barStyle is the look of bars, which is that of `nats`.
func barStyle(style render.Style) progress.Style {
	look := progress.StyleBlocks
	look.Visibility.ETA = false
	look.Visibility.Speed = true
	look.Colors.Tracker = text.Colors{style.Color()}
	look.Options.Separator = " "
	look.Options.TimeInProgressPrecision = time.Millisecond
	return look
}

// waitForBar waits until the last of a bar is drawn.
func waitForBar(w progress.Writer) {
	for w.IsRenderInProgress() {
		time.Sleep(10 * time.Millisecond)
	}
}

// plural is a count with its word.
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
