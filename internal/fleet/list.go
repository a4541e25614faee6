package fleet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
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
	notBuckets map[string]error
	offline    []*stream.Info // shown by a page though their servers do not answer: no state
	said       bool           // some stream says the version of its server
	unsaid     string         // a stream that does not

	// apart are streams that are to be read one by one, as their pages may be too large
	// for a leafnode, and ofSample is how many were read to learn that.
	apart    []string
	ofSample int

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
	l := r.open(ctx, api, isBucket, "", 0)
	r.readOn(ctx, l)
	return l
}

// open reads the first page of a list, which says how many there are. Of a page
// only what keep takes is held.
//
// A server that is alone does not say its version in a list, as it does of a
// single stream (server/jetstream_api.go, setDynamicStreamMetadata): so one of
// the streams is read singly, beside the pages: example, if one is known. So many
// streams are expected, which takes a round trip less if it is not too low.
func (r *Reader) open(ctx context.Context, api *jsapi.API, keep func(name string) bool, example string, expected int) *listing {
	l := &listing{api: api, keep: keep, streams: map[string]*stream.Info{}, notBuckets: map[string]error{}}
	if limit := api.MaxAnswer(); limit < math.MaxInt {
		l.err = r.sample(ctx, l, limit, expected)
		return l
	}
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

// sample reads what tells whether pages are small enough: the names of the streams, and
// some of these streams one by one, or all when they are few. Nothing else is harmless:
// a page has 256 streams wherever it begins, and the last ones, which alone can be had in
// a smaller page, say little of the others, which are sorted by name. The largest one
// counts, not the mean, since large ones may be side by side. What a list takes then is
// names, samples, pages: a round trip more than where no leafnode is between.
func (r *Reader) sample(ctx context.Context, l *listing, limit, expected int) error {
	names, err := r.names(ctx, l, expected)
	if err != nil || len(names) == 0 {
		return err
	}
	n := sampled
	if len(names) <= fewApart {
		n = len(names)
	}
	read := make([]*stream.Info, n)
	errs := make([]error, n)
	r.each(n, fewApart, func(i int) {
		read[i], errs[i] = r.one(ctx, l.api, names[i*len(names)/n])
	})
	largest := 0
	for _, s := range read {
		if s != nil {
			l.ofSample++
			largest = max(largest, s.Size)
			l.hold(s)
			if l.example == "" || isBucket(s.Config.Name) {
				l.example, l.exampleIs = s.Config.Name, s
			}
		}
	}
	switch {
	case l.ofSample == 0:
		return errs[0]
	case n < len(names) && largest*jsapi.PageSize <= limit:
		return nil // by pages
	}
	if len(names) < l.total {
		l.note(l.streamsFrom(len(names), l.total), errShort)
	}
	l.next = l.total
	l.apart = slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(read, func(s *stream.Info) bool { return s != nil && s.Config.Name == name })
	})
	return nil
}

// names reads the names of all streams, pages side by side, until one is short, and
// notes how many there are.
func (r *Reader) names(ctx context.Context, l *listing, expected int) (names []string, err error) {
	for left := max(expected, 1); left > 0; left = l.total - len(names) {
		n := min(rounds(left, jsapi.NamesPageSize), pagesUnderWay)
		read, totals, errs := make([][]string, n), make([]int, n), make([]error, n)
		from := len(names)
		r.each(n, n, func(i int) {
			defer r.request()()
			read[i], totals[i], errs[i] = l.api.Names(ctx, from+i*jsapi.NamesPageSize)
		})
		if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
			return nil, r.failed(errs[i])
		}
		l.total = totals[0]
		names = append(names, slices.Concat(read...)...)
		if len(names) < from+n*jsapi.NamesPageSize {
			break
		}
	}
	return names, nil
}

// readApart reads the streams that are read one by one rather than by pages. One that
// is gone meanwhile would not be on a page either.
func (r *Reader) readApart(ctx context.Context, l *listing) {
	names := slices.DeleteFunc(l.apart, func(name string) bool { return !l.keep(name) })
	l.apart = nil
	r.each(len(names), fewApart, func(i int) {
		s, err := r.one(ctx, l.api, names[i])
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case err == nil:
			l.hold(s)
		case !errors.Is(err, jsapi.ErrNotFound):
			l.problems = append(l.problems, Problem{What: fmt.Sprintf("stream %q at %q", names[i], l.api.Prefix()), Err: err, Bucket: kvcfg.DisplayName(names[i])})
		}
	})
}

// readOn reads the pages that are left, side by side, until one is short: there may
// be no more streams then, whatever the total says. What was not asked for is noted.
func (r *Reader) readOn(ctx context.Context, l *listing) {
	r.readApart(ctx, l)
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
func rounds(n, atOnce int) int { return n/atOnce + min(n%atOnce, 1) }

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

// page reads a page, at the second try if need be. One that may have closed a leafnode
// is not asked for again.
func (r *Reader) page(ctx context.Context, api *jsapi.API, offset int) (jsapi.Page, error) {
	defer r.request()()
	page, err := api.List(ctx, offset)
	if err != nil && ctx.Err() == nil && api.MaxAnswer() == math.MaxInt && (errors.Is(err, jsapi.ErrTimeout) || errors.Is(err, jsapi.ErrDisconnected)) {
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
		l.sort(s)
		// What a list has of a stream whose servers are all offline is no state.
		if slices.Contains(p.Missing, s.Config.Name) {
			l.offline = append(l.offline, s)
			continue
		}
		if !l.keep(s.Config.Name) {
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
			l.problems = append(l.problems, Problem{What: fmt.Sprintf("stream %q at %q", name, prefix), Err: errOffline, Bucket: kvcfg.DisplayName(name)})
		}
	}
	if p.Malformed > 0 {
		l.problems = append(l.problems, Problem{What: fmt.Sprintf("%d streams at %q", p.Malformed, prefix), Err: jsapi.ErrMalformed})
	}
}

// hold keeps a stream that was read singly, if it is wanted.
func (l *listing) hold(s *stream.Info) {
	l.sort(s)
	if l.keep(s.Config.Name) {
		l.streams[s.Config.Name] = s
	}
}

// sort notes a mirror that is no mirror of a bucket.
func (l *listing) sort(s *stream.Info) {
	if m := s.Config.Mirror; m != nil && (isBucket(s.Config.Name) || isBucket(m.Name)) {
		if err := kvcfg.CheckMirror(s.Config); err != nil {
			l.notBuckets[s.Config.Name] = err
		}
	}
}

func (l *listing) note(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, Problem{What: what, Err: err})
}
