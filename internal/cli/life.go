package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// watchTime is how long the link to an origin that cannot be read is watched for
// a sign of life. Servers send a heartbeat on it once a second when nothing else
// is to be sent (server/stream.go, sourceHealthHB).
const watchTime = 2500 * time.Millisecond

// signOfLife says how an origin shows that it lives, "" when it shows nothing.
// An origin that answers lives, whatever it answers, and one that is not found
// does not. One that cannot be read, for want of an export, a permission or a
// link, is watched through its mirror.
func (s *session) signOfLife(ctx context.Context, read originRead, mirror *stream.Info) (string, error) {
	switch {
	case errors.Is(read.err, context.Canceled):
		return "", read.err
	case errors.Is(read.err, jsapi.ErrNotFound):
		return "", nil
	case read.answered():
		return fmt.Sprintf("the origin, %v, still answers", read.origin), nil
	}
	return s.watchLink(ctx, read, mirror.Config.Name)
}

// answered says that there is an origin, whatever it answers.
func (r originRead) answered() bool {
	return r.stream != nil || errors.Is(r.err, kvcfg.ErrNotBucket) || errors.Is(r.err, jsapi.ErrMalformed) || errors.Is(r.err, jsapi.ErrRejected)
}

// lifeSince is how an origin that showed no sign of life up to a time has shown
// one since; "" when it has not. now is the mirror as it was asked for at a later
// time, and the origin was read after that.
func lifeSince(seen time.Time, read originRead, now *stream.Info, asked time.Time) string {
	switch {
	case read.answered():
		return fmt.Sprintf("the origin, %v, answers again", read.origin)
	case !errors.Is(read.err, jsapi.ErrNotFound) && now.Mirror.EverActive() && asked.Add(-now.Mirror.Active).After(seen):
		return fmt.Sprintf("the origin, %v, cannot be read, but the mirror hears of it again", read.origin)
	}
	return ""
}

// watchLink looks at a mirror until it has heard of its origin once more, or
// watchTime is over. It fails when the mirror cannot be looked at twice.
func (s *session) watchLink(ctx context.Context, read originRead, mirror string) (string, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	start := time.Now()
	// When the link was last heard of, at the latest, as the first look told:
	// what the server says is true at some moment between question and answer.
	var first time.Time
	for looks := 0; looks < 2 || time.Since(start) < watchTime; {
		asked := time.Now()
		now, err := s.own.Stream(ctx, mirror)
		heard := err == nil && now.Mirror.EverActive()
		switch {
		case err != nil && (ctx.Err() != nil || time.Since(start) >= watchTime):
			return "", fmt.Errorf("whether the origin lives cannot be told by its mirror: %w", err)
		case err != nil:
		case looks == 0 && heard:
			first = time.Now().Add(-now.Mirror.Active)
		case heard && asked.Add(-now.Mirror.Active).After(first):
			return fmt.Sprintf("the origin, %v, cannot be read, but the mirror hears of it", read.origin), nil
		}
		if err == nil {
			looks++
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "", nil
}
