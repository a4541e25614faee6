package jsapi

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// The server that holds the consumer may go down, and the stream's leader
// change: another one goes on.
func TestWalkInACluster(t *testing.T) {
	slow(t)
	t.Parallel()
	const n = 6_000
	servers, err := natstest.Cluster(3, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		t.Cleanup(s.Stop)
	}
	nc := dial(t, servers[0].URL())
	s := newStream(t, nc, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Replicas: 3})
	s.put(t, "s", n, 1_000, 0)

	api := connect(t, servers[0].URL(), 10*time.Second).At("$JS.API")
	w := begin(t, api, WalkOptions{Stream: "S", From: 1, To: n})
	eventually(t, "the consumer to stall", w.isStalled)
	if _, err := nc.Request("$JS.API.STREAM.LEADER.STEPDOWN.S", nil, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	got, err := rest(w)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, sequence(1, n))
	w.Close()
	s.noConsumers(t)

	// A walk from a server that stays.
	w = begin(t, api, WalkOptions{Stream: "S", From: 1, To: n})
	eventually(t, "the consumer to stall", w.isStalled)
	c, err := s.PushConsumer(t.Context(), w.name)
	if err != nil {
		t.Fatal(err)
	}
	host := c.CachedInfo().Cluster.Leader
	for _, server := range servers[1:] {
		if server.Underlying().Name() == host {
			server.Shutdown()
		}
	}
	got, err = rest(w)
	if err != nil {
		// The API may have no leader for some seconds.
		if !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrRejected) && !errors.Is(err, ErrNoResponders) {
			t.Error(err)
		}
		same(t, got, sequence(1, uint64(len(got))))
		return
	}
	same(t, got, sequence(1, n))
}

// A consumer on a replica that is behind has nothing to send, though the leader
// has more.
func TestWalkOnReplicaThatIsBehind(t *testing.T) {
	slow(t)
	t.Parallel()
	const n = 100
	server := start(t, alone)
	nc := dial(t, server.URL())
	s := newStream(t, nc, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	s.put(t, "s", n, 0, 10)
	for _, test := range []struct {
		name       string
		behind     int64 // how many consumers are: they begin after the last message
		replicated bool
		denied     bool // the leader may not be asked
		want       uint64
		err        error
	}{
		{"once", 1, true, false, n, nil},
		{"five times", 5, true, false, n, nil},
		{"forever", 1 << 40, true, false, 0, ErrTimeout},
		{"no replicas", 1 << 40, false, false, 0, nil},
		{"unknown", 1, true, true, 0, ErrNoResponders},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			prefix := "BEHIND." + strings.ReplaceAll(test.name, " ", "_")
			var made atomic.Int64
			serve := func(subject string, change func([]byte) []byte) {
				sub, err := nc.Subscribe(prefix+"."+subject, func(m *nats.Msg) {
					data := change(m.Data)
					go func() {
						if r, err := nc.Request("$JS.API"+strings.TrimPrefix(m.Subject, prefix), data, 30*time.Second); err == nil {
							_ = m.Respond(r.Data)
						}
					}()
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = sub.Unsubscribe() })
			}
			serve("CONSUMER.DELETE.>", func(data []byte) []byte { return data })
			if !test.denied {
				serve("STREAM.MSG.GET.>", func(data []byte) []byte { return data })
			}
			serve("CONSUMER.CREATE.>", func(data []byte) []byte {
				if made.Add(1) > test.behind {
					return data
				}
				return bytes.Replace(data, []byte(`"opt_start_seq":1,`), fmt.Appendf(nil, `"opt_start_seq":%d,`, 10*n), 1)
			})
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			timeout := 3 * time.Second
			if test.err == nil {
				timeout = 30 * time.Second // nothing is to time out on a busy machine
			}
			api := connect(t, server.URL(), timeout).At(prefix)
			w, err := api.Walk(t.Context(), WalkOptions{Stream: "S", From: 1, To: n, Replicated: test.replicated})
			var got []uint64
			if err == nil {
				t.Cleanup(w.Close)
				got, err = rest(w)
			}
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("%v, want %v", err, test.err)
			}
			same(t, got, sequence(1, test.want))
		})
	}
}
