package content

import (
	"context"
	"time"

	"nats-kvmirror/internal/jsapi"
)

// moment is what both sides were when they were read.
type moment struct {
	mirror, origin *jsapi.Stream
	to             uint64 // up to where both can be compared
	behind, ahead  uint64
}

// read reads both sides and finds out up to where they can be compared. It gives
// a mirror that is behind some time.
func (c *Comparer) read(ctx context.Context) (moment, error) {
	var m moment
	var err error
	if m.origin, err = c.Origin.Stream(ctx, c.OriginStream); err != nil {
		return m, unread(err)
	}
	target := m.origin.State.LastSeq
	for start := time.Now(); ; {
		if m.mirror, err = c.Mirror.Stream(ctx, c.MirrorStream); err != nil {
			return m, err
		}
		if c.Origin.CaughtUp(ctx, c.OriginStream, m.mirror, target) {
			m.to = target
			break
		}
		if time.Since(start) > patience {
			m.to, m.behind = m.mirror.State.LastSeq, target-m.mirror.State.LastSeq
			return m, nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return m, ctx.Err()
		}
	}
	if m.mirror.State.LastSeq > target {
		// Either messages came meanwhile, or the origin is another one now.
		if m.origin, err = c.Origin.Stream(ctx, c.OriginStream); err != nil {
			return m, unread(err)
		}
		if m.origin.State.LastSeq < m.mirror.State.LastSeq {
			m.to = m.mirror.State.LastSeq
			m.ahead = m.to - m.origin.State.LastSeq
		}
	}
	return m, nil
}

// agree says whether all that the states tell of both sides is the same.
func (m moment) agree() bool {
	a, b := m.mirror.State, m.origin.State
	return a.FirstSeq == b.FirstSeq && a.LastSeq == b.LastSeq && a.Msgs == b.Msgs && a.Deleted == b.Deleted &&
		(a.Bytes == b.Bytes || m.mirror.Config.Storage != m.origin.Config.Storage)
}

// all is the range of all messages of both sides.
func (m moment) all() Range {
	from := min(m.mirror.State.FirstSeq, m.origin.State.FirstSeq)
	return Range{max(from, 1), m.to}
}

// judge is who judges at this moment.
func (m moment) judge() (*judge, error) {
	rename, ok := m.mirror.Config.Rename()
	if !ok {
		return nil, ErrRenames
	}
	j := &judge{
		mirror: m.mirror.Config, origin: m.origin.Config,
		mirrorNow: m.mirror.Time(), originNow: m.origin.Time(),
		mirrorState: m.mirror.State, behind: m.behind > 0, rename: rename,
	}
	return j, nil
}
