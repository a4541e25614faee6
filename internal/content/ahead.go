package content

import (
	"bytes"
	"context"
	"sync"

	"nats-kvmirror/internal/jsapi"
)

const (
	// shortRange is how many sequences a range may have that is held in memory, and
	// maxReads how many such ranges are read at once.
	shortRange = 1_000
	maxReads   = 16
)

// readAhead reads ranges of both sides: short ones several at once, since creating a
// consumer takes two round trips, and long ones as they are visited.
type readAhead struct {
	ranges chan *rangeRead // in their order
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// rangeRead is a range that is read, or is to be.
type rangeRead struct {
	Range
	visit func(func(pair) error) error
}

// readAhead begins to read ranges. The caller visits what comes and closes it.
func (c *Comparer) readAhead(ctx context.Context, now snapshot, ranges []Range) *readAhead {
	ctx, cancel := context.WithCancel(ctx)
	a := &readAhead{ranges: make(chan *rangeRead, maxReads), cancel: cancel}
	slots := make(chan struct{}, maxReads)
	if c.Rate > 0 {
		slots = make(chan struct{}, 1)
	}
	a.done.Go(func() {
		defer close(a.ranges)
		for _, r := range ranges {
			read := &rangeRead{Range: r, visit: func(visit func(pair) error) error { return c.walk(ctx, now, r, visit) }}
			if len(ranges) > 1 && r.To-r.From < shortRange {
				select {
				case slots <- struct{}{}:
				case <-ctx.Done():
					return
				}
				var pairs []pair
				var err error
				ready := make(chan struct{})
				a.done.Go(func() {
					defer close(ready)
					err = c.walk(ctx, now, r, func(p pair) error {
						pairs = append(pairs, pair{kept(p.mirror), kept(p.origin)})
						return nil
					})
					<-slots
				})
				read.visit = func(visit func(pair) error) error {
					<-ready
					for _, p := range pairs {
						if err := visit(p); err != nil {
							return err
						}
					}
					return err
				}
			}
			select {
			case a.ranges <- read:
			case <-ctx.Done():
				return
			}
		}
	})
	return a
}

// close ends the reading, which leaves no consumer.
func (a *readAhead) close() {
	a.cancel()
	a.done.Wait()
}

// kept is a copy of a message that stays valid.
func kept(m *jsapi.MsgMeta) *jsapi.MsgMeta {
	if m == nil {
		return nil
	}
	k := *m
	k.Subject, k.ControlHeaders, k.Digest = bytes.Clone(m.Subject), bytes.Clone(m.ControlHeaders), bytes.Clone(m.Digest)
	return &k
}
