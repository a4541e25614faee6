package mirror

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/jsapi"
)

// verify compares the copy with the mirror, message by message, unless their sequences are
// enough.
func (p *CopyPlan) verify(ctx context.Context) error {
	reached, err := p.reached(ctx)
	if err != nil {
		return p.unfinished(err)
	}
	if n, ok := p.sameSequences(ctx, reached); ok {
		p.client.observer.Reached(p.Into, fmt.Sprintf("the %s of bucket %s, by their sequences", count(n, "value"), p.request.Bucket))
		p.warnOfTaken(ctx, reached)
		return nil
	}
	found, err := p.compareCopy(ctx, reached)
	if err != nil {
		return p.unfinished(fmt.Errorf("it could not be compared with bucket %q: %w", p.request.Bucket, err))
	}
	if found.wrong() > 0 {
		return fail(ErrDiffers, "bucket %q is not what bucket %q is: %d messages are missing, %d are different, %d are too many; the first at sequence %d; the unfinished copy is kept",
			p.Into, p.request.Bucket, found.missing, found.different, found.surplus, found.first).advise(Advice{Code: RemoveCopy, Stream: p.copy.Config.Name})
	}
	p.client.observer.Reached(p.Into, fmt.Sprintf("the %s of bucket %s, compared one by one", count(found.same, "value"), p.request.Bucket))
	p.warnOfTaken(ctx, reached)
	return nil
}

// warnOfTaken warns of values that the mirror has taken since the copy came to a sequence.
func (p *CopyPlan) warnOfTaken(ctx context.Context, reached uint64) {
	if next, err := p.pending(ctx, reached); err == nil && next > 0 {
		p.Warnings.add("taken-since", "bucket %s has taken values since the copy was made, from sequence %d on; they are not in bucket %s", p.request.Bucket, next, p.Into)
	}
}

// sameSequences says whether mirror and copy have messages at the same sequences up to
// one, and how many. It is false where that cannot be told without reading them.
func (p *CopyPlan) sameSequences(ctx context.Context, reached uint64) (n uint64, same bool) {
	if p.Sourced || !p.quick {
		return 0, false
	}
	var sets [2]*jsapi.Sequences
	for i, name := range []string{p.mirror.Config.Name, p.copy.Config.Name} {
		info, err := p.client.own.Stream(ctx, name)
		if err == nil {
			_, sets[i], err = p.client.own.Sequences(ctx, name, info.State)
		}
		if err != nil {
			return 0, false
		}
	}
	same = len(sets[0].Without(sets[1], reached)) == 0 && len(sets[1].Without(sets[0], reached)) == 0
	return sets[0].Count(reached), same
}

// copyCounts counts what a comparison of a copy with its mirror found.
type copyCounts struct {
	same, missing, different, surplus int
	first                             uint64 // the first sequence at which something is wrong
}

func (c *copyCounts) wrong() int { return c.missing + c.different + c.surplus }

// add counts what is wrong at a sequence of the mirror.
func (c *copyCounts) add(n *int, seq uint64) {
	if c.wrong() == 0 {
		c.first = seq
	}
	*n++
}

// compareCopy reads the mirror and its copy in the order of the mirror's sequences
// and merges them as they stream by: subjects, but for the bucket's name, times,
// headers and bodies are to be the same.
func (p *CopyPlan) compareCopy(ctx context.Context, to uint64) (*copyCounts, error) {
	original, err := p.client.own.Walk(ctx, jsapi.WalkOptions{
		Stream: p.mirror.Config.Name, To: to, Bodies: true, StripSourceHeader: p.Sourced, Replicated: p.mirror.Config.Replicas > 1,
	})
	if err != nil {
		return nil, err
	}
	defer original.Close()
	copied, err := p.client.own.Walk(ctx, jsapi.WalkOptions{
		Stream: p.copy.Config.Name, To: p.copy.State.LastSeq, Bodies: true, ReadSourceSeq: p.Sourced, Replicated: p.copy.Config.Replicas > 1,
	})
	if err != nil {
		return nil, err
	}
	defer copied.Close()

	messages := content.Messages(copied)
	if p.Sourced {
		messages = sourced{copied}
	}
	counts := &copyCounts{}
	return counts, content.Merge(original, messages, func(m, n *jsapi.MsgMeta) error {
		switch {
		case n == nil:
			if !p.mayHaveExpired(m, false) {
				counts.add(&counts.missing, m.Seq)
			}
		case m == nil:
			// A mirror that goes on taking values replaces older ones.
			if !p.mayHaveExpired(n, true) && !p.alive {
				counts.add(&counts.surplus, n.Seq)
			}
		case p.same(m, n):
			counts.same++
		default:
			counts.add(&counts.different, m.Seq)
		}
		return nil
	})
}

// sourced gives the messages of a copy the sequences that they have on the mirror.
type sourced struct{ walk *jsapi.Walk }

// Next is the walk's next message.
func (s sourced) Next() (*jsapi.MsgMeta, error) {
	m, err := s.walk.Next()
	if err != nil {
		return nil, err
	}
	original := *m // the walk counts on with its own
	original.Seq = m.Source
	return &original, nil
}

// same says whether a message of the copy is that of the mirror.
func (p *CopyPlan) same(original, copied *jsapi.MsgMeta) bool {
	key, ok := bytes.CutPrefix(original.Subject, []byte("$KV."+p.StoredAs+"."))
	return ok && !original.Unreadable && !copied.Unreadable && string(copied.Subject) == "$KV."+p.Into+"."+string(key) &&
		(p.Sourced || copied.Time == original.Time) && bytes.Equal(copied.Digest, original.Digest)
}

// mayHaveExpired says that a message of one side may have expired on the other.
func (p *CopyPlan) mayHaveExpired(m *jsapi.MsgMeta, ofCopy bool) bool {
	config, ttl := p.mirror.Config, content.TTL(m)
	if !config.AllowMsgTTL {
		ttl = 0
	}
	ages := config.MaxAge > 0 && ttl != content.Never
	if p.Sourced && ofCopy {
		// Its age started again in the copy, so when it was to expire on the mirror is
		// not known. The other way round, it outlives the mirror's.
		return ttl > 0 || ages
	}
	// Of a short life the grace is no more than half, or nothing could be found to
	// be missing.
	over := func(life time.Duration) bool {
		return time.Since(time.Unix(0, m.Time)) > life-min(content.Grace, life/2)
	}
	return ttl > 0 && over(ttl) || ages && over(config.MaxAge)
}
