package jsapi

import (
	"context"
	"time"
)

// pace limits a rate.
type pace struct {
	each time.Duration // 0 for no limit
	due  time.Time
}

func newPace(rate int) pace {
	if rate <= 0 {
		return pace{}
	}
	return pace{each: time.Second / time.Duration(rate), due: time.Now()}
}

// wait returns when the next message is due.
func (p *pace) wait(ctx context.Context) error {
	if p.each == 0 {
		return nil
	}
	p.due = p.due.Add(p.each)
	ahead := time.Until(p.due)
	switch {
	case ahead < -time.Second:
		p.due = time.Now() // lost time is not made up for
	case ahead > 10*time.Millisecond:
		select {
		case <-time.After(ahead):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
