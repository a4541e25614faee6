package cli

import (
	"fmt"
	"math"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/text"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

const (
	barUpdate = 250 * time.Millisecond
	// slowness is how long something takes that gets a slow bar.
	slowness = time.Second
)

// bar shows on a terminal how something goes on; elsewhere nothing is drawn.
type bar struct {
	rt      *runtime
	writer  progress.Writer // nil when nothing is drawn
	tracker *progress.Tracker
	begin   *time.Timer   // draws it later; nil when it is drawn at once
	drawn   chan struct{} // closed when nothing more is drawn
	done    bool          // what it is for came to its end
}

// observer shows on this run's streams what goes on.
func (rt *runtime) observer() mirror.Observer {
	return mirror.Observer{
		Begin:    rt.begin,
		Finished: rt.finished,
		Saved: func(bucket, file string) {
			fmt.Fprintf(rt.Err, "the configuration of bucket %s is saved in %s until it is created again\n", bucket, file)
		},
		Reached: func(bucket, what string) {
			if !rt.quiet {
				fmt.Fprintf(rt.Err, "Bucket %s has %s\n", bucket, render.Clean(what))
			}
		},
	}
}

// begin shows a bar for a task: of sequences that are waited for at once, otherwise
// when it takes long.
func (rt *runtime) begin(task mirror.Task, bucket string) (at func(done, of uint64), end func(ok bool)) {
	look := barStyle(rt.style)
	var b *bar
	switch task {
	case mirror.TaskWait:
		if b = newBar(rt, look, "Waiting for "+bucket); b.writer != nil {
			go b.draw()
		}
	case mirror.TaskRead:
		b = later(newBar(rt, look, "Reading mirrors"))
	default:
		look.Visibility.ETA = true
		look.Options.ETAPrecision = time.Second
		what := "Comparing "
		if task == mirror.TaskPurge {
			what = "Purging "
		}
		b = later(newBar(rt, look, what+bucket))
	}
	return b.at, func(ok bool) {
		b.done = ok
		b.stop()
	}
}

// finished says in a line what became of a mirror, and what helps.
func (rt *runtime) finished(m mirror.Member) {
	text, hint := "", ""
	switch {
	case m.Err != nil:
		f := rt.in(m.Domain).explain(m.Err)
		text, hint = ": "+f.Error(), f.hint
	case m.Note != "":
		text = ": " + m.Note
	case m.Purge != nil && m.Action == mirror.Updated:
		text = fmt.Sprintf(": %s purged; it %s", plural(m.Purge.Purged, "message"), render.Sentence(m.Content))
	}
	rt.say("%s: %s%s", m.Name(), m.Action, text)
	if !rt.json {
		rt.showHints(hint)
	}
}

// plural is so many of something.
func plural[N int | uint64](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func later(b *bar) *bar {
	if b.writer != nil {
		b.begin = time.AfterFunc(slowness, b.draw)
	}
	return b
}

func newBar(rt *runtime, look progress.Style, what string) *bar {
	b := &bar{rt: rt}
	if !isTerminal(rt.Err) {
		return b
	}
	b.tracker = &progress.Tracker{Message: what}
	b.drawn = make(chan struct{})
	b.writer = progress.NewWriter()
	b.writer.SetStyle(look)
	b.writer.SetOutputWriter(rt.Err)
	b.writer.SetNumTrackersExpected(1)
	b.writer.SetUpdateFrequency(barUpdate)
	b.writer.AppendTracker(b.tracker)
	return b
}

func (b *bar) draw() {
	defer close(b.drawn)
	b.writer.Render()
}

// at moves the bar.
func (b *bar) at(done, known uint64) {
	if b.tracker != nil {
		b.tracker.UpdateTotal(int64(min(max(known, 1), math.MaxInt64)))
		b.tracker.SetValue(int64(min(done, math.MaxInt64)))
	}
}

// stop ends the drawing and waits for the last of it.
func (b *bar) stop() {
	if b.writer == nil || b.begin != nil && b.begin.Stop() {
		return
	}
	if b.done {
		b.tracker.MarkAsDone()
	} else {
		b.tracker.MarkAsErrored()
	}
	// A writer that has not begun yet ignores Stop (go-pretty 6.8.3).
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		b.writer.Stop()
		select {
		case <-b.drawn:
			return
		case <-again.C:
		}
	}
}

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
