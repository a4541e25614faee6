package jsapi

import (
	"context"
	"time"
)

// Poll calls look at once and then at every interval, until it is done or fails.
// The error is that of look, or that of ctx when it ends first.
func Poll(ctx context.Context, interval time.Duration, look func() (done bool, err error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if done, err := look(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
