package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// readOrigins reads the origins, those of a prefix together.
func (r *Reader) readOrigins(ctx context.Context, mirrors []Mirror, lists *lists) {
	byPrefix := map[string][]*Mirror{}
	for i := range mirrors {
		prefix := mirrors[i].OriginPrefix()
		byPrefix[prefix] = append(byPrefix[prefix], &mirrors[i])
	}
	var ahead map[string]func() *listing
	if lists != nil {
		ahead = lists.behind
	}
	var wg sync.WaitGroup
	for prefix, group := range byPrefix {
		wg.Go(func() { r.readGroup(ctx, OriginAPI(r.Conn, group[0].Origin, group[0].Prefix()), group, ahead[prefix]) })
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
	case len(wanted) > fewOf(api):
		list = r.open(ctx, api, isWanted, oneOf(wanted), len(wanted))
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
		atOnce := underWay
		if len(names) <= fewOf(list.api) {
			atOnce = fewApart
		}
		r.each(len(names), atOnce, func(i int) {
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
