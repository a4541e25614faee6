package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// followChains reads the origins of origins that are mirrors themselves. The prefix of
// such an origin is a subject of its mirror's account. Where that is another one than
// ours, it leads nowhere from here, or elsewhere, and the chain ends there, unread.
func (r *Reader) followChains(ctx context.Context, mirrors []Mirror) {
	var chained []*Mirror
	for i := range mirrors {
		if o := mirrors[i].Facts.Origin; o != nil && o.Config.Mirror != nil {
			chained = append(chained, &mirrors[i])
		}
	}
	read := r.onceEach(ctx)
	r.each(len(chained), underWay*len(r.Own), func(i int) {
		m := chained[i]
		below, ours := m.Facts.Origin, inOurAccount(m.Prefix(), m.Origin)
		for range maxChain {
			origin, err := kvcfg.OriginOf(below.Config)
			switch {
			case errors.Is(err, kvcfg.ErrNotMirror):
				return // this is the top
			case err == nil && origin.External() && !ours:
				m.Facts.AboveUnreadable = fmt.Sprintf("%v is named by a stream of another account", origin)
				return
			}
			var above *stream.Info
			if err == nil {
				above, err = read(origin.Prefix(below.Prefix), origin.Stream())
			}
			if err == nil {
				err = kvcfg.CheckBucket(above.Config)
			}
			if err != nil {
				m.Facts.AboveUnreadable = err.Error()
				return
			}
			m.Facts.Above = append(m.Facts.Above, above)
			below, ours = above, ours && inOurAccount(m.Prefix(), origin)
		}
		if below.Config.Mirror != nil {
			m.Facts.AboveUnreadable = fmt.Sprintf("there are more than %d origins above it", maxChain)
		}
	})
}

// inOurAccount says whether an origin that a stream of our account names is in our
// account too: behind the mirrors' own prefix, or behind that of a domain.
func inOurAccount(own string, o kvcfg.Origin) bool {
	return o.APIPrefix == own || !o.OtherAccount()
}

// onceEach returns a function that reads streams, each once: many mirrors have
// the same origins above them.
func (r *Reader) onceEach(ctx context.Context) func(prefix, name string) (*stream.Info, error) {
	type place struct{ prefix, stream string }
	var mu sync.Mutex
	reads := map[place]func() (*stream.Info, error){}
	return func(prefix, name string) (*stream.Info, error) {
		mu.Lock()
		at := place{prefix, name}
		if reads[at] == nil {
			reads[at] = sync.OnceValues(func() (*stream.Info, error) { return r.one(ctx, r.Conn.At(prefix), name) })
		}
		read := reads[at]
		mu.Unlock()
		return read()
	}
}

// readSuspectsAgain reads the suspicious ones a second time, both sides, after a pause:
// the first time they were read at different times. Of one that is behind again, the
// origin is asked for the next message to take. A bucket that is no
// mirror by then is a [Problem] only if it was named.
func (r *Reader) readSuspectsAgain(ctx context.Context, fleet *Fleet, named bool) error {
	var suspects []*Mirror
	for i := range fleet.Mirrors {
		if m := &fleet.Mirrors[i]; m.Facts.Suspicious() {
			suspects = append(suspects, m)
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	if err := r.stillLost(ctx, suspects[0]); err != nil {
		fleet.Problems = append(fleet.Problems, Problem{What: fmt.Sprintf("%d mirrors that seem to be wrong, a second time", len(suspects)), Err: err})
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(cmp.Or(r.SecondRead, SecondRead)):
	}
	errs := make([]error, len(suspects))
	// There are many when a link was down, and then this takes the most time.
	r.each(len(suspects), allUnderWay*len(r.Own), func(i int) {
		if errs[i] = r.again(ctx, suspects[i]); errs[i] != nil || !suspects[i].Facts.Undecided() {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(cmp.Or(r.SecondRead, SecondRead)):
			errs[i] = r.again(ctx, suspects[i])
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	gone := map[*stream.Info]bool{}
	for i, err := range errs {
		m := suspects[i]
		isGone := errors.Is(err, jsapi.ErrNotFound) || errors.Is(err, kvcfg.ErrNotMirror) || errors.Is(err, kvcfg.ErrNotBucket)
		gone[m.Facts.Mirror] = isGone
		if err != nil && (named || !isGone) {
			fleet.Problems = append(fleet.Problems, Problem{What: among(fleet.Sides, m.Prefix(), fmt.Sprintf("bucket %q", m.Bucket)), Err: err, Prefix: m.Prefix()})
		}
	}
	fleet.Mirrors = slices.DeleteFunc(fleet.Mirrors, func(m Mirror) bool { return gone[m.Facts.Mirror] })
	return nil
}

// stillLost is the failure of a connection that was lost and is not back when it
// was waited for as long as for any answer: a pause would be for nothing. It asks for
// a mirror only where the connection was lost.
func (r *Reader) stillLost(ctx context.Context, m *Mirror) error {
	if !r.lost.Load() {
		return nil
	}
	_, err := r.one(ctx, r.Conn.At(m.Prefix()), m.Facts.Mirror.Config.Name)
	if errors.Is(err, jsapi.ErrDisconnected) {
		return err
	}
	return nil
}

// again reads a mirror and then its origin once more. In this order the origin
// can only be ahead of what the mirror could have, never short of it. An origin that
// could not be read is not asked again. The error is why the mirror was not read a
// second time.
func (r *Reader) again(ctx context.Context, m *Mirror) error {
	earlier := &check.States{Mirror: m.Facts.Mirror.State, NextPending: m.Facts.NextPending}
	mirror, err := r.one(ctx, r.Conn.At(m.Prefix()), m.Facts.Mirror.Config.Name)
	if err == nil {
		err = sameOrigin(m, mirror.Config)
	}
	if err != nil {
		return err
	}
	if m.Facts.Origin == nil {
		m.Facts.Mirror, m.Facts.Earlier = mirror, earlier
		return nil
	}
	earlier.Origin = m.Facts.Origin.State
	origins := OriginAPI(r.Conn, m.Origin, m.Prefix())
	origin, err := r.one(ctx, origins, m.Origin.Stream())
	if err != nil && !errors.Is(err, jsapi.ErrNotFound) {
		return err
	}
	m.Facts.Mirror, m.Facts.Earlier = mirror, earlier
	if err != nil {
		setOrigin(m, nil, err)
		return nil
	}
	setOrigin(m, origin, nil)
	if m.Facts.Origin != nil {
		m.Facts.NextPending = origins.Pending(ctx, origin, mirror)
	}
	return nil
}

// sameOrigin is nil when a stream still mirrors the origin that it did.
func sameOrigin(m *Mirror, now stream.Config) error {
	origin, err := kvcfg.OriginOf(now)
	if err == nil && origin != m.Origin {
		return fmt.Errorf("%w: it is now a mirror of %v", errChanged, origin)
	}
	return err
}
