package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/jsapi"
)

// goneIn is how long before or after its time a message may be there on one side
// alone: servers look for expired ones about once a second, and their clocks are
// not ours. Of a life that is not much longer it is no more than half, or nothing
// could be found to be missing.
const goneIn = 10 * time.Second

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
		Stream: c.mirror.Config.Name, To: to, Bodies: true, Resourced: c.Sourced, Replicated: c.mirror.Config.Replicas > 1,
	})
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	ours, err := c.s.own.Walk(ctx, jsapi.WalkOptions{
		Stream: c.stream.Config.Name, To: c.stream.State.LastSeq, Bodies: true, Sourced: c.Sourced, Replicated: c.stream.Config.Replicas > 1,
	})
	if err != nil {
		return nil, err
	}
	defer ours.Close()

	p := &proof{}
	m, err := c.next(theirs, false)
	if err != nil {
		return nil, err
	}
	n, err := c.next(ours, c.Sourced)
	if err != nil {
		return nil, err
	}
	for m != nil || n != nil {
		switch {
		case n == nil || m != nil && m.Seq < n.Seq:
			if !c.mayBeGone(m, false) {
				p.fault(&p.missing, m.Seq)
			}
			m, err = c.next(theirs, false)
		case m == nil || n.Seq < m.Seq:
			// A mirror that goes on taking values replaces older ones.
			if !c.mayBeGone(n, true) && !c.lives {
				p.fault(&p.surplus, n.Seq)
			}
			n, err = c.next(ours, c.Sourced)
		default:
			if c.alike(m, n) {
				p.same++
			} else {
				p.fault(&p.different, m.Seq)
			}
			if m, err = c.next(theirs, false); err == nil {
				n, err = c.next(ours, c.Sourced)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// next is the next message, with the sequence that it has on the mirror; nil
// after the last.
func (c *copying) next(walk *jsapi.Walk, sourced bool) (*jsapi.Head, error) {
	h, err := walk.Next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil || !sourced {
		return h, err
	}
	made := *h // the walk counts on with its own
	made.Seq = h.Source
	return &made, nil
}

// alike says whether a message of the copy is that of the mirror.
func (c *copying) alike(theirs, ours *jsapi.Head) bool {
	key, ok := bytes.CutPrefix(theirs.Subject, []byte("$KV."+c.StoredAs+"."))
	return ok && string(ours.Subject) == "$KV."+c.Into+"."+string(key) &&
		(c.Sourced || ours.Time == theirs.Time) && bytes.Equal(ours.Digest, theirs.Digest)
}

// mayBeGone says that a message of one side may have expired on the other.
func (c *copying) mayBeGone(h *jsapi.Head, ours bool) bool {
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
	over := func(life time.Duration) bool {
		return time.Since(time.Unix(0, h.Time)) > life-min(goneIn, life/2)
	}
	return ttl > 0 && over(ttl) || ages && over(config.MaxAge)
}
