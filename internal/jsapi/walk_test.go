package jsapi

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// A walk gives every message of its range that matches, once, in order.
func TestWalk(t *testing.T) {
	t.Parallel()
	s := start(t, alone)
	nc := dial(t, s.URL())
	full := newStream(t, nc, jetstream.StreamConfig{Name: "full", Subjects: []string{"f.>"}})
	full.put(t, "f.a", 50, 0, 1)
	full.put(t, "f.b", 50, 0, 1)
	full.put(t, "f.c", 10, 0, 1)
	full.delete(t, 1, 10, 11, 50, 51, 110)
	newStream(t, nc, jetstream.StreamConfig{Name: "empty", Subjects: []string{"e.>"}})
	gone := newStream(t, nc, jetstream.StreamConfig{Name: "gone", Subjects: []string{"g.>"}})
	gone.put(t, "g", 5, 0, 1)
	if err := gone.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	api := connect(t, s.URL(), 10*time.Second).At("$JS.API")
	all := sequence(2, 109, 10, 11, 50, 51)
	for _, test := range []struct {
		name, stream string
		from, to     uint64
		filters      []string
		want         []uint64
	}{
		{"empty", "empty", 1, 100, nil, nil},
		{"empty to 0", "empty", 0, 0, nil, nil},
		{"purged", "gone", 1, 5, nil, nil},
		{"behind the purged", "gone", 6, 100, nil, nil},
		{"all", "full", 1, 110, nil, all},
		{"from 0", "full", 0, 110, nil, all},
		{"to far behind the last", "full", 1, 1 << 60, nil, all},
		{"to a deleted one", "full", 5, 11, nil, sequence(5, 9)},
		{"to before deleted ones", "full", 5, 9, nil, sequence(5, 9)},
		{"to behind deleted ones", "full", 5, 12, nil, []uint64{5, 6, 7, 8, 9, 12}},
		{"from a deleted one", "full", 10, 13, nil, []uint64{12, 13}},
		{"only deleted ones", "full", 50, 51, nil, nil},
		{"one", "full", 20, 20, nil, []uint64{20}},
		{"the last one", "full", 109, 109, nil, []uint64{109}},
		{"behind the last", "full", 110, 110, nil, nil},
		{"far behind the last", "full", 111, 200, nil, nil},
		{"from behind to", "full", 5, 4, nil, nil},
		{"a filter", "full", 1, 110, []string{"f.a.>"}, sequence(2, 49, 10, 11)},
		{"a filter that matches one", "full", 1, 110, []string{"f.b.7"}, []uint64{57}},
		{"a filter from within", "full", 48, 60, []string{"f.b.>"}, sequence(52, 60)},
		{"filters", "full", 45, 105, []string{"f.a.*", "f.c.*"}, append(sequence(45, 49), sequence(101, 105)...)},
		{"a filter that matches nothing", "full", 1, 110, []string{"f.x.>"}, nil},
		{"filters that match nothing", "full", 1, 110, []string{"f.x.>", "f.y.>"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := begin(t, api, WalkOptions{Stream: test.stream, From: test.from, To: test.to, Filters: test.filters})
			got, err := rest(w)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, test.want)
			if _, err := w.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("behind the end: %v", err)
			}
			w.Close()
			w.Close()
		})
	}
	full.noConsumers(t)
	if _, err := api.Walk(t.Context(), WalkOptions{Stream: "none", From: 1, To: 2}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no stream: %v, want %v", err, ErrNotFound)
	}
	if _, err := api.Walk(t.Context(), WalkOptions{Stream: "full", From: 1, To: 2, Filters: []string{"f.>", "f.a.>"}}); !errors.Is(err, ErrRejected) {
		t.Errorf("overlapping filters: %v, want %v", err, ErrRejected)
	}
}

// What is larger than what a consumer sends in one go comes as well, with and
// without the bodies, each message once: none is sent twice because a consumer
// was given up before it had sent all that it would.
func TestWalkIsLong(t *testing.T) {
	t.Parallel()
	s := start(t, alone)
	const n = 12_000
	st := newStream(t, dial(t, s.URL()), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	st.put(t, "s", n, 2_000, 2_500)
	proxy := natstest.ProxyTo(t, s)
	var sent atomic.Int64
	proxy.SetHook(func(m natstest.Message) natstest.Verdict {
		if strings.HasPrefix(m.Reply, ackPrefix) {
			sent.Add(1)
		}
		return natstest.Pass
	})
	api := connect(t, proxy.URL(), 10*time.Second).At("$JS.API")
	for _, test := range []struct {
		name   string
		bodies bool
		from   uint64
	}{{"headers only", false, 1}, {"bodies", true, 1}, {"from within", true, n / 2}} {
		t.Run(test.name, func(t *testing.T) {
			sent.Store(0)
			w := begin(t, api, WalkOptions{Stream: "S", From: test.from, To: n, Bodies: test.bodies})
			got, err := rest(w)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, sequence(test.from, n))
			if w.received.generation < 2 || sent.Load() != int64(len(got)) {
				t.Errorf("%d messages were sent by %d consumers", sent.Load(), w.received.generation)
			}
			if w.noFlowControl {
				t.Error("answers are believed not to arrive")
			}
		})
	}
	st.noConsumers(t)
}

// A walk whose context ends says so, whenever that is, and deletes each consumer
// that was created: it does not leave that to the inactive threshold.
func TestWalkIsCancelled(t *testing.T) {
	t.Parallel()
	const n = 6_000
	server := start(t, alone)
	s := padded(t, dial(t, server.URL()), n)
	proxy := natstest.ProxyTo(t, server)
	proxy.SetDelay(2 * time.Millisecond)
	api := connect(t, proxy.URL(), 10*time.Second).At("$JS.API")
	for i := range 40 {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(i)*time.Millisecond/2, cancel)
		opts := WalkOptions{Stream: "S", From: 1, To: n, Rate: 10_000} // takes longer than that
		if i%2 == 0 {
			opts.Rate = 0
		}
		w, err := api.Walk(ctx, opts)
		if err == nil {
			if _, err = rest(w); err == nil {
				err = context.Canceled // it had come to its end
			}
			w.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after %d ms: %v", i/2, err)
		}
		cancel()
	}
	s.noConsumers(t)
	traffic := proxy.Traffic()
	made, deleted := map[string]bool{}, map[string]bool{}
	for _, r := range traffic.Requests {
		name := r.Subject[strings.LastIndexByte(r.Subject, '.')+1:]
		made[name] = made[name] || strings.Contains(r.Subject, ".CONSUMER.CREATE.")
		deleted[name] = deleted[name] || strings.Contains(r.Subject, ".CONSUMER.DELETE.")
	}
	for name := range made {
		if !deleted[name] {
			t.Errorf("consumer %s was not deleted", name)
		}
	}
	if len(made) < 10 {
		t.Errorf("%d consumers were made", len(made))
	}
}
