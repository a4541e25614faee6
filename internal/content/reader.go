package content

import (
	"context"
	"fmt"

	"nats-kvmirror/internal/jsapi"
)

// reader reads the messages of one stream, the mirror or the origin.
type reader struct {
	walk   *jsapi.Walk
	origin bool
}

// Next is the next message of the walk. A failure of the origin is an
// [originError].
func (r reader) Next() (*jsapi.MsgMeta, error) {
	m, err := r.walk.Next()
	if err != nil && r.origin {
		return nil, &originError{err}
	}
	return m, err
}

func (r reader) close() {
	if r.walk != nil {
		r.walk.Close()
	}
}

func (c *Comparer) openMirror(ctx context.Context, now snapshot, r Range, bodies bool) (reader, error) {
	w, err := c.Mirror.Walk(ctx, jsapi.WalkOptions{
		Stream: c.MirrorStream, From: r.From, To: r.To, Bodies: bodies, Replicated: now.mirror.Config.Replicas > 1,
	})
	return reader{walk: w}, err
}

func (c *Comparer) openOrigin(ctx context.Context, now snapshot, r Range, bodies bool) (reader, error) {
	w, err := c.Origin.Walk(ctx, jsapi.WalkOptions{
		Stream: c.OriginStream, From: r.From, To: r.To, Filters: now.mirror.Config.Filters(),
		Bodies: bodies, Rate: c.Rate, DeliverPrefix: c.DeliverPrefix, Replicated: now.origin.Config.Replicas > 1,
	})
	if err != nil {
		err = &originError{err}
	}
	return reader{walk: w, origin: true}, err
}

// originError is a failure to read the origin.
type originError struct{ err error }

func (e *originError) Error() string {
	return fmt.Sprintf("the origin's messages cannot be read: %v", e.err)
}
func (e *originError) Unwrap() error { return e.err }
