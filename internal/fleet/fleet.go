// Package fleet reads all mirrors of an account and their origins, in as few
// round trips and as little memory as it takes.
//
// Both sides are read by pages, and pages side by side. An origin in the
// mirrors' own domain is found among what was read for the mirrors anyway;
// others are read together with those behind the same prefix, or one by one
// where they are few or a list is denied. Nothing that failed is left out: it
// comes back as a [Problem], or as the reason why an origin is unread.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

const (
	// underWay is how many streams are read at once behind one prefix,
	// pagesUnderWay how many pages, which are some 200 KB each, and allUnderWay
	// how many requests there are behind all prefixes: one that does not answer
	// must not hold up the others.
	underWay      = 16
	pagesUnderWay = 8
	allUnderWay   = 64
	// few is how many origins of one prefix are read one by one rather than in
	// a list: it takes one round trip.
	few = underWay
	// muchMore is how many times the mirrors' streams an origins' side has that
	// is not read before it is known which of its streams are wanted.
	muchMore = 2
	// maxChain is how many origins above an origin are followed.
	maxChain = 8
)

// SecondRead is the pause before mirrors that seem to be behind are read again. An
// idle link is active about once a second.
const SecondRead = 1500 * time.Millisecond

// Reader reads a fleet over one connection.
type Reader struct {
	Conn *jsapi.Conn
	Own  *jsapi.API // the mirrors' side
	// Progress, if set, is told how many requests of how many are done. It may
	// be called from several goroutines.
	Progress func(done, known int)
	// SecondRead is the pause before mirrors that seem to be behind are read again; 0
	// for [SecondRead].
	SecondRead time.Duration

	count counter
	begin sync.Once
	slots chan struct{} // holds a token for each request under way
	lost  atomic.Bool   // some request failed because the connection was lost
}

// Mirror is one mirror and what is known of it.
type Mirror struct {
	Bucket string
	Origin kvcfg.Origin
	Facts  check.Facts
}

// Problem is something that could not be read, so that nothing can be said of
// the mirrors that may be there.
type Problem struct {
	What   string // what was to be read
	Err    error
	Bucket string // the bucket of which nothing is known, if it is about one
}

// Error is a line.
func (p Problem) Error() string { return fmt.Sprintf("%s: %v", p.What, p.Err) }

// Unwrap is the cause.
func (p Problem) Unwrap() error { return p.Err }

// Unreadable is the problem as the findings about the fleet take it.
func (p Problem) Unreadable() check.Unreadable { return unreadable(p) }

// Fleet is what was read.
type Fleet struct {
	Mirrors  []Mirror // by name
	Problems []Problem
	// NotBuckets are streams that mirror, and are no mirror of a bucket though either
	// side is named like one; each error says why.
	NotBuckets []error
}

// All reads all mirrors. It fails only when nothing at all could be read, or
// when ctx ends.
func (r *Reader) All(ctx context.Context) (Fleet, error) {
	var fleet Fleet
	var account *jsapi.Account
	var wg sync.WaitGroup
	wg.Go(func() { account = r.account(ctx) })
	own := r.open(ctx, r.Own, isBucket, "")
	lists := r.listAhead(ctx, own)
	r.readOn(ctx, own)
	wg.Wait()
	if own.err != nil {
		return fleet, own.err
	}
	fleet.Problems, fleet.NotBuckets = own.problems, own.notBuckets
	for bucket, f := range own.mirrors() {
		fleet.Mirrors = append(fleet.Mirrors, newMirror(bucket, f, account))
	}
	slices.SortFunc(fleet.Mirrors, func(a, b Mirror) int { return strings.Compare(a.Bucket, b.Bucket) })
	return fleet, r.complete(ctx, &fleet, lists)
}

// lists are lists by the prefix that they are read behind; each is waited for.
type lists map[string]func() *listing

// listAhead begins to read the lists of the origins, while that of the mirrors is
// being read: where the first page shows mirrors of many. The mirrors' own list
// is among those that it returns.
func (r *Reader) listAhead(ctx context.Context, own *listing) lists {
	ahead := lists{own.api.Prefix(): func() *listing { return own }}
	origins := map[string]map[string]bool{} // streams by prefix
	for _, f := range own.streams {
		if o, err := kvcfg.OriginOf(f.Config); err == nil {
			prefix := o.Prefix(own.api.Prefix())
			if origins[prefix] == nil {
				origins[prefix] = map[string]bool{}
			}
			origins[prefix][o.Stream()] = true
		}
	}
	for prefix, streams := range origins {
		if ahead[prefix] != nil || len(streams) <= few {
			continue
		}
		read := sync.OnceValue(func() *listing {
			l := r.open(ctx, r.Conn.At(prefix), isBucket, oneOf(streams))
			if l.total <= muchMore*own.total {
				r.readOn(ctx, l)
			}
			return l
		})
		go read()
		ahead[prefix] = read
	}
	return ahead
}

