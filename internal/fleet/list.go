package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
)

// listing is what a list of streams came to.
type listing struct {
	mu       sync.Mutex
	streams  map[string]found // by the stream's name
	buckets  map[string]found // the same by the bucket's
	problems []Problem
	err      error // nothing was read at all
}

// list reads all streams that are named like buckets.
func (r *Reader) list(ctx context.Context, api *jsapi.API) *listing {
	l := r.pages(ctx, api, func(name string) bool { _, ok := kvcfg.BucketName(name); return ok })
	l.buckets = map[string]found{}
	for name, f := range l.streams {
		bucket, _ := kvcfg.BucketName(name)
		l.buckets[bucket] = f
	}
	return l
}

// listOnly reads the streams that are wanted, through the list.
func (r *Reader) listOnly(ctx context.Context, api *jsapi.API, wanted map[string][]*Mirror) *listing {
	return r.pages(ctx, api, func(name string) bool { _, ok := wanted[name]; return ok })
}

// pages reads the first page, which says how many there are, and then the others
// side by side. Of a page only what keep takes is held. A page that does not
// come is asked for a second time.
func (r *Reader) pages(ctx context.Context, api *jsapi.API, keep func(name string) bool) *listing {
	l := &listing{streams: map[string]found{}}
	first, err := r.page(ctx, api, 0)
	if err != nil {
		l.err = err
		return l
	}
	l.take(first, api.Prefix(), keep)
	total := first.Total
	var offsets []int
	for offset := len(first.Streams) + first.Malformed; offset < total && len(first.Streams) > 0; offset += jsapi.PageSize {
		offsets = append(offsets, offset)
	}
	r.each(len(offsets), func(i int) {
		page, err := r.page(ctx, api, offsets[i])
		if err != nil {
			upTo := min(offsets[i]+jsapi.PageSize, total)
			l.note(fmt.Sprintf("streams %d to %d of %d at %q", offsets[i]+1, upTo, total, api.Prefix()), err)
			return
		}
		if page.Total != total {
			l.note(fmt.Sprintf("the list at %q", api.Prefix()), fmt.Errorf("%w: from %d to %d streams", errChanged, total, page.Total))
		}
		l.take(page, api.Prefix(), keep)
	})
	return l
}

// errChanged is noted when streams came or went while the list was read, so that
// some may have moved from one page to another unseen.
var errChanged = errors.New("it changed while it was read")

// page reads a page, at the second try if need be.
func (r *Reader) page(ctx context.Context, api *jsapi.API, offset int) (jsapi.Page, error) {
	defer r.count.begin(r.Progress)()
	page, err := api.List(ctx, offset)
	if err != nil && ctx.Err() == nil && (errors.Is(err, jsapi.ErrTimeout) || errors.Is(err, jsapi.ErrDisconnected)) {
		page, err = api.List(ctx, offset)
	}
	return page, err
}

// take keeps what is wanted of a page.
func (l *listing) take(p jsapi.Page, prefix string, keep func(name string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range p.Streams {
		if !keep(s.Config.Name) {
			continue
		}
		l.streams[s.Config.Name] = found{
			Bucket:  kvcfg.Bucket{Config: s.Config, State: s.State, Created: s.Created, Prefix: prefix},
			link:    s.Mirror,
			cluster: s.Cluster,
		}
	}
	for _, name := range p.Missing {
		if keep(name) {
			l.problems = append(l.problems, Problem{fmt.Sprintf("stream %q at %q", name, prefix), errors.New("its servers do not answer")})
		}
	}
	if p.Malformed > 0 {
		l.problems = append(l.problems, Problem{fmt.Sprintf("%d streams at %q", p.Malformed, prefix), jsapi.ErrMalformed})
	}
}

func (l *listing) note(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, Problem{what, err})
}
