package jsapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// What happens to a stream while it is walked through changes what is read, and
// no more than that.
func TestWalkWhileChanging(t *testing.T) {
	slow(t)
	t.Parallel()
	const n, tail = 6_000, 5_000 // some 2,000 of them come in one go
	for _, test := range []struct {
		name   string
		change func(t *testing.T, s testStream)
		want   []uint64 // as far as the walk reads the tail; nil for all
		to     uint64
	}{
		{"the tail is purged", func(t *testing.T, s testStream) {
			for seq := uint64(tail + 1); seq <= n; seq++ {
				s.delete(t, seq)
			}
		}, sequence(1, tail), n},
		{"inner messages are deleted", func(t *testing.T, s testStream) { s.delete(t, 4_000, 4_001, 5_500) }, sequence(1, n, 4_000, 4_001, 5_500), n},
		{"more come", func(t *testing.T, s testStream) { s.put(t, "s.more", 10, 0, 0) }, sequence(1, n), n},
		{"more come and are read", func(t *testing.T, s testStream) { s.put(t, "s.more", 10, 0, 0) }, sequence(1, n+10), 1 << 40},
		{"a consumer is deleted", func(t *testing.T, s testStream) {
			names := s.consumers(t)
			if len(names) != 1 {
				t.Fatalf("%d consumers", len(names))
			}
			if err := s.DeleteConsumer(t.Context(), names[0]); err != nil {
				t.Fatal(err)
			}
		}, sequence(1, n), n},
		{"all is purged", func(t *testing.T, s testStream) {
			if err := s.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, nil, n},
		{"the tail expires", func(t *testing.T, s testStream) {
			for range 3 {
				m := nats.NewMsg("s.ttl")
				m.Header.Set("Nats-TTL", "1s")
				if _, err := s.js.PublishMsg(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "expiry", func() bool {
				info, err := s.Info(t.Context())
				return err == nil && info.State.Msgs == n
			})
		}, sequence(1, n), n + 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := start(t, alone)
			s := padded(t, dial(t, server.URL()), n)
			w := begin(t, connect(t, server.URL(), 20*time.Second).At("$JS.API"), WalkOptions{Stream: "S", From: 1, To: test.to, waits: short})
			if h, err := w.Next(); err != nil || h.Seq != 1 {
				t.Fatal(h, err)
			}
			eventually(t, "the consumer to stall", func() bool { return w.isStalled() })
			test.change(t, s)
			got, err := rest(w)
			if err != nil {
				t.Fatal(err)
			}
			got = slices.Insert(got, 0, 1)
			if test.want != nil {
				same(t, got, test.want)
			} else {
				same(t, got, sequence(1, uint64(len(got))))
				if len(got) == n {
					t.Error("what was purged was read")
				}
			}
			w.Close()
			s.noConsumers(t)
		})
	}
	t.Run("the stream is deleted", func(t *testing.T) {
		t.Parallel()
		server := start(t, alone)
		s := padded(t, dial(t, server.URL()), n)
		w := begin(t, connect(t, server.URL(), 20*time.Second).At("$JS.API"), WalkOptions{Stream: "S", From: 1, To: n})
		if err := s.js.DeleteStream(t.Context(), "S"); err != nil {
			t.Fatal(err)
		}
		if got, err := rest(w); !errors.Is(err, ErrNotFound) {
			t.Errorf("%d messages, %v; want %v", len(got), err, ErrNotFound)
		}
	})
}

// Messages deleted at random while they are read: all others come, once.
func TestWalkWhileDeleting(t *testing.T) {
	slow(t)
	t.Parallel()
	const n = 10_000
	server := start(t, alone)
	s := padded(t, dial(t, server.URL()), n)
	random := rand.New(rand.NewPCG(1, 2))
	var deleted []uint64
	for _, i := range random.Perm(n)[:500] {
		deleted = append(deleted, uint64(i+1))
	}
	w := begin(t, connect(t, server.URL(), 10*time.Second).At("$JS.API"), WalkOptions{Stream: "S", From: 1, To: n, Rate: 20_000})
	done := make(chan error, 1)
	go func() {
		for _, seq := range deleted {
			if err := s.DeleteMsg(context.Background(), seq); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	got, err := rest(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(got); i++ {
		if got[i] <= got[i-1] {
			t.Fatalf("%d comes after %d", got[i], got[i-1])
		}
	}
	stay := slices.DeleteFunc(got, func(seq uint64) bool { return slices.Contains(deleted, seq) })
	same(t, stay, sequence(1, n, deleted...))
}
