package fleet

import (
	"context"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
)

// followChains reads the origins of origins that are mirrors themselves. The
// prefix of such an origin is the one that its mirror uses; where that means
// nothing to this connection, the chain ends there.
func (r *Reader) followChains(ctx context.Context, mirrors []Mirror) {
	var chained []*Mirror
	for i := range mirrors {
		if o := mirrors[i].Facts.Origin; o != nil && o.Config.Mirror != nil {
			chained = append(chained, &mirrors[i])
		}
	}
	r.each(len(chained), func(i int) {
		m := chained[i]
		below := *m.Facts.Origin
		for range maxChain {
			origin, err := kvcfg.OriginOf(below.Config)
			if err != nil {
				return
			}
			above, err := r.one(ctx, r.Conn.At(origin.Prefix(below.Prefix)), origin.Stream())
			if err != nil || kvcfg.CheckBucket(above.Config) != nil {
				return
			}
			m.Facts.Above = append(m.Facts.Above, above.Bucket)
			below = above.Bucket
		}
	})
}

// lookAgain reads the suspicious ones a second time, both sides, after a pause:
// the first time they were read at different moments. Whoever is still behind
// is asked for, at the origin, by the next message to take.
func (r *Reader) lookAgain(ctx context.Context, mirrors []Mirror) error {
	var suspects []*Mirror
	for i := range mirrors {
		if mirrors[i].Facts.Suspicious() {
			suspects = append(suspects, &mirrors[i])
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(secondLook):
	}
	r.each(len(suspects), func(i int) { r.again(ctx, suspects[i]) })
	return ctx.Err()
}

// again reads a mirror and then its origin once more. In this order the origin
// can only be ahead of what the mirror could have, never short of it.
func (r *Reader) again(ctx context.Context, m *Mirror) {
	origins := r.Conn.At(m.Origin.Prefix(r.Own.Prefix()))
	earlier := kvcfg.Look{Mirror: m.Facts.Mirror.State, Origin: m.Facts.Origin.State}
	mirror, err := r.one(ctx, r.Own, m.Facts.Mirror.Config.Name)
	if err != nil {
		return
	}
	origin, err := r.one(ctx, origins, m.Origin.Stream())
	if err != nil {
		return
	}
	m.Facts.Earlier = &earlier
	m.Facts.Mirror, m.Facts.Link, m.Facts.Cluster = mirror.Bucket, mirror.link, mirror.cluster
	m.Facts.Origin = &origin.Bucket
	if c, ok := m.Facts.Compare(); ok && c.Behind > 0 {
		m.Facts.NothingLeft = nothingLeft(ctx, origins, m)
	}
}

// nothingLeft asks the origin for the next message that the mirror has to take.
func nothingLeft(ctx context.Context, origins *jsapi.API, m *Mirror) *bool {
	left, err := origins.Left(ctx, m.Origin.Stream(), m.Facts.Mirror.State.LastSeq, m.Facts.Mirror.Config.Filters())
	if err != nil {
		return nil
	}
	none := left == 0
	return &none
}
