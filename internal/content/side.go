package content

import (
	"context"
	"fmt"

	"nats-kvmirror/internal/jsapi"
)

// side is a walk over one side, or nothing.
type side struct {
	walk   *jsapi.Walk
	origin bool
}

// Next is the walk's, with the origin's failures marked.
func (s side) Next() (*jsapi.MsgMeta, error) {
	h, err := s.walk.Next()
	if err != nil && s.origin {
		return nil, unread(err)
	}
	return h, err
}

func (s side) close() {
	if s.walk != nil {
		s.walk.Close()
	}
}

func (c *Comparer) openMirror(ctx context.Context, now moment, r Range, bodies bool) (side, error) {
	w, err := c.Mirror.Walk(ctx, jsapi.WalkOptions{
		Stream: c.MirrorStream, From: r.From, To: r.To, Bodies: bodies, Replicated: now.mirror.Config.Replicas > 1,
	})
	return side{walk: w}, err
}

func (c *Comparer) openOrigin(ctx context.Context, now moment, r Range, bodies bool) (side, error) {
	w, err := c.Origin.Walk(ctx, jsapi.WalkOptions{
		Stream: c.OriginStream, From: r.From, To: r.To, Filters: now.mirror.Config.Filters(),
		Bodies: bodies, Rate: c.Rate, DeliverPrefix: c.DeliverPrefix, Replicated: now.origin.Config.Replicas > 1,
	})
	if err != nil {
		err = unread(err)
	}
	return side{walk: w, origin: true}, err
}

// unreadError is a failure to read the origin.
type unreadError struct{ err error }

func unread(err error) error { return &unreadError{err} }
func (e *unreadError) Error() string {
	return fmt.Sprintf("the origin's messages cannot be read: %v", e.err)
}
func (e *unreadError) Unwrap() error { return e.err }