// oneOf is the first of a map's keys.
func oneOf[V any](m map[string]V) string { return slices.Min(slices.Collect(maps.Keys(m))) }

// Names reads the names of all mirrors, and nothing of their origins. What could
// not be read is left out.
func (r *Reader) Names(ctx context.Context) ([]string, error) {
	own := r.list(ctx, r.Own)
	if own.err != nil {
		return nil, own.err
	}
	var names []string
	for bucket := range own.mirrors() {
		names = append(names, bucket)
	}
	slices.Sort(names)
	return names, nil
}

// Named reads the mirrors with these names. A bucket that is not there or that is
// no mirror is a [Problem] whose cause says so.
func (r *Reader) Named(ctx context.Context, buckets []string) (Fleet, error) {
	var fleet Fleet
	var account *jsapi.Account
	var wg sync.WaitGroup
	wg.Go(func() { account = r.account(ctx) })
	read := make([]*stream.Info, len(buckets))
	errs := make([]error, len(buckets))
	r.each(len(buckets), underWay, func(i int) {
		read[i], errs[i] = r.one(ctx, r.Own, kvcfg.StreamName(buckets[i]))
	})
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return fleet, err
	}
	for i, bucket := range buckets {
		err := errs[i]
		if err == nil {
			err = kvcfg.CheckMirror(read[i].Config)
		}
		if err != nil {
			fleet.Problems = append(fleet.Problems, Problem{fmt.Sprintf("bucket %q", bucket), err, bucket})
			continue
		}
		fleet.Mirrors = append(fleet.Mirrors, newMirror(bucket, read[i], account))
	}
	return fleet, r.complete(ctx, &fleet, nil)
}

// newMirror is a mirror as it was read; account is nil when it was not.
func newMirror(bucket string, s *stream.Info, account *jsapi.Account) Mirror {
	origin, err := kvcfg.OriginOf(s.Config)
	if err != nil {
		panic("fleet: not a mirror: " + err.Error())
	}
	facts := check.Facts{Mirror: s}
	if account != nil {
		facts.Level = &account.Level
		facts.Stored, facts.MayStore = account.Usage(s.Config.Storage, s.Config.Replicas)
	}
	return Mirror{Bucket: bucket, Origin: origin, Facts: facts}
}

// account is what the mirrors' server says of the account, nil when it does not.
func (r *Reader) account(ctx context.Context) *jsapi.Account {
	account, err := r.Own.Account(ctx)
	if err != nil {
		return nil
	}
	return &account
}

// complete reads the origins and what is above them, and reads again what
// seems to be wrong. lists are those that the mirrors were read from and that
// are being read; nil when the mirrors were named.
func (r *Reader) complete(ctx context.Context, fleet *Fleet, lists lists) error {
	r.readOrigins(ctx, fleet.Mirrors, lists)
	if own := lists[r.Own.Prefix()]; own != nil {
		var listed []*stream.Config
		for i := range fleet.Mirrors {
			listed = append(listed, &fleet.Mirrors[i].Facts.Mirror.Config)
		}
		r.sayVersion(ctx, own(), listed)
	}
	r.followChains(ctx, fleet.Mirrors)
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.readSuspectsAgain(ctx, fleet, lists == nil)
}

// readOrigins reads the origins, those of a prefix together.
func (r *Reader) readOrigins(ctx context.Context, mirrors []Mirror, lists lists) {
	byPrefix := map[string][]*Mirror{}
	for i := range mirrors {
		prefix := mirrors[i].Origin.Prefix(r.Own.Prefix())
		byPrefix[prefix] = append(byPrefix[prefix], &mirrors[i])
	}
	var wg sync.WaitGroup
	for prefix, group := range byPrefix {
		wg.Go(func() { r.readGroup(ctx, r.Conn.At(prefix), group, lists[prefix]) })
	}
	wg.Wait()
}

