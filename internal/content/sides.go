package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// side is one of the streams that are compared.
type side interface {
	info(ctx context.Context) (*stream.Info, error)
	walk(ctx context.Context, o jsapi.WalkOptions) (walk, error)
	// sequences are the stream's sequences, and its info of the same instant; known is
	// the state as it was just read.
	sequences(ctx context.Context, known stream.State) (*stream.Info, *jsapi.Sequences, error)
	// get is a single message, without a digest; size is what its body is expected to
	// have, or -1.
	get(ctx context.Context, seq uint64, size int) (*jsapi.MsgMeta, error)
	// limited says that a leafnode may be between, which lets no answer through that is
	// too large.
	limited() bool
	// caughtUp says that a mirror has taken all that this stream holds up to a
	// sequence.
	caughtUp(ctx context.Context, mirror *stream.Info, to uint64) bool
}

// walk is what a [jsapi.Walk] does.
type walk interface {
	Messages
	Close()
}

// apiSide is a stream of a server.
type apiSide struct {
	api  *jsapi.API
	name string
}

func (s apiSide) info(ctx context.Context) (*stream.Info, error) { return s.api.Stream(ctx, s.name) }

func (s apiSide) walk(ctx context.Context, o jsapi.WalkOptions) (walk, error) {
	o.Stream = s.name
	w, err := s.api.Walk(ctx, o)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (s apiSide) sequences(ctx context.Context, known stream.State) (*stream.Info, *jsapi.Sequences, error) {
	return s.api.Sequences(ctx, s.name, known)
}

func (s apiSide) get(ctx context.Context, seq uint64, size int) (*jsapi.MsgMeta, error) {
	return s.api.GetMeta(ctx, s.name, seq, size)
}

func (s apiSide) limited() bool { return s.api.MaxAnswer() < math.MaxInt }

func (s apiSide) caughtUp(ctx context.Context, mirror *stream.Info, to uint64) bool {
	return s.api.CaughtUp(ctx, s.name, mirror, to)
}

func (c *Comparer) mirrorSide() side {
	if c.simulated != nil {
		return c.simulated.mirror
	}
	return apiSide{c.Mirror, c.MirrorStream}
}

func (c *Comparer) originSide() side {
	if c.simulated != nil {
		return c.simulated.origin
	}
	return apiSide{c.Origin, c.OriginStream}
}

// topSide is the top of the chain; nil when the origin is it.
func (c *Comparer) topSide() side {
	switch {
	case c.simulated != nil:
		return c.simulated.top
	case c.Top == nil:
		return nil
	}
	return apiSide{c.Top, c.TopStream}
}

// sides take the place of the servers' streams in tests.
type sides struct{ mirror, origin, top side }

// reader reads the messages of one stream, the mirror or the origin.
type reader struct {
	messages walk
	origin   bool
}

// Next is the next message of the walk. A failure of the origin is an
// [originError].
func (r reader) Next() (*jsapi.MsgMeta, error) {
	m, err := r.messages.Next()
	if err != nil && r.origin && !errors.Is(err, io.EOF) {
		return nil, &originError{err}
	}
	return m, err
}

func (r reader) close() {
	if r.messages != nil {
		r.messages.Close()
	}
}

func (c *Comparer) openMirror(ctx context.Context, now snapshot, r jsapi.Range, bodies bool) (reader, error) {
	w, err := c.mirrorSide().walk(ctx, jsapi.WalkOptions{
		From: r.From, To: r.To, Bodies: bodies, Replicated: now.mirror.Config.Replicas > 1,
	})
	return reader{messages: w}, err
}

func (c *Comparer) openOrigin(ctx context.Context, now snapshot, r jsapi.Range, bodies bool) (reader, error) {
	w, err := c.originSide().walk(ctx, jsapi.WalkOptions{
		From: r.From, To: r.To, ToEnd: r.To == toEnd, Filters: now.mirror.Config.Filters(),
		Bodies: bodies, Rate: c.Rate, DeliverPrefix: c.DeliverPrefix, Replicated: now.origin.Config.Replicas > 1,
	})
	if err != nil {
		err = &originError{err}
	}
	return reader{messages: w, origin: true}, err
}

// originError is a failure to read the origin.
type originError struct{ err error }

func (e *originError) Error() string {
	return fmt.Sprintf("the origin's messages cannot be read: %v", e.err)
}
func (e *originError) Unwrap() error { return e.err }
