package content

import (
	"context"
	"time"

	"nats-kvmirror/internal/stream"
)

// snapshot is the stream info of both sides when they were read.
type snapshot struct {
	mirror, origin *stream.Info
	to             uint64 // the last sequence that can be compared
	behind, ahead  uint64
}

// snapshot reads both sides and finds out up to which sequence they can be
// compared. It waits some time for a mirror that is behind.
func (c *Comparer) snapshot(ctx context.Context) (snapshot, error) {
	var s snapshot
	var err error
	waits := c.Waits.orDefault()
	if s.origin, err = c.Origin.Stream(ctx, c.OriginStream); err != nil {
		return s, &originError{err}
	}
	target := s.origin.State.LastSeq
	for start := time.Now(); ; {
		if s.mirror, err = c.Mirror.Stream(ctx, c.MirrorStream); err != nil {
			return s, err
		}
		if c.Origin.CaughtUp(ctx, c.OriginStream, s.mirror, target) {
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
		if s.origin, err = c.Origin.Stream(ctx, c.OriginStream); err != nil {
			return s, &originError{err}
		}
		if s.origin.State.LastSeq < s.mirror.State.LastSeq {
			s.to = s.mirror.State.LastSeq
			s.ahead = s.to - s.origin.State.LastSeq
		}
	}
	return s, nil
}

// countsAgree says whether the states of both sides are the same.
func (s snapshot) countsAgree() bool {
	a, b := s.mirror.State, s.origin.State
	return a.FirstSeq == b.FirstSeq && a.LastSeq == b.LastSeq && a.Msgs == b.Msgs && a.Deleted == b.Deleted &&
		(a.Bytes == b.Bytes || s.mirror.Config.Storage != s.origin.Config.Storage)
}

// all is the range of all messages of both sides.
func (s snapshot) all() Range {
	from := min(s.mirror.State.FirstSeq, s.origin.State.FirstSeq)
	return Range{max(from, 1), s.to}
}

// classifier is one without a history.
func (s snapshot) classifier() (*classifier, error) {
	rename, ok := s.mirror.Config.Rename()
	if !ok {
		return nil, ErrRenames
	}
	return &classifier{
		mirror: s.mirror.Config, origin: s.origin.Config,
		mirrorNow: s.mirror.ServerTime(), originNow: s.origin.ServerTime(),
		mirrorState: s.mirror.State, behind: s.behind > 0, rename: rename,
	}, nil
}
