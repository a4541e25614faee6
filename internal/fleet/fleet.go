// Package fleet reads all mirrors of an account and their origins, in as few
// round trips and as little memory as it takes.
//
// Mirrors may be in several domains, which are read side by side, and their origins
// together: many domains mirror the same ones.
//
// Both sides are read by pages, and pages side by side. An origin in the
// mirrors' own domain is found among what was read for the mirrors anyway;
// others are read together with those behind the same prefix, or one by one
// where they are few or a list is denied. Nothing that failed is left out: it
// comes back as a [Problem], or as the reason why an origin is unread.
package fleet

import (
	"cmp"
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
	// how many requests there are behind all prefixes for each of the mirrors' sides:
	// one that does not answer must not hold up the others.
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
	Own  []*jsapi.API // the mirrors' sides: one for each domain
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
	Read   time.Time // when it was read, or later than that
}

// Prefix is that of the JetStream API of the mirror's side.
func (m Mirror) Prefix() string { return m.Facts.Mirror.Prefix }

// OriginPrefix is that of the JetStream API behind which the mirror's origin is read.
func (m Mirror) OriginPrefix() string { return m.Origin.Prefix(m.Prefix()) }

// OriginAPI is the JetStream API of an origin of a mirror behind a prefix.
func OriginAPI(conn *jsapi.Conn, o kvcfg.Origin, own string) *jsapi.API {
	if o.OtherAccount() {
		return conn.Imported(o.Prefix(own))
	}
	return conn.At(o.Prefix(own))
}

// Problem is something that could not be read, so that nothing can be said of
// the mirrors that may be there.
type Problem struct {
	What   string // what was to be read
	Err    error
	Bucket string // the bucket of which nothing is known, if it is about one
	Prefix string // of the side that it is about; "" for all
}

// Error is a line.
func (p Problem) Error() string { return fmt.Sprintf("%s: %v", p.What, p.Err) }

// Unwrap is the cause.
func (p Problem) Unwrap() error { return p.Err }

// Unreadable is the problem as the findings about the fleet take it.
func (p Problem) Unreadable() check.Unreadable { return unreadable(p) }

// Fleet is what was read.
type Fleet struct {
	Mirrors  []Mirror // those of a side by name, in the order of the sides
	Sides    []Side
	Problems []Problem
	// NotBuckets are streams that mirror, and are no mirror of a bucket though either
	// side is named like one; each error says why.
	NotBuckets []error
}

// All reads all mirrors. It fails only when nothing at all could be read, or
// when ctx ends.
func (r *Reader) All(ctx context.Context) (Fleet, error) {
	lists := &lists{behind: map[string]func() *listing{}}
	sides := make([]*side, len(r.Own))
	for i, api := range r.Own {
		s := &side{api: api}
		s.list = sync.OnceValue(func() *listing {
			l := r.open(ctx, api, isBucket, "", 0)
			r.listAhead(ctx, lists, l)
			r.readOn(ctx, l)
			return l
		})
		lists.behind[api.Prefix()], sides[i] = s.list, s
	}
	r.side(ctx, sides, func(s *side) { s.list() })
	for _, s := range sides {
		s.take()
	}
	return r.complete(ctx, sides, lists)
}

// lists are lists by the prefix that they are read behind; each is waited for.
type lists struct {
	mu     sync.Mutex
	behind map[string]func() *listing
}

// listAhead begins to read the lists of the origins, while that of the mirrors is
// being read: where the first page shows mirrors of many. The mirrors' own lists are
// among those that there are.
func (r *Reader) listAhead(ctx context.Context, ahead *lists, own *listing) {
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
	ahead.mu.Lock()
	defer ahead.mu.Unlock()
	for prefix, streams := range origins {
		api := r.Conn.At(prefix)
		expected := len(streams)
		if own.ofSample > 0 {
			expected = len(streams) * own.total / own.ofSample
		}
		if ahead.behind[prefix] != nil || expected <= fewOf(api) {
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
		ahead.behind[prefix] = read
	}
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

// Names reads the names of all mirrors, each once, and nothing of their origins. What
// could not be read is left out; it fails when that is all.
func (r *Reader) Names(ctx context.Context) ([]string, error) {
	var names []string
	var err error
	read := false
	for _, api := range r.Own {
		own := r.list(ctx, api)
		if own.err != nil {
			err = own.err
			continue
		}
		read = true
		for bucket := range own.mirrors() {
			names = append(names, bucket)
		}
	}
	if !read {
		return nil, err
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Configs reads the configurations of all streams of one of the mirrors' sides, sorted
// by name. That of a stream whose servers do not answer may be known all the same.
func (r *Reader) Configs(ctx context.Context, api *jsapi.API) ([]stream.Config, []Problem, error) {
	l := r.open(ctx, api, func(string) bool { return true }, "", 0)
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

// Named reads the mirrors with these names, on each side. A bucket that is not there or
// that is no mirror is a [Problem] whose cause says so.
func (r *Reader) Named(ctx context.Context, buckets []string) (Fleet, error) {
	sides := make([]*side, len(r.Own))
	for i, api := range r.Own {
		sides[i] = &side{api: api}
	}
	r.side(ctx, sides, func(s *side) {
		s.named, s.errs = make([]*stream.Info, len(buckets)), make([]error, len(buckets))
		r.each(len(buckets), underWay, func(i int) {
			s.named[i], s.errs[i] = r.one(ctx, s.api, kvcfg.StreamName(buckets[i]))
		})
	})
	for _, s := range sides {
		for i, bucket := range buckets {
			err := s.errs[i]
			if err == nil {
				err = kvcfg.CheckMirror(s.named[i].Config)
			}
			if err != nil {
				s.problems = append(s.problems, Problem{What: fmt.Sprintf("bucket %q", bucket), Err: err, Bucket: bucket})
				continue
			}
			s.mirrors = append(s.mirrors, newMirror(bucket, s.named[i], s.account))
		}
	}
	return r.complete(ctx, sides, nil)
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
	return Mirror{Domain: domainOf(s.Prefix, account), Bucket: bucket, Origin: origin, Facts: facts, Read: time.Now()}
}

// complete gathers the sides, reads the origins and what is above them, all sides'
// together, and reads again what seems to be wrong. lists are those that the mirrors
// were read from and that are being read; nil when the mirrors were named.
func (r *Reader) complete(ctx context.Context, sides []*side, lists *lists) (Fleet, error) {
	fleet, err := gather(sides)
	if err = cmp.Or(ctx.Err(), err); err != nil {
		return fleet, err
	}
	r.readOrigins(ctx, fleet.Mirrors, lists)
	for _, s := range sides {
		if s.list != nil {
			r.sayVersion(ctx, s.list(), mirrorsAt(s.api.Prefix(), fleet.Mirrors))
		}
	}
	r.followChains(ctx, fleet.Mirrors)
	if err := ctx.Err(); err != nil {
		return fleet, err
	}
	return fleet, r.readSuspectsAgain(ctx, &fleet, lists == nil)
}

// mirrorsAt are the configurations of the mirrors of a side.
func mirrorsAt(prefix string, mirrors []Mirror) []*stream.Config {
	var configs []*stream.Config
	for i := range mirrors {
		if mirrors[i].Prefix() == prefix {
			configs = append(configs, &mirrors[i].Facts.Mirror.Config)
		}
	}
	return configs
}
