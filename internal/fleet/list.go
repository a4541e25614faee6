package fleet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// listing is a list of streams, as far as it was read.
type listing struct {
	api  *jsapi.API
	keep func(name string) bool // what is held of a page

	total int   // how many streams there are, as the first page says
	err   error // nothing was read at all

	mu       sync.Mutex
	next     int                     // the offset of the first page that nobody asked for yet
	short    bool                    // a page shows less than it must: the total is not to be trusted
	streams  map[string]*stream.Info // by name
	problems []Problem
	// notBuckets says of mirrors that are no mirror of a bucket why.
	notBuckets []error
	said       bool   // some stream says the version of its server
	unsaid     string // a stream that does not

	example    string // a stream that is read singly, for the version
	asking     sync.WaitGroup
	exampleIs  *stream.Info
	exampleErr error
}

// isBucket says whether a stream is named like a bucket.
func isBucket(stream string) bool { _, ok := kvcfg.BucketName(stream); return ok }

// mirrors are the mirrors in a list, by the names of their buckets.
func (l *listing) mirrors() iter.Seq2[string, *stream.Info] {
	return func(yield func(string, *stream.Info) bool) {
		for name, f := range l.streams {
			bucket, _ := kvcfg.BucketName(name)
			if kvcfg.CheckMirror(f.Config) == nil && !yield(bucket, f) {
				return
			}
		}
	}
}

// list reads all streams that are named like buckets.
func (r *Reader) list(ctx context.Context, api *jsapi.API) *listing {
	l := r.open(ctx, api, isBucket, "")
	r.readOn(ctx, l)
	return l
}

// open reads the first page of a list, which says how many there are. Of a page
// only what keep takes is held.
//
// A server that is alone does not say its version in a list, as it does of a
// single stream (server/jetstream_api.go, setDynamicStreamMetadata): so one of
// the streams is read singly, beside the pages: example, if one is known.
func (r *Reader) open(ctx context.Context, api *jsapi.API, keep func(name string) bool, example string) *listing {
	l := &listing{api: api, keep: keep, streams: map[string]*stream.Info{}}
	if example != "" {
		r.ask(ctx, l, example)
	}
	first, err := r.page(ctx, api, 0)
	if err != nil {
		l.err = err
		return l
	}
	l.total, l.next = first.Total, jsapi.PageSize
	l.take(first, 0)
	if example == "" && l.unsaid != "" && !l.said {
		r.ask(ctx, l, l.unsaid)
	}
	return l
}

// readOn reads the pages that are left, side by side, until one is short: there may
// be no more streams then, whatever the total says. What was not asked for is noted.
func (r *Reader) readOn(ctx context.Context, l *listing) {
	r.each(pagesUnderWay, pagesUnderWay, func(int) {
		for offset, ok := l.nextPage(); ok && ctx.Err() == nil; offset, ok = l.nextPage() {
			r.readPage(ctx, l, offset)
		}
	})
	if l.next < l.total {
		l.note(l.streamsFrom(l.next, l.total), errUnasked)
	}
}

// readPage reads one page of a list, and notes what is wrong with it.
func (r *Reader) readPage(ctx context.Context, l *listing, offset int) {
	page, err := r.page(ctx, l.api, offset)
	if err != nil {
		l.note(l.streamsFrom(offset, min(offset+jsapi.PageSize, l.total)), err)
		return
	}
	if page.Total != l.total {
		l.note(fmt.Sprintf("the list at %q", l.api.Prefix()), fmt.Errorf("%w: from %d to %d streams", errChanged, l.total, page.Total))
	}
	l.take(page, offset)
}

// nextPage is the offset of a page to ask for; ok is false when there is none.
func (l *listing) nextPage() (offset int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left() == 0 {
		return 0, false
	}
	offset = l.next
	l.next += jsapi.PageSize
	return offset, true
}

// timedOut says that the list, or a page of it, was not answered in time.
func (l *listing) timedOut() bool {
	return errors.Is(l.err, jsapi.ErrTimeout) || slices.ContainsFunc(l.problems, func(p Problem) bool { return errors.Is(p, jsapi.ErrTimeout) })
}

// left is how many pages are left to ask for.
func (l *listing) left() int {
	if l.short || l.next >= l.total {
		return 0
	}
	return rounds(l.total-l.next, jsapi.PageSize)
}

// streamsFrom names streams of a list by their places.
func (l *listing) streamsFrom(offset, upTo int) string {
	return fmt.Sprintf("streams %d to %d of %d at %q", offset+1, upTo, l.total, l.api.Prefix())
}

