package cli

import (
	"bytes"
	"context"
	"time"

	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/jsapi"
)

// proof counts what a comparison of a copy with its mirror found.
type proof struct {
	same, missing, different, surplus int
	first                             uint64 // the first sequence at which something is wrong
}

func (p *proof) wrong() int { return p.missing + p.different + p.surplus }

// fault counts a fault at a sequence of the mirror.
func (p *proof) fault(count *int, seq uint64) {
	if p.wrong() == 0 {
		p.first = seq
	}
	*count++
}

// compare reads the mirror and its copy in the order of the mirror's sequences
// and merges them as they stream by: subjects, but for the bucket's name, times,
// headers and bodies are to be the same.
func (c *copying) compare(ctx context.Context, to uint64) (*proof, error) {
	theirs, err := c.s.own.Walk(ctx, jsapi.WalkOptions{
		Stream: c.mirror.Config.Name, To: to, Bodies: true, StripSourceHeader: c.Sourced, Replicated: c.mirror.Config.Replicas > 1,
	})
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	ours, err := c.s.own.Walk(ctx, jsapi.WalkOptions{
		Stream: c.stream.Config.Name, To: c.stream.State.LastSeq, Bodies: true, ReadSourceSeq: c.Sourced, Replicated: c.stream.Config.Replicas > 1,
	})
	if err != nil {
		return nil, err
	}
	defer ours.Close()

	messages := content.Messages(ours)
	if c.Sourced {
		messages = sourced{ours}
	}
	p := &proof{}
	return p, content.Merge(theirs, messages, func(m, n *jsapi.MsgMeta) error {
		switch {
		case n == nil:
			if !c.mayBeGone(m, false) {
				p.fault(&p.missing, m.Seq)
			}
		case m == nil:
			// A mirror that goes on taking values replaces older ones.
			if !c.mayBeGone(n, true) && !c.lives {
				p.fault(&p.surplus, n.Seq)
			}
		case c.alike(m, n):
			p.same++
		default:
			p.fault(&p.different, m.Seq)
		}
		return nil
	})
}

// sourced gives the messages of a copy the sequences that they have on the mirror.
type sourced struct{ walk *jsapi.Walk }

// Next is the walk's next message.
func (s sourced) Next() (*jsapi.MsgMeta, error) {
	h, err := s.walk.Next()
	if err != nil {
		return nil, err
	}
	made := *h // the walk counts on with its own
	made.Seq = h.Source
	return &made, nil
}

// alike says whether a message of the copy is that of the mirror.
func (c *copying) alike(theirs, ours *jsapi.MsgMeta) bool {
	key, ok := bytes.CutPrefix(theirs.Subject, []byte("$KV."+c.StoredAs+"."))
	return ok && string(ours.Subject) == "$KV."+c.Into+"."+string(key) &&
		(c.Sourced || ours.Time == theirs.Time) && bytes.Equal(ours.Digest, theirs.Digest)
}

// mayBeGone says that a message of one side may have expired on the other.
func (c *copying) mayBeGone(h *jsapi.MsgMeta, ours bool) bool {
	config, ttl := c.mirror.Config, content.TTL(h)
	if !config.AllowMsgTTL {
		ttl = 0
	}
	ages := config.MaxAge > 0 && ttl != content.Never
	if c.Sourced && ours {
		// Its age began anew in the copy, so when it was to expire on the mirror is
		// not known. The other way round, it outlives the mirror's.
		return ttl > 0 || ages
	}
	// Of a short life the grace is no more than half, or nothing could be found to
	// be missing.
	over := func(life time.Duration) bool {
		return time.Since(time.Unix(0, h.Time)) > life-min(content.Grace, life/2)
	}
	return ttl > 0 && over(ttl) || ages && over(config.MaxAge)
}
