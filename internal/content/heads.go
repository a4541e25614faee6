package content

import (
	"context"
	"slices"
	"time"

	"nats-kvmirror/internal/jsapi"
)

// maxHeads is how many messages are held between two looks at what differs, some 200 bytes
// each.
const maxHeads = 250_000

// maxRead is how many candidates are read before the second look.
const maxRead = 1_000_000

// heads are messages of both sides that were read, by sequence. As long as a stream has
// one, it is always the same: a second look asks only whether it is still there.
type heads struct {
	mirror, origin               map[uint64]*jsapi.MsgMeta
	mirrorCreated, originCreated time.Time
}

// newHeads is for the streams of a snapshot.
func newHeads(now snapshot) *heads {
	return &heads{map[uint64]*jsapi.MsgMeta{}, map[uint64]*jsapi.MsgMeta{}, now.mirror.Created, now.origin.Created}
}

// add holds a pair, unless that would be too many.
func (h *heads) add(p pair) {
	if len(h.mirror)+len(h.origin) >= maxHeads {
		return
	}
	if p.mirror != nil {
		h.mirror[p.mirror.Seq] = clone(p.mirror)
	}
	if p.origin != nil {
		h.origin[p.origin.Seq] = clone(p.origin)
	}
}

// clone is a message that stays valid.
func clone(m *jsapi.MsgMeta) *jsapi.MsgMeta {
	c := *m
	c.Subject, c.ControlHeaders, c.Digest = slices.Clone(m.Subject), slices.Clone(m.ControlHeaders), slices.Clone(m.Digest)
	return &c
}

// of says whether they are of the streams of a snapshot.
func (h *heads) of(now snapshot) bool {
	return h != nil && h.mirrorCreated.Equal(now.mirror.Created) && h.originCreated.Equal(now.origin.Created)
}

// pairs are those of sequences, as lists have them now; ok is false if one was not read.
func (h *heads) pairs(l *lists, seqs []uint64) (pairs []pair, ok bool) {
	pairs = make([]pair, len(seqs))
	for i, seq := range seqs {
		pairs[i] = pair{h.mirror[seq], h.origin[seq]}
		if l.mirror.Has(seq) != (pairs[i].mirror != nil) {
			if l.mirror.Has(seq) || seq > l.mirror.Last() {
				return nil, false
			}
			pairs[i].mirror = nil
		}
		if l.origin.Has(seq) != (pairs[i].origin != nil) {
			if l.origin.Has(seq) || seq > l.origin.Last() {
				return nil, false
			}
			pairs[i].origin = nil
		}
	}
	return pairs, true
}

// readCandidates reads the candidates, which were listed, for the next look at them, and
// returns those that need one: what is on both sides and the same is counted.
func (c *Comparer) readCandidates(ctx context.Context, now snapshot, l lists, candidates *seqSet, result *Result) (*seqSet, error) {
	if candidates.n > maxRead {
		return candidates, nil
	}
	cl, err := now.classifier()
	if err != nil {
		return nil, err
	}
	held, left := newHeads(now), &seqSet{}
	for _, p := range candidates.parts() {
		known := candidates.reader()
		err := c.pairs(ctx, now, &l, p, candidates, func(p pair) error {
			switch {
			case !known.has(p.seq()):
			case p.mirror != nil && p.origin != nil && difference(p, cl.rename) == "" && !p.mirror.Unreadable && !p.origin.Unreadable:
				result.count(p, same)
			default:
				left.add(p.seq())
				held.add(p)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	c.heads = held
	return left, nil
}