// worthReading says whether pages are left, and reading them takes less round
// trips than reading the streams that are left one by one.
func (l *listing) worthReading(streams int) bool {
	return l.left() > 0 && rounds(l.left(), pagesUnderWay) < rounds(streams, underWay)
}

// rounds is how often something has to be done with so many at a time.
func rounds(n, atOnce int) int { return (n + atOnce - 1) / atOnce }

// ask begins to read a stream of the list singly.
func (r *Reader) ask(ctx context.Context, l *listing, stream string) {
	l.example = stream
	l.asking.Go(func() { l.exampleIs, l.exampleErr = r.one(ctx, l.api, stream) })
}

// one reads a stream singly, unless it is the one that was.
func (l *listing) one(ctx context.Context, r *Reader, stream string) (*stream.Info, error) {
	if stream != l.example {
		return r.one(ctx, l.api, stream)
	}
	l.asking.Wait()
	return l.exampleIs, l.exampleErr
}

// sayVersion waits for the version, and tells it those streams behind the list's
// prefix that do not say it; none in a cluster, which may be of several versions.
// Servers have said it since 2.11.
func (r *Reader) sayVersion(ctx context.Context, l *listing, streams []*stream.Config) {
	l.asking.Wait()
	if l.said {
		return
	}
	if l.exampleErr != nil && l.unsaid != "" {
		r.ask(ctx, l, l.unsaid)
		l.asking.Wait()
	}
	if l.exampleIs == nil || l.exampleIs.Config.Metadata[stream.VersionKey] == "" {
		return
	}
	version := l.exampleIs.Config.Metadata[stream.VersionKey]
	for _, c := range streams {
		switch {
		case c.Metadata == nil:
			c.Metadata = map[string]string{stream.VersionKey: version}
		case c.Metadata[stream.VersionKey] == "":
			c.Metadata[stream.VersionKey] = version
		}
	}
}

// shown is how many streams a page speaks of. One whose servers are all offline
// is both shown, without a state, and missing.
func shown(p jsapi.Page) int {
	names := map[string]bool{}
	for _, s := range p.Streams {
		names[s.Config.Name] = true
	}
	for _, name := range p.Missing {
		names[name] = true
	}
	return len(names) + p.Malformed
}

// What is noted of a list that is not whole.
var (
	errShort   = errors.New("the list leaves them out")
	errOffline = errors.New("its servers do not answer")
	errUnasked = errors.New("they were not asked for, since the list leaves out others")
)

// errChanged is noted when streams came or went while the list was read, so that
// some may have moved from one page to another unseen.
var errChanged = errors.New("it changed while it was read")

// page reads a page, at the second try if need be.
func (r *Reader) page(ctx context.Context, api *jsapi.API, offset int) (jsapi.Page, error) {
	defer r.request()()
	page, err := api.List(ctx, offset)
	if err != nil && ctx.Err() == nil && (errors.Is(err, jsapi.ErrTimeout) || errors.Is(err, jsapi.ErrDisconnected)) {
		page, err = api.List(ctx, offset)
	}
	return page, r.failed(err)
}

// take keeps what is wanted of the page at offset, and notes what is not on it.
func (l *listing) take(p jsapi.Page, offset int) {
	prefix, shown := l.api.Prefix(), shown(p)
	if want := min(jsapi.PageSize, p.Total-offset); shown < want {
		l.note(fmt.Sprintf("%d streams from %d of %d on at %q", want-shown, offset+1, p.Total, prefix), errShort)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.short = l.short || shown < min(jsapi.PageSize, l.total-offset)
	for _, s := range p.Streams {
		if m := s.Config.Mirror; m != nil && (isBucket(s.Config.Name) || isBucket(m.Name)) {
			if err := kvcfg.CheckMirror(s.Config); err != nil {
				l.notBuckets = append(l.notBuckets, err)
			}
		}
		// What a list has of a stream whose servers are all offline is no state.
		if !l.keep(s.Config.Name) || slices.Contains(p.Missing, s.Config.Name) {
			continue
		}
		if s.Config.Metadata[stream.VersionKey] != "" {
			l.said = true
		} else {
			l.unsaid = s.Config.Name
		}
		l.streams[s.Config.Name] = s
	}
	for _, name := range p.Missing {
		if l.keep(name) {
			l.problems = append(l.problems, Problem{fmt.Sprintf("stream %q at %q", name, prefix), errOffline, kvcfg.DisplayName(name)})
		}
	}
	if p.Malformed > 0 {
		l.problems = append(l.problems, Problem{What: fmt.Sprintf("%d streams at %q", p.Malformed, prefix), Err: jsapi.ErrMalformed})
	}
}

func (l *listing) note(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, Problem{What: what, Err: err})
}
