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
	"slices"
	"strings"
	"sync"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
)

const (
	// underWay is how many requests are under way at once.
	underWay = 8
	// few is how many origins of one prefix are read one by one rather than in
	// a list.
	few = 16
	// maxChain is how many origins above an origin are followed.
	maxChain = 8
	// secondLook is the pause before whoever seems to be behind is read again.
	// An idle link is heard of once a second.
	secondLook = 1500 * time.Millisecond
)

// Reader reads a fleet over one connection.
type Reader struct {
	Conn *jsapi.Conn
	Own  *jsapi.API // the mirrors' side
	// Progress, if set, is told how many requests of how many are done. It may
	// be called from several goroutines.
	Progress func(done, known int)

	count counter
}

// Mirror is one mirror and what is known of it.
type Mirror struct {
	Bucket string
	Origin kvcfg.Origin
	Facts  kvcfg.Facts
}

// Problem is something that could not be read, so that nothing can be said of
// the mirrors that may be there.
type Problem struct {
	What string // what was to be read
	Err  error
}

// Error is a line.
func (p Problem) Error() string { return fmt.Sprintf("%s: %v", p.What, p.Err) }

// Unwrap is the cause.
func (p Problem) Unwrap() error { return p.Err }

// Fleet is what was read.
type Fleet struct {
	Mirrors  []Mirror // by name
	Problems []Problem
}

// All reads all mirrors. It fails only when nothing at all could be read, or
// when ctx ends.
func (r *Reader) All(ctx context.Context) (Fleet, error) {
	var fleet Fleet
	var level *int
	var wg sync.WaitGroup
	wg.Go(func() { level = r.level(ctx) })
	own := r.list(ctx, r.Own)
	wg.Wait()
	if own.err != nil {
		return fleet, own.err
	}
	fleet.Problems = own.problems
	for name, b := range own.buckets {
		if kvcfg.CheckMirror(b.Config) == nil {
			fleet.Mirrors = append(fleet.Mirrors, newMirror(name, b, level))
		}
	}
	slices.SortFunc(fleet.Mirrors, func(a, b Mirror) int { return strings.Compare(a.Bucket, b.Bucket) })
	return fleet, r.complete(ctx, &fleet, own)
}

