package content

import (
	"context"
	"errors"
	"slices"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// maxGaps is how many sequences without a message are held, eight bytes each.
const maxGaps = 2_000_000

// Gaps are the sequences between an origin's messages that a walk found no message for.
// A stream never holds one of these again, so as long as it has as many messages as they
// leave, it has exactly those, and need not be walked a second time.
type Gaps struct {
	created time.Time // of the stream; zero when nothing is known
	deleted []uint64
	next    uint64 // after the last message of the walk; 0 before the first
	many    bool   // more than are held; nothing is known then
}

// add adds the sequences before that of the next message of the walk.
func (g *Gaps) add(seq uint64) {
	if g.next > 0 {
		g.fill(seq)
	}
	g.next = seq + 1
}

// fill adds the sequences from the next one to before another.
func (g *Gaps) fill(to uint64) {
	if g.many = g.many || to-g.next > uint64(maxGaps-len(g.deleted)); g.many {
		g.deleted = nil
		return
	}
	for seq := g.next; seq < to; seq++ {
		g.deleted = append(g.deleted, seq)
	}
}

// end notes that a stream was walked up to a sequence, all of its messages.
func (g *Gaps) end(of *stream.Info, to uint64) {
	if g.next == 0 {
		return
	}
	if g.next <= to {
		g.fill(to + 1)
	}
	if !g.many {
		g.created = of.Created
	}
}

// sequences are those that the stream has now, if they are what the gaps leave.
func (g *Gaps) sequences(now *stream.Info) (*jsapi.Sequences, error) {
	if !g.created.Equal(now.Created) {
		return nil, jsapi.ErrNoSequences
	}
	after, _ := slices.BinarySearch(g.deleted, now.State.FirstSeq+1)
	return jsapi.NewSequences(now.State, g.deleted[after:])
}

// originSequences are the origin's sequences, and its info of the same instant: from its
// list, or from the gaps that a walk found where the list is too large.
func (c *Comparer) originSequences(ctx context.Context, known stream.State) (*stream.Info, *jsapi.Sequences, error) {
	i, s, err := c.originSide().sequences(ctx, known)
	if !errors.Is(err, jsapi.ErrNoSequences) || c.Gaps.created.IsZero() {
		return i, s, err
	}
	if i, err = c.originSide().info(ctx); err != nil {
		return nil, nil, err
	}
	s, err = c.Gaps.sequences(i)
	return i, s, err
}
