package fleet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// Side is what became of one of the mirrors' sides.
type Side struct {
	Domain string // that its server names; "" where it names none, or does not answer
	Prefix string // of its JetStream API
	Err    error  // why nothing of it could be read
	Empty  bool   // all of it was read, and there is no mirror
}

// where says where the mirrors of the side are, as "in domain "hub""; "" where its server
// names no domain.
func (s Side) where() string {
	switch {
	case s.Domain != "":
		return "in " + s.String()
	case s.Prefix == "$JS.API":
		return ""
	}
	return fmt.Sprintf("at %q", s.Prefix)
}

// Empty says where no mirror was found, of where all mirrors were looked for.
func (f Fleet) Empty() []string {
	var empty []string
	for _, s := range f.Sides {
		if s.Empty {
			empty = append(empty, s.where())
		}
	}
	return empty
}

// String names the side for messages.
func (s Side) String() string {
	if s.Domain != "" {
		return fmt.Sprintf("domain %q", s.Domain)
	}
	return fmt.Sprintf("the mirrors at %q", s.Prefix)
}

// side is one of the mirrors' sides while it is read.
type side struct {
	api     *jsapi.API
	account *jsapi.Account // nil when its server does not say

	list  func() *listing // where all mirrors are read; nil where they are named
	named []*stream.Info  // those that are named; nil with an error
	errs  []error

	mirrors    []Mirror
	problems   []Problem
	notBuckets []error
	err        error // why nothing could be read
}

// side reads something of each side, and its account, all at once.
func (r *Reader) side(ctx context.Context, sides []*side, read func(*side)) {
	var wg sync.WaitGroup
	for _, s := range sides {
		wg.Go(func() {
			if account, err := s.api.Account(ctx); err == nil {
				s.account = &account
			}
		})
		wg.Go(func() { read(s) })
	}
	wg.Wait()
}

// take takes from the list of a side what is a mirror.
func (s *side) take() {
	list := s.list()
	if s.err = list.err; s.err != nil {
		return
	}
	s.problems = list.problems
	for _, name := range slices.Sorted(maps.Keys(list.notBuckets)) {
		s.notBuckets = append(s.notBuckets, list.notBuckets[name])
	}
	for bucket, f := range list.mirrors() {
		s.mirrors = append(s.mirrors, newMirror(bucket, f, s.account))
	}
	slices.SortFunc(s.mirrors, func(a, b Mirror) int { return strings.Compare(a.Bucket, b.Bucket) })
}

// domainOf is the domain behind a prefix; account is nil when its server does not say.
func domainOf(prefix string, account *jsapi.Account) string {
	domain, _ := kvcfg.DomainOf(prefix)
	if account != nil {
		domain = cmp.Or(domain, account.Domain)
	}
	return domain
}

// gather makes a fleet of the sides. It fails when nothing could be read on any.
func gather(sides []*side) (Fleet, error) {
	var fleet Fleet
	for _, s := range sides {
		fleet.Sides = append(fleet.Sides, Side{Domain: domainOf(s.api.Prefix(), s.account), Prefix: s.api.Prefix(), Err: s.err, Empty: s.list != nil && s.err == nil && len(s.mirrors)+len(s.problems) == 0})
	}
	var failed error
	for i, s := range sides {
		if s.err != nil {
			p := Problem{What: fleet.Sides[i].String(), Err: s.err, Prefix: s.api.Prefix()}
			fleet.Problems, failed = append(fleet.Problems, p), also(failed, p)
		}
		for _, p := range s.problems {
			p.Prefix, p.What = s.api.Prefix(), among(fleet.Sides, s.api.Prefix(), p.What)
			fleet.Problems = append(fleet.Problems, p)
		}
		fleet.Mirrors = append(fleet.Mirrors, s.mirrors...)
		for _, err := range s.notBuckets {
			if len(sides) > 1 {
				err = fmt.Errorf("%v: %w", fleet.Sides[i], err)
			}
			fleet.NotBuckets = append(fleet.NotBuckets, err)
		}
	}
	switch {
	case slices.ContainsFunc(sides, func(s *side) bool { return s.err == nil }):
		return fleet, nil
	case len(sides) == 1:
		failed = sides[0].err
	}
	return Fleet{Sides: fleet.Sides}, failed
}

// also is one error that says another one too.
func also(err, further error) error {
	if err == nil {
		return further
	}
	return fmt.Errorf("%w; %w", err, further)
}

// among names something of one of several sides.
func among(sides []Side, prefix, what string) string {
	i := slices.IndexFunc(sides, func(s Side) bool { return s.Prefix == prefix })
	if len(sides) == 1 || i < 0 {
		return what
	}
	return fmt.Sprintf("%v, %s", sides[i], what)
}