// Names reads the names of all mirrors, and nothing of their origins. What could
// not be read is left out.
func (r *Reader) Names(ctx context.Context) ([]string, error) {
	own := r.list(ctx, r.Own)
	if own.err != nil {
		return nil, own.err
	}
	var names []string
	for name, b := range own.buckets {
		if kvcfg.CheckMirror(b.Config) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Named reads the mirrors with these names. A bucket that is not there or that is
// no mirror is a [Problem] whose cause says so.
func (r *Reader) Named(ctx context.Context, buckets []string) (Fleet, error) {
	var fleet Fleet
	var level *int
	var wg sync.WaitGroup
	wg.Go(func() { level = r.level(ctx) })
	read := make([]*found, len(buckets))
	errs := make([]error, len(buckets))
	r.each(len(buckets), func(i int) {
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
			fleet.Problems = append(fleet.Problems, Problem{fmt.Sprintf("bucket %q", bucket), err})
			continue
		}
		fleet.Mirrors = append(fleet.Mirrors, newMirror(bucket, *read[i], level))
	}
	return fleet, r.complete(ctx, &fleet, nil)
}

// found is a stream as it was read.
type found struct {
	kvcfg.Bucket
	link    *kvcfg.Link
	cluster *kvcfg.Cluster
}

func newMirror(bucket string, f found, level *int) Mirror {
	origin, err := kvcfg.OriginOf(f.Config)
	if err != nil {
		panic("fleet: not a mirror: " + err.Error())
	}
	return Mirror{Bucket: bucket, Origin: origin, Facts: kvcfg.Facts{Mirror: f.Bucket, Link: f.link, Cluster: f.cluster, Level: level}}
}

// level is the API level of the mirrors' server, nil when it does not say.
func (r *Reader) level(ctx context.Context) *int {
	account, err := r.Own.Account(ctx)
	if err != nil {
		return nil
	}
	return &account.Level
}

// complete reads the origins and what is above them, and looks again at what
// seems to be wrong. own is the list of the mirrors' side, nil when there is
// none.
func (r *Reader) complete(ctx context.Context, fleet *Fleet, own *listing) error {
	r.readOrigins(ctx, fleet.Mirrors, own)
	r.followChains(ctx, fleet.Mirrors)
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.lookAgain(ctx, fleet.Mirrors)
}

// readOrigins reads the origins, those of a prefix together.
func (r *Reader) readOrigins(ctx context.Context, mirrors []Mirror, own *listing) {
	byPrefix := map[string][]*Mirror{}
	for i := range mirrors {
		prefix := mirrors[i].Origin.Prefix(r.Own.Prefix())
		byPrefix[prefix] = append(byPrefix[prefix], &mirrors[i])
	}
	var wg sync.WaitGroup
	for prefix, group := range byPrefix {
		wg.Go(func() {
			var list *listing
			if prefix == r.Own.Prefix() {
				list = own
			}
			r.readGroup(ctx, r.Conn.At(prefix), group, list)
		})
	}
	wg.Wait()
}

// readGroup reads the origins of mirrors that share a prefix: all that there is
// in a list, unless they are few, and one by one what is then left.
func (r *Reader) readGroup(ctx context.Context, api *jsapi.API, group []*Mirror, list *listing) {
	wanted := map[string][]*Mirror{}
	for _, m := range group {
		wanted[m.Origin.Stream()] = append(wanted[m.Origin.Stream()], m)
	}
	if list == nil && len(wanted) > few {
		list = r.listOnly(ctx, api, wanted)
	}
	for name, mirrors := range wanted {
		if list == nil {
			break
		}
		b, ok := list.streams[name]
		if !ok {
			continue
		}
		for _, m := range mirrors {
			setOrigin(m, b, nil)
		}
		delete(wanted, name)
	}
	// A list that is not whole says nothing of who is not in it, and one that is
	// may have been read before the origin was made.
	var names []string
	for name := range wanted {
		names = append(names, name)
	}
	slices.Sort(names)
	r.each(len(names), func(i int) {
		b, err := r.one(ctx, api, names[i])
		for _, m := range wanted[names[i]] {
			if err != nil {
				setOrigin(m, found{}, err)
			} else {
				setOrigin(m, *b, nil)
			}
		}
	})
}

// setOrigin notes what was read of an origin, or why nothing was.
func setOrigin(m *Mirror, f found, err error) {
	if err == nil {
		err = kvcfg.CheckBucket(f.Config)
	}
	if err != nil {
		m.Facts.Unread = unread(err)
		return
	}
	m.Facts.Origin = &f.Bucket
}

func unread(err error) kvcfg.Unread {
	u := kvcfg.Unread{Reason: kvcfg.Unreachable, Detail: err.Error()}
	switch {
	case errors.Is(err, jsapi.ErrNotFound):
		u.Reason = kvcfg.Missing
	case errors.Is(err, kvcfg.ErrNotBucket):
		u.Reason = kvcfg.NotBucket
	case errors.Is(err, jsapi.ErrDenied):
		u.Reason = kvcfg.Denied
	}
	return u
}

// one reads a single stream.
func (r *Reader) one(ctx context.Context, api *jsapi.API, name string) (*found, error) {
	defer r.count.begin(r.Progress)()
	s, err := api.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	return &found{
		Bucket:  kvcfg.Bucket{Config: s.Config, State: s.State, Created: s.Created, Prefix: api.Prefix()},
		link:    s.Mirror,
		cluster: s.Cluster,
	}, nil
}

// each calls f for 0 to n-1, several at a time, and waits.
func (r *Reader) each(n int, f func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, underWay)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
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
