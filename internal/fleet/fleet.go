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
	"math"
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
	// a list: it takes one round trip. So does fewApart, all at once, where a list takes
	// three, because its pages may have to come over a leafnode.
	few      = underWay
	fewApart = allUnderWay - underWay
	// sampled is how many streams are read one by one to learn how large a page is.
	sampled = 32
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

// Mirror is one mirror and what is known of it. Its domain is part of its identity:
// each domain may have a mirror with the same name.
type Mirror struct {
	Domain string // that its server names; "" where it names none, or does not answer
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
	// Domain is that of all mirrors; "" where their server names none, or does not
	// answer.
	Domain string
}

// All reads all mirrors. It fails only when nothing at all could be read, or
// when ctx ends.
func (r *Reader) All(ctx context.Context) (Fleet, error) {
	var fleet Fleet
	var account *jsapi.Account
	var wg sync.WaitGroup
	wg.Go(func() { account = r.account(ctx) })
	own := r.open(ctx, r.Own, isBucket, "", 0)
	lists := r.listAhead(ctx, own)
	r.readOn(ctx, own)
	wg.Wait()
	if own.err != nil {
		return fleet, own.err
	}
	fleet.Problems = own.problems
	fleet.Domain = domainOf(r.Own.Prefix(), account)
	for _, name := range slices.Sorted(maps.Keys(own.notBuckets)) {
		fleet.NotBuckets = append(fleet.NotBuckets, own.notBuckets[name])
	}
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
		api := r.Conn.At(prefix)
		expected := len(streams)
		if own.ofSample > 0 {
			expected = len(streams) * own.total / own.ofSample
		}
		if ahead[prefix] != nil || expected <= fewOf(api) {
			continue
		}
		read := sync.OnceValue(func() *listing {
			l := r.open(ctx, api, isBucket, oneOf(streams), own.total)
			if l.total <= muchMore*own.total && len(l.apart) == 0 {
				r.readOn(ctx, l)
			}
			return l
		})
		go read()
		ahead[prefix] = read
	}
	return ahead
}

// fewOf is how many streams are read one by one rather than in a list.
func fewOf(api *jsapi.API) int {
	if api.MaxAnswer() < math.MaxInt {
		return fewApart
	}
	return few
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

// Configs reads the configurations of all streams of the mirrors' side, sorted by name.
// That of a stream whose servers do not answer may be known all the same.
func (r *Reader) Configs(ctx context.Context) ([]stream.Config, []Problem, error) {
	l := r.open(ctx, r.Own, func(string) bool { return true }, "", 0)
	if l.err != nil {
		return nil, nil, l.err
	}
	r.readOn(ctx, l)
	var configs []stream.Config
	for _, s := range slices.Concat(slices.Collect(maps.Values(l.streams)), l.offline) {
		configs = append(configs, s.Config)
	}
	slices.SortFunc(configs, func(a, b stream.Config) int { return strings.Compare(a.Name, b.Name) })
	problems := slices.DeleteFunc(l.problems, func(p Problem) bool {
		return errors.Is(p.Err, errOffline) && slices.ContainsFunc(l.offline, func(s *stream.Info) bool { return kvcfg.DisplayName(s.Config.Name) == p.Bucket })
	})
	return configs, problems, nil
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
	fleet.Domain = domainOf(r.Own.Prefix(), account)
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
	return Mirror{Domain: domainOf(s.Prefix, account), Bucket: bucket, Origin: origin, Facts: facts}
}

// domainOf is the domain of mirrors behind a prefix; the account is nil when it was not
// read.
func domainOf(prefix string, account *jsapi.Account) string {
	domain, ok := kvcfg.DomainOf(prefix)
	if !ok && account != nil {
		domain = account.Domain
	}
	return domain
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
