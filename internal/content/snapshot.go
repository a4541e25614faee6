package content

import (
	"context"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// snapshot is the stream info of both sides when they were read.
type snapshot struct {
	mirror, origin           *stream.Info
	mirrorClock, originClock clock
	to                       uint64 // the last sequence that can be compared
	behind, ahead            uint64
}

// snapshot reads both sides and finds out up to which sequence they can be
// compared. It waits some time for a mirror that is behind.
func (c *Comparer) snapshot(ctx context.Context) (snapshot, error) {
	var s snapshot
	var err error
	waits := c.Waits.orDefault()
	if s.origin, s.originClock, err = read(ctx, c.originSide()); err != nil {
		return s, &originError{err}
	}
	target := s.origin.State.LastSeq
	for start := time.Now(); ; {
		if s.mirror, s.mirrorClock, err = read(ctx, c.mirrorSide()); err != nil {
			return s, err
		}
		if c.originSide().caughtUp(ctx, s.mirror, target) {
			s.to = target
			break
		}
		if time.Since(start) > waits.CatchUp {
			s.to, s.behind = s.mirror.State.LastSeq, target-s.mirror.State.LastSeq
			return s, nil
		}
		select {
		case <-time.After(waits.Poll):
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
	if s.mirror.State.LastSeq > target {
		// Either messages arrived meanwhile, or the origin is another one now.
		if s.origin, s.originClock, err = read(ctx, c.originSide()); err != nil {
			return s, &originError{err}
		}
		if s.origin.State.LastSeq < s.mirror.State.LastSeq {
			s.to = s.mirror.State.LastSeq
			s.ahead = s.to - s.origin.State.LastSeq
		}
	}
	return s, nil
}

// read reads a stream and measures its server's clock.
func read(ctx context.Context, s side) (*stream.Info, clock, error) {
	asked := time.Now()
	i, err := s.info(ctx)
	if err != nil {
		return nil, clock{}, err
	}
	return i, clockOf(i, asked, time.Now()), nil
}

// skew is how far the mirror's clock is ahead of the origin's.
func (s snapshot) skew() time.Duration { return skew(s.mirrorClock, s.originClock) }

// all is the range of all messages of both sides.
func (s snapshot) all() jsapi.Range {
	from := min(s.mirror.State.FirstSeq, s.origin.State.FirstSeq)
	return jsapi.Range{From: max(from, 1), To: s.to}
}

// classifier is one without a history.
func (s snapshot) classifier() (*classifier, error) {
	rename, ok := s.mirror.Config.Rename()
	if !ok {
		return nil, ErrRenames
	}
	return &classifier{
		mirror: s.mirror.Config, origin: s.origin.Config,
		mirrorClock: s.mirrorClock, originClock: s.originClock,
		mirrorState: s.mirror.State, behind: s.behind > 0, rename: rename,
	}, nil
}
