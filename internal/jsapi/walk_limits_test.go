package jsapi

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// Across accounts messages come to the deliver prefix; without flow control
// there too, a window at a time.
func TestWalkAcrossAccounts(t *testing.T) {
	slow(t)
	t.Parallel()
	const n = 6_000
	for _, test := range []struct {
		name          string
		kind          natstest.AccountsKind
		noFlowControl bool
	}{{"with flow control", natstest.CrossAccount, false}, {"without", natstest.CrossAccountNoFlowControl, true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, err := natstest.Accounts(test.kind)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Stop)
			s := newStream(t, dial(t, server.URL(), nats.UserInfo("a", "a")), jetstream.StreamConfig{Name: "KV_demo", Subjects: []string{"$KV.demo.>"}})
			s.put(t, "$KV.demo.k", n, 1_000, 0)
			conn, err := Connect(t.Context(), server.URL(), 20*time.Second, nil, nats.UserInfo("b", "b"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(conn.Close)
			w := begin(t, conn.At("JS.A.API"), WalkOptions{Stream: "KV_demo", From: 1, To: n, DeliverPrefix: "deliver.B", waits: walkWaits{inactiveThreshold: short.inactiveThreshold}})
			h, err := w.Next()
			if err != nil || string(h.Subject) != "$KV.demo.k.1" {
				t.Fatal(h, err)
			}
			got, err := rest(w)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, sequence(2, n))
			if w.noFlowControl != test.noFlowControl {
				t.Errorf("no flow control: %v", w.noFlowControl)
			}
			w.Close()
			s.noConsumers(t)
		})
	}
}

// What is denied is reported at once.
func TestWalkIsDenied(t *testing.T) {
	t.Parallel()
	server := start(t, `
listen: 127.0.0.1:-1
jetstream { store_dir: "{{dir}}", max_memory_store: 64MB, max_file_store: 64MB }
accounts {
  A { jetstream: enabled, users: [
    { user: all, password: p }
    { user: create, password: p, permissions: { publish: { deny: "$JS.API.CONSUMER.CREATE.>" } } }
    { user: deliver, password: p, permissions: { subscribe: { deny: "far.>" } } }
    { user: inbox, password: p, permissions: { subscribe: { deny: "_INBOX.>" } } }
    { user: delete, password: p, permissions: { publish: { deny: "$JS.API.CONSUMER.DELETE.>" } } }
  ] }
}`)
	s := padded(t, dial(t, server.URL(), nats.UserInfo("all", "p")), 10)
	for _, test := range []struct {
		user string
		kind error
	}{{"all", nil}, {"create", ErrDenied}, {"deliver", ErrDenied}, {"inbox", ErrDenied}, {"delete", nil}} {
		t.Run(test.user, func(t *testing.T) {
			conn, err := Connect(t.Context(), server.URL(), time.Minute, nil, nats.UserInfo(test.user, "p"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(conn.Close)
			opts := WalkOptions{Stream: "S", From: 1, To: 10, waits: short}
			if test.user == "deliver" {
				opts.DeliverPrefix = "far.away"
			}
			start := time.Now()
			w, err := conn.At("$JS.API").Walk(t.Context(), opts)
			if err == nil {
				_, err = rest(w)
				w.Close()
			}
			if !errors.Is(err, test.kind) {
				t.Errorf("%v, want %v", err, test.kind)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
			if test.user == "deliver" {
				// The connection is as good as before, also when it hears late of
				// what was denied to the walk.
				conn.asyncError(fmt.Errorf(`%w: permissions violation for subscription to "far.away.x.1"`, nats.ErrPermissionViolation))
				if _, err := conn.At("$JS.API").Account(t.Context()); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			}
		})
	}
	s.noConsumers(t)
}

// A walk keeps to its rate, and the server is told of it. Where that keeps the
// server from sending at all, because a message is larger than it allows at once,
// it is not told.
func TestWalkAtARate(t *testing.T) {
	slow(t)
	t.Parallel()
	server := start(t, alone)
	nc := dial(t, server.URL())
	api := connect(t, server.URL(), time.Minute).At("$JS.API")
	for name, largest := range map[string]int32{"unlimited": -1, "small": 16} {
		t.Run(name, func(t *testing.T) {
			const n, rate = 300, 400
			s := newStream(t, nc, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, MaxMsgSize: largest})
			s.put(t, name, n, 0, 1)
			start := time.Now()
			w := begin(t, api, WalkOptions{Stream: name, From: 1, To: n, Rate: rate, waits: walkWaits{heartbeat: 500 * time.Millisecond}})
			c, err := s.PushConsumer(t.Context(), w.name)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.CachedInfo().Config.RateLimit; got != 8*headersSize*rate {
				t.Errorf("the server is told %d bit/s", got)
			}
			got, err := rest(w)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, sequence(1, n))
			if took := time.Since(start); took < (n-rate/50)*time.Second/rate {
				t.Errorf("it took %v", took)
			}
			w.Close()
			s.noConsumers(t)
		})
	}
}
