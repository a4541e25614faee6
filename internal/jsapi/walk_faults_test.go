package jsapi

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nats-kvmirror/internal/natstest"
)

// A walk reads everything, whatever is lost on the way.
func TestWalkLoses(t *testing.T) {
	slow(t)
	t.Parallel()
	const n = 8_000
	server := start(t, alone)
	s := padded(t, dial(t, server.URL()), n)
	request := func(m natstest.Message) bool { return bytes.Contains(m.Header, []byte("FlowControl")) }
	answer := func(m natstest.Message) bool { return strings.HasPrefix(m.Subject, "$JS.FC.") }
	message := func(m natstest.Message) bool { return strings.HasPrefix(m.Reply, ackPrefix) }
	deletion := func(m natstest.Message) bool { return strings.Contains(m.Subject, ".CONSUMER.DELETE.") }
	every := func(int64) bool { return true }
	first := func(nth int64) bool { return nth == 1 }
	t.Run("all", func(t *testing.T) { // returns when all of them have
		for _, test := range []struct {
			name string
			what func(natstest.Message) bool
			lost func(nth int64) bool
		}{
			{"every flow control request", request, every},
			{"the first flow control request", request, first},
			{"every answer", answer, every},
			{"the first answer", answer, first},
			{"the first message", message, first},
			{"some messages", message, func(nth int64) bool { return nth%3_000 == 1_500 }},
			{"the last message", message, func(nth int64) bool { return nth == n }},
			{"deletions", deletion, every},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				proxy := natstest.ProxyTo(t, server)
				var seen, lost atomic.Int64
				proxy.SetHook(func(m natstest.Message) natstest.Verdict {
					if test.what(m) && test.lost(seen.Add(1)) {
						lost.Add(1)
						return natstest.Drop
					}
					return natstest.Pass
				})
				w := begin(t, connect(t, proxy.URL(), 20*time.Second).At("$JS.API"), WalkOptions{Stream: "S", From: 1, To: n, waits: short})
				got, err := rest(w)
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, sequence(1, n))
				w.Close()
				if lost.Load() == 0 {
					t.Error("nothing was lost")
				}
			})
		}
	})
	s.noConsumers(t)
}

// A link that is cut ends a walk within the timeout; after it has healed, the
// next one reads all. One that heals at once is no reason to end, or a clean one.
func TestWalkOverALinkThatIsCut(t *testing.T) {
	slow(t)
	t.Parallel()
	const n, timeout = 6_000, 2 * time.Second
	sites, link, err := natstest.HubAndLeafVia()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	s := padded(t, dial(t, sites.Hub.URL()), n)
	api := connect(t, sites.Leaf.URL(), timeout).At("$JS.hub.API")
	opts := WalkOptions{Stream: "S", From: 1, To: n, waits: short}

	w := begin(t, api, opts)
	eventually(t, "the consumer to stall", w.isStalled)
	link.Refuse(true)
	link.CutAll()
	cut := time.Now()
	got, err := rest(w)
	if !errors.Is(err, ErrNoResponders) && !errors.Is(err, ErrTimeout) {
		t.Errorf("%d messages, %v", len(got), err)
	}
	if took := time.Since(cut); took > timeout+10*time.Second { // a busy machine adds to a second
		t.Errorf("it took %v to end", took)
	}
	w.Close()
	link.Refuse(false)
	up := func() bool {
		_, err := api.Account(t.Context())
		return err == nil
	}
	eventually(t, "the link", up)

	for i := range 5 {
		eventually(t, "a walk that begins over the new link", func() bool {
			var err error
			if w, err = api.Walk(t.Context(), opts); err != nil {
				return false // an answer may be lost for as long as the new link is not known everywhere
			}
			for range 100 * i {
				if _, err := w.Next(); err != nil {
					w.Close()
					return false
				}
			}
			return true
		})
		link.CutAll()
		got, err := rest(w)
		if err == nil {
			same(t, got, sequence(uint64(100*i+1), n))
		} else if !errors.Is(err, ErrNoResponders) && !errors.Is(err, ErrTimeout) {
			t.Error(err)
		}
		w.Close()
		eventually(t, "the link", up)
	}
	s.noConsumers(t)
}

// A walk ends when its own connection is lost, though that comes back.
func TestWalkOverAConnectionThatIsCut(t *testing.T) {
	t.Parallel()
	const n = 6_000
	server := start(t, alone)
	padded(t, dial(t, server.URL()), n)
	proxy := natstest.ProxyTo(t, server)
	api := connect(t, proxy.URL(), time.Minute).At("$JS.API")
	w := begin(t, api, WalkOptions{Stream: "S", From: 1, To: n})
	eventually(t, "the consumer to stall", w.isStalled)
	start := time.Now()
	proxy.CutAll()
	got, err := rest(w)
	if !errors.Is(err, ErrDisconnected) {
		t.Errorf("%d messages, %v; want %v", len(got), err, ErrDisconnected)
	}
	same(t, got, sequence(1, uint64(len(got))))
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	w.Close()
	eventually(t, "the connection", func() bool {
		_, err := api.Account(t.Context())
		return err == nil
	})
	got, err = rest(begin(t, api, WalkOptions{Stream: "S", From: 1, To: n}))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, sequence(1, n))
}
