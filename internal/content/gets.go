package content

import (
	"context"
	"sync"
	"sync/atomic"

	"nats-kvmirror/internal/jsapi"
)

const (
	// maxGets is how many messages of a part are read one by one, and getsUnderWay how
	// many at once.
	maxGets      = 10_000
	getsUnderWay = 64
	// getCost is how many messages are read by a consumer in the time of one that is read
	// by itself.
	getCost = 20
	// unsizedCost is that for one whose size is not known, where a leafnode is between.
	unsizedCost = 10_000
	// maxGetBytes limits the bodies that come along with messages that are read one by one.
	maxGetBytes = 64 << 20
)

// pairs visits the candidates of a part, and maybe others of its range: those that were read
// before and are still listed, or one by one where they are few, or else by reading the
// range.
func (c *Comparer) pairs(ctx context.Context, now snapshot, l *lists, p part, candidates *seqSet, visit func(pair) error) error {
	seqs := candidates.within(p.Range)
	var pairs []pair
	known := false
	if l != nil && c.heads.of(now) {
		pairs, known = c.heads.pairs(l, seqs)
	}
	if !known && l != nil && c.gettable(now, p) && c.sized(now, l, p.Range, seqs) {
		pairs = make([]pair, len(seqs))
		known = c.getAll(ctx, now, l, seqs, pairs)
	}
	switch {
	case !known && c.Count != nil && p.To-p.From > uint64(c.Count.Most)*getCost:
		return ErrNotListed
	case !known:
		return c.walk(ctx, now, p.Range, visit)
	}
	for _, p := range pairs {
		if p.mirror == nil && p.origin == nil {
			continue
		}
		if err := visit(p); err != nil {
			return err
		}
	}
	return nil
}

// gettable says whether the messages of a part are read one by one: that costs less, and
// the answers tell what the streams hold.
func (c *Comparer) gettable(now snapshot, p part) bool {
	mirror, origin := now.mirror, now.origin
	size := max(mirror.State.Bytes/max(mirror.State.Msgs, 1), origin.State.Bytes/max(origin.State.Msgs, 1))
	return !c.Bodies && c.Rate == 0 && p.n <= maxGets && uint64(p.n)*getCost < p.To-p.From+farApart && uint64(p.n)*size < maxGetBytes &&
		mirror.Config.AllowDirect && origin.Config.AllowDirect && !mirror.Config.Filtered()
}

// sized says whether the messages of a side that a leafnode may be in front of are mostly
// of a known size: what the other side has as well came over the same link, unless the
// origin was created again since.
func (c *Comparer) sized(now snapshot, l *lists, r jsapi.Range, seqs []uint64) bool {
	mirror, origin := c.mirrorSide().limited(), c.originSide().limited()
	if !mirror && !origin {
		return true
	}
	unsized := uint64(0)
	for _, seq := range seqs {
		known := !recreated(now) && mirror != origin
		if !known || mirror && !l.origin.Has(seq) || origin && !l.mirror.Has(seq) {
			unsized++
		}
	}
	return unsized*unsizedCost < r.To-r.From+farApart
}

// recreated says that the origin is not the stream that the mirror was made of.
func recreated(now snapshot) bool { return now.origin.Created.After(now.mirror.Created) }

// getAll reads messages that are listed one by one, and says whether all could be read.
// That there is none is never taken from an answer: it may be of a mirror that answers in
// the stream's name, or of a replica that is behind.
func (c *Comparer) getAll(ctx context.Context, now snapshot, l *lists, seqs []uint64, pairs []pair) bool {
	var failed atomic.Bool
	get := func(from side, has *jsapi.Sequences, seq uint64, size int) *jsapi.MsgMeta {
		if seq <= has.Last() && !has.Has(seq) {
			return nil
		}
		m, err := from.get(ctx, seq, size)
		if err != nil {
			failed.Store(true)
		}
		return m
	}
	sizeOf := func(m *jsapi.MsgMeta) int {
		if m == nil || recreated(now) {
			return -1
		}
		return m.Size
	}
	both := func(seq uint64) (p pair) {
		if c.mirrorSide().limited() {
			p.origin = get(c.originSide(), l.origin, seq, -1)
			p.mirror = get(c.mirrorSide(), l.mirror, seq, sizeOf(p.origin))
			return p
		}
		p.mirror = get(c.mirrorSide(), l.mirror, seq, -1)
		p.origin = get(c.originSide(), l.origin, seq, sizeOf(p.mirror))
		return p
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(getsUnderWay, len(seqs)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(seqs) || failed.Load() || ctx.Err() != nil {
					return
				}
				pairs[i] = both(seqs[i])
			}
		})
	}
	wg.Wait()
	return !failed.Load() && ctx.Err() == nil
}

// presence are the sequences of both sides as they are now, to read candidates one by
// one; nil where they cannot be had.
func (c *Comparer) presence(ctx context.Context, now snapshot) *lists {
	if _, l, err := c.listsOf(ctx, now); err == nil {
		return &l
	}
	return nil
}