// readGroup reads the origins of mirrors that share a prefix: all that there is
// in a list, unless they are few, and one by one what is then left. ahead is the
// list if it is being read already.
func (r *Reader) readGroup(ctx context.Context, api *jsapi.API, group []*Mirror, ahead func() *listing) {
	wanted := map[string][]*Mirror{}
	for _, m := range group {
		wanted[m.Origin.Stream()] = append(wanted[m.Origin.Stream()], m)
	}
	isWanted := func(name string) bool { return wanted[name] != nil }
	list := &listing{api: api}
	switch {
	case ahead != nil:
		list = ahead()
	case len(wanted) > few:
		list = r.open(ctx, api, isWanted, oneOf(wanted))
	}
	takeOrigins(list, wanted)
	if list.worthReading(len(wanted)) {
		list.keep = isWanted
		r.readOn(ctx, list)
		takeOrigins(list, wanted)
	}
	// A list that is not whole says nothing of who is not in it, and one that is
	// may have been read before the origin was made.
	r.readSingly(ctx, list, wanted)
	var listed []*stream.Config
	for _, m := range group {
		if m.Facts.Origin != nil {
			listed = append(listed, &m.Facts.Origin.Config)
		}
	}
	r.sayVersion(ctx, list, listed)
}

// readSingly reads the origins that a list did not show, one by one. Where the list
// was not answered in time, and none of the first of them is, nobody is there: the
// others are not asked for, as each would cost a timeout.
func (r *Reader) readSingly(ctx context.Context, list *listing, wanted map[string][]*Mirror) {
	names := slices.Sorted(maps.Keys(wanted))
	var answered atomic.Bool
	read := func(names []string) {
		r.each(len(names), underWay, func(i int) {
			f, err := list.one(ctx, r, names[i])
			if !errors.Is(err, jsapi.ErrTimeout) {
				answered.Store(true)
			}
			setOrigins(wanted[names[i]], f, err)
		})
	}
	if list.timedOut() && len(names) > underWay {
		read(names[:underWay])
		names = names[underWay:]
		if !answered.Load() {
			for _, name := range names {
				setOrigins(wanted[name], nil, errSilent)
			}
			return
		}
	}
	read(names)
}

// errSilent is why a stream was not asked for.
var errSilent = fmt.Errorf("it was not asked for, since neither the list nor any of %d other streams was answered: %w", underWay, jsapi.ErrTimeout)

// takeOrigins takes from a list what is wanted and there.
func takeOrigins(list *listing, wanted map[string][]*Mirror) {
	for name, mirrors := range wanted {
		f, ok := list.streams[name]
		if !ok {
			continue
		}
		setOrigins(mirrors, f, nil)
		delete(wanted, name)
	}
}

// setOrigins notes for mirrors of one origin what was read of it, or why nothing was.
func setOrigins(mirrors []*Mirror, f *stream.Info, err error) {
	for _, m := range mirrors {
		setOrigin(m, f, err)
	}
}

// setOrigin notes what was read of an origin, or why nothing was.
func setOrigin(m *Mirror, f *stream.Info, err error) {
	if err == nil {
		err = kvcfg.CheckBucket(f.Config)
	}
	if err != nil {
		m.Facts.Origin, m.Facts.OriginUnread = nil, unreadable(err)
		return
	}
	m.Facts.Origin = f
}

// unreadable is an error as a reason that is known to the findings.
func unreadable(err error) check.Unreadable {
	u := check.Unreadable{Reason: check.ReasonUnreachable, Detail: err.Error()}
	switch {
	case errors.Is(err, jsapi.ErrNotFound):
		u.Reason = check.ReasonMissing
	case errors.Is(err, kvcfg.ErrNotBucket):
		u.Reason = check.ReasonNotBucket
	case errors.Is(err, kvcfg.ErrNotMirror):
		u.Reason = check.ReasonNotMirror
	case errors.Is(err, jsapi.ErrDenied):
		u.Reason = check.ReasonDenied
	}
	return u
}

// one reads a single stream.
func (r *Reader) one(ctx context.Context, api *jsapi.API, name string) (*stream.Info, error) {
	defer r.request()()
	s, err := api.Stream(ctx, name)
	return s, r.failed(err)
}

// failed is the failure of a request; a lost connection is remembered.
func (r *Reader) failed(err error) error {
	if errors.Is(err, jsapi.ErrDisconnected) {
		r.lost.Store(true)
	}
	return err
}

// each calls f for 0 to n-1, so many at a time, and waits.
func (r *Reader) each(n, atOnce int, f func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}

// request waits until a request may be made; the function that it returns says
// that it is done.
func (r *Reader) request() (done func()) {
	r.begin.Do(func() { r.slots = make(chan struct{}, allUnderWay) })
	r.slots <- struct{}{}
	counted := r.count.begin(r.Progress)
	return func() {
		counted()
		<-r.slots
	}
}

// counter counts requests for the progress.
type counter struct {
	mu          sync.Mutex
	done, known int
}

// begin counts a request; the function that it returns counts it as done.
func (c *counter) begin(tell func(done, known int)) func() {
	c.mu.Lock()
	c.known++
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		c.done++
		done, known := c.done, c.known
		c.mu.Unlock()
		if tell != nil {
			tell(done, known)
		}
	}
}
