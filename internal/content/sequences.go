package content

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

const (
	// maxListings is how often the sequences of both sides are asked for, as long as all
	// that differed is settled when it is read.
	maxListings = 3
)

// ErrNotListed is returned where the sequences of both sides cannot be compared.
var ErrNotListed = errors.New("the sequences cannot be compared")

// lists are the sequences of both sides.
type lists struct{ mirror, origin *jsapi.Sequences }

// Older are the messages of a mirror from before its origin's first, as far as that is
// known: all those below a sequence.
type Older struct{ Before, Messages uint64 }

// Listable says whether a mirror is to hold the sequences of its origin, as far as their
// configurations tell.
func Listable(mirror, origin stream.Config) bool {
	differ, _ := historiesDiffer(mirror, origin)
	return mirror.Mirror != nil && !mirror.Filtered() && !mirror.Mirror.Begins() && len(origin.Sources) == 0 && !differ
}

// compareSequences compares the sequences of both sides and reads the messages of those
// that differ, and of their neighbours. It reports false when all messages have to be
// read; nothing was reported then.
//
// A mirror and its origin may hold other messages at the same sequences, as after the
// origin was restored from a backup: from the sequence where they parted to the one that
// the mirror had come to. Where a message in between is on one side alone, a neighbour of
// it is different, or nothing in between is on both sides.
func (c *Comparer) compareSequences(ctx context.Context, result *Result) (done bool, err error) {
	for range maxListings {
		now, l, err := c.lists(ctx)
		if err != nil {
			return false, ctx.Err()
		}
		candidates, neighbours, common := l.candidates(now.to)
		*result = c.newResult()
		result.Method, result.Through, result.Compared, result.Skew = BySequences, now.to, common, now.skew()
		before := min(l.origin.First(), l.mirror.Last()+1)
		result.Older = Older{before, l.mirror.Count(before - 1)}
		if c.Progress != nil {
			c.Progress(now.mirror.State.Msgs, now.mirror.State.Msgs)
		}
		switch {
		case candidates.n == 0 && now.mirror.State.LastSeq != now.origin.State.LastSeq && c.Count == nil:
			continue // messages arrive: their states are not of the same messages
		case candidates.n == 0:
			result.Verdict = SameSequences
			return now.mirror.State.LastSeq != now.origin.State.LastSeq || alike(now), nil
		case c.Count != nil && (candidates.n > c.Count.Most || c.topSide() != nil):
			return false, nil
		}
		read := func() (*seqSet, error) { return c.readCandidates(ctx, now, l, candidates, result) }
		if now, err = c.settle(ctx, candidates, neighbours, read, result); err != nil {
			return false, err
		}
		result.Behind, result.Ahead, result.Skew = now.behind, now.ahead, now.skew()
		switch {
		case result.differences() > 0:
			result.Verdict = Differs
			return true, nil
		case result.Unresolved > 0 || result.Pending > 0 || result.Unreadable > 0:
			return c.Count == nil, nil
		case c.Count != nil:
			return true, nil // nothing that differed does so still
		case result.ByDesign > 0 || result.Uncertain > 0 || result.Behind > 0 || result.Ahead > 0:
			return false, nil
		}
	}
	return false, nil
}

// lists asks both sides for their sequences, and for their states of the same instants.
func (c *Comparer) lists(ctx context.Context) (now snapshot, l lists, err error) {
	if c.KnownMirror != nil && c.KnownOrigin != nil {
		known := snapshot{mirror: c.KnownMirror, origin: c.KnownOrigin}
		c.KnownMirror, c.KnownOrigin = nil, nil // for once
		now, l, err = c.listsOf(ctx, known)
		if err != nil {
			return now, l, err
		}
		if now.to = l.mirror.Last(); now.to == l.origin.Last() {
			return now, l, nil
		}
	}
	known, err := c.snapshot(ctx)
	if err != nil {
		return now, l, err
	}
	if known.behind > 0 || known.ahead > 0 {
		return now, l, ErrNotListed
	}
	now, l, err = c.listsOf(ctx, known)
	now.to = known.to
	return now, l, err
}

// listsOf asks both sides, of which this was just read, for their sequences.
func (c *Comparer) listsOf(ctx context.Context, known snapshot) (now snapshot, l lists, err error) {
	if !Listable(known.mirror.Config, known.origin.Config) {
		return now, l, ErrNotListed
	}
	var mirrorErr, originErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		asked := time.Now()
		if now.mirror, l.mirror, mirrorErr = c.mirrorSide().sequences(ctx, known.mirror.State); mirrorErr == nil {
			now.mirrorClock = clockOf(now.mirror, asked, time.Now())
		}
	})
	wg.Go(func() {
		asked := time.Now()
		if now.origin, l.origin, originErr = c.originSequences(ctx, known.origin.State); originErr == nil {
			now.originClock = clockOf(now.origin, asked, time.Now())
		}
	})
	wg.Wait()
	if err = errors.Join(mirrorErr, originErr); err == nil && !Listable(now.mirror.Config, now.origin.Config) {
		err = ErrNotListed
	}
	return now, l, err
}

// alike says whether both sides, which have the same sequences, look the same otherwise.
func alike(now snapshot) bool {
	a, b := now.mirror.State, now.origin.State
	return a.LastSeq == b.LastSeq && a.Msgs == b.Msgs && a.FirstSeq == b.FirstSeq && a.Subjects == b.Subjects &&
		(a.Msgs == 0 || a.FirstTime.Equal(b.FirstTime) && a.LastTime.Equal(b.LastTime)) &&
		(a.Bytes == b.Bytes || now.mirror.Config.Storage != now.origin.Config.Storage)
}

// candidates are the sequences up to one that are on one side alone, with their neighbours,
// which are on both. common is how many others are on both.
func (l lists) candidates(to uint64) (candidates, neighbours *seqSet, common uint64) {
	candidates, neighbours = &seqSet{}, &seqSet{}
	extra, missing := l.mirror.Without(l.origin, to), l.origin.Without(l.mirror, to)
	common = l.mirror.Count(to)
	for _, r := range extra {
		common -= r.To - r.From + 1
	}
	neighbour := func(seq, from, through uint64) {
		if seq >= from && seq <= through && seq > candidates.last {
			candidates.add(seq)
			neighbours.add(seq)
			common--
		}
	}
	differing := slices.Concat(extra, missing)
	slices.SortFunc(differing, func(a, b jsapi.Range) int {
		if a.From < b.From {
			return -1
		}
		return 1
	})
	for i, r := range differing {
		if i == 0 {
			neighbour(l.mirror.Previous(r.From-1), 1, r.From-1)
		}
		for seq := r.From; seq <= r.To; seq++ {
			candidates.add(seq)
		}
		if i+1 < len(differing) { // whatever is between is on both sides, or on none
			end := differing[i+1].From - 1
			neighbour(l.mirror.Next(r.To+1), r.To+1, end)
			neighbour(l.mirror.Previous(end), r.To+1, end)
		} else {
			neighbour(l.mirror.Next(r.To+1), r.To+1, to)
		}
	}
	return candidates, neighbours, common
}
