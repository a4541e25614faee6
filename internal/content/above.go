package content

import (
	"context"

	"nats-kvmirror/internal/jsapi"
)

// above reads the top of a chain of mirrors along with a range of the mirror and its
// origin, which is a mirror itself. All streams of a chain have the same sequences.
// It is read only when something differs.
type above struct {
	open     func() (walk, error)
	messages walk
	current  *jsapi.MsgMeta
}

// above is for a range; nil when the origin is the top.
func (c *Comparer) above(ctx context.Context, r jsapi.Range) *above {
	top := c.topSide()
	if top == nil {
		return nil
	}
	return &above{open: func() (walk, error) {
		return top.walk(ctx, jsapi.WalkOptions{From: r.From, To: r.To, Rate: c.Rate, Replicated: c.TopReplicated})
	}}
}

// has says whether the top has a message. Sequences must rise from call to call.
func (a *above) has(m *jsapi.MsgMeta) (bool, error) {
	if a.messages == nil {
		w, err := a.open()
		if err == nil {
			a.messages = w
			a.current, err = next(w)
		}
		if err != nil {
			return false, &originError{err}
		}
	}
	for a.current != nil && a.current.Seq < m.Seq {
		var err error
		if a.current, err = next(a.messages); err != nil {
			return false, &originError{err}
		}
	}
	return a.current != nil && a.current.Seq == m.Seq && a.current.Time == m.Time, nil
}

// against says what a difference from the origin means when the top is asked: what the
// origin has lost is not left over, and what only the origin has is not missing.
func (a *above) against(p pair, class class, kind Kind, reason string) (class, Kind, string, error) {
	if a == nil || class != wrong || kind == Different {
		return class, kind, reason, nil
	}
	m := p.mirror
	if m == nil {
		m = p.origin
	}
	there, err := a.has(m)
	switch {
	case err != nil:
		return class, kind, reason, err
	case there && kind == LeftOver:
		return wrong, MissingAbove, string(MissingAbove), nil
	case !there && kind == Missing:
		return byDesign, "", "", nil
	}
	return class, kind, reason, nil
}

func (a *above) close() {
	if a != nil && a.messages != nil {
		a.messages.Close()
	}
}
