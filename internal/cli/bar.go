package cli

import (
	"fmt"
	"math"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/text"

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

// newWaitBar is a bar of sequences that are waited for, shown at once.
func newWaitBar(rt *runtime, style render.Style, bucket string) *bar {
	b := newBar(rt, barStyle(style), "Waiting for "+bucket)
	if b.writer != nil {
		go b.draw()
	}
	return b
}

// newSlowBar is a bar that shows itself when what it is for takes long.
func newSlowBar(rt *runtime, style render.Style, what string) *bar {
	return later(newBar(rt, barStyle(style), what))
}

// newContentBar is a slow bar that shows the time left.
func newContentBar(rt *runtime, style render.Style, what string) *bar {
	look := barStyle(style)
	look.Visibility.ETA = true
	look.Options.ETAPrecision = time.Second
	return later(newBar(rt, look, what))
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

// say says in a line, where nothing is drawn, what a bar that has come to its
// end shows.
func (b *bar) say(line string) {
	if b.tracker == nil {
		fmt.Fprintln(b.rt.Err, render.Clean(line))
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
	// A writer that has not begun yet does not heed Stop (go-pretty 6.8.3).
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
