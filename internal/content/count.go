package content

import (
	"context"
	"time"
)

// Count is how to count what differs, and nothing else. Where the sequences cannot be
// compared, more than so many messages would have to be read, or all that differs is about
// to go, the error is [ErrNotListed]. What differs is read a second time, and not until all
// is settled.
type Count struct {
	Most int
	// Slots holds one for each comparison that reads at the same time; those that pause
	// take none. Nil is no limit.
	Slots chan struct{}
}

// Begin waits for a slot, and End gives it back.
func (c *Count) Begin() {
	if c != nil && c.Slots != nil {
		c.Slots <- struct{}{}
	}
}

// End gives back the slot.
func (c *Count) End() {
	if c != nil && c.Slots != nil {
		<-c.Slots
	}
}

// pause waits until it is over, without a slot.
func (c *Count) pause(ctx context.Context, over <-chan time.Time) error {
	c.End()
	defer c.Begin()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
