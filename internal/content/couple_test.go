package content

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/natstest"
)

// couple is an origin on a hub and its mirror on a leaf, both called KV_demo.
type couple struct {
	hub, leaf      jetstream.JetStream
	conn           *jsapi.Conn
	mirror, origin *jsapi.API
}

// newCouple makes both from configurations that hold only what matters to a test.
func newCouple(t *testing.T, origin, mirror jetstream.StreamConfig) *couple {
	t.Helper()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	return newCoupleOf(t, sites, origin, mirror)
}

// newCoupleOf is newCouple on sites that run.
func newCoupleOf(t *testing.T, sites *natstest.Sites, origin, mirror jetstream.StreamConfig) *couple {
	t.Helper()
	conn, err := jsapi.Connect(t.Context(), sites.Leaf.URL(), time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	c := &couple{conn: conn, mirror: conn.At("$JS.API"), origin: conn.At("$JS.hub.API")}
	if c.hub, err = jetstream.New(connect(t, sites.Hub.URL()), jetstream.WithPublishAsyncMaxPending(2_000), jetstream.WithDefaultTimeout(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if c.leaf, err = jetstream.New(connect(t, sites.Leaf.URL()), jetstream.WithDefaultTimeout(time.Minute)); err != nil {
		t.Fatal(err)
	}
	origin.Name, origin.Subjects, origin.AllowRollup, origin.AllowMsgTTL, origin.Discard = "KV_demo", []string{"$KV.demo.>"}, true, true, jetstream.DiscardNew
	if _, err := c.hub.CreateStream(t.Context(), origin); err != nil {
		t.Fatal(err)
	}
	mirror.Name, mirror.AllowRollup = "KV_demo", true
	if mirror.Mirror == nil {
		mirror.Mirror = &jetstream.StreamSource{Name: "KV_demo"}
	}
	mirror.Mirror.Domain = "hub"
	if _, err := c.leaf.CreateStream(t.Context(), mirror); err != nil {
		t.Fatal(err)
	}
	return c
}

// state is the state of one of the two streams.
func state(t *testing.T, js jetstream.JetStream) jetstream.StreamState {
	t.Helper()
	s, err := js.Stream(t.Context(), "KV_demo")
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited two minutes for %s", what)
		}
	}
}

// put puts keys, all at once, with the TTL that ttl says; "" for none.
func (c *couple) put(t *testing.T, keys []string, value string, ttl func(i int) string) {
	t.Helper()
	for i, key := range keys {
		m := nats.NewMsg("$KV.demo." + key)
		m.Data = []byte(value)
		if ttl != nil && ttl(i) != "" {
			m.Header.Set("Nats-TTL", ttl(i))
		}
		if _, err := c.hub.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	<-c.hub.PublishAsyncComplete()
}

// purge removes keys from one side only.
func purge(t *testing.T, api *jsapi.API, keys ...string) {
	t.Helper()
	var wg sync.WaitGroup
	for part := range slices.Chunk(keys, len(keys)/8+1) {
		wg.Go(func() {
			for _, key := range part {
				if n, err := api.Purge(t.Context(), "KV_demo", "$KV.demo."+key, 1<<40); err != nil || n != 1 {
					t.Errorf("purging %s: %d, %v", key, n, err)
				}
			}
		})
	}
	wg.Wait()
}

// caughtUp waits until the mirror has what its origin has now.
func (c *couple) caughtUp(t *testing.T) {
	t.Helper()
	last := state(t, c.hub).LastSeq
	eventually(t, "the mirror", func() bool { return state(t, c.leaf).LastSeq >= last })
}

// write puts, deletes, purges and lets expire at the origin until the test ends,
// every so often, or with 0 as fast as the mirror can follow: keys under w are written
// again and again, those under t once. With again, values under w expire as well.
func (c *couple) write(t *testing.T, every time.Duration, again bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		random := rand.New(rand.NewPCG(4, 2))
		for n := 0; ctx.Err() == nil; n++ {
			key := fmt.Sprintf("w.%d", random.IntN(200))
			header := nats.Header{}
			switch r := random.IntN(20); {
			case r < 3:
				key = fmt.Sprintf("t.%d", n)
				header.Set("Nats-TTL", []string{"1s", "2s"}[n%2])
			case r < 5:
				header.Set("KV-Operation", "DEL")
			case r < 7:
				header.Set("KV-Operation", "PURGE")
				header.Set("Nats-Rollup", "sub")
			case r < 8 && again:
				header.Set("Nats-TTL", "1s")
			}
			ack, err := c.hub.PublishMsg(ctx, &nats.Msg{Subject: "$KV.demo." + key, Header: header, Data: []byte("v")})
			switch {
			case ctx.Err() != nil:
			case err != nil:
				t.Errorf("writing: %v", err)
				return
			case every > 0:
				time.Sleep(every)
			case n%1_000 == 0:
				c.follow(ctx, ack.Sequence)
			}
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// follow waits until the mirror is near a sequence. Over a link on which more is waiting
// than it carries in a minute, nothing else is answered.
func (c *couple) follow(ctx context.Context, seq uint64) {
	const near = 10_000
	for ctx.Err() == nil {
		s, err := c.leaf.Stream(ctx, "KV_demo")
		if err == nil && s.CachedInfo().State.LastSeq+near >= seq {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// short are waits for servers on this machine. What differs for a time only is in
// the classifier's grace, so the second reading may come soon.
var short = Waits{Recheck: 300 * time.Millisecond, CatchUp: time.Second, Poll: 20 * time.Millisecond}

// compare compares both and returns what was found.
func (c *couple) compare(t *testing.T, bodies bool) (Result, []Item) {
	t.Helper()
	var items []Item
	comparer := &Comparer{
		Mirror: c.mirror, Origin: c.origin, MirrorStream: "KV_demo", OriginStream: "KV_demo", Bodies: bodies, Waits: short,
		Found: func(i Item) error { items = append(items, i); return nil },
	}
	r, err := comparer.Compare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if uint64(len(items)) != r.differences() {
		t.Errorf("%d items, and %+v", len(items), r)
	}
	return r, items
}

// expect checks that what was planted was found, as kind and reason by key, and
// nothing else but what allowed says.
func expect(t *testing.T, items []Item, planted map[string][2]string, allowed func(Item) bool) {
	t.Helper()
	found, complaints := 0, 0
	complain := func(format string, a ...any) {
		if complaints++; complaints < 20 {
			t.Errorf(format, a...)
		}
	}
	for _, i := range items {
		want, ok := planted[i.Key]
		switch {
		case ok && want == [2]string{string(i.Kind), i.Reason}:
			found++
		case ok:
			complain("%+v, want %v", i, want)
		case allowed == nil || !allowed(i):
			complain("not planted: %+v", i)
		}
	}
	if found != len(planted) {
		complain("%d of %d planted differences were found", found, len(planted))
	}
}

func keysOf(prefix string, n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("%s.%07d", prefix, i))
	}
	return keys
}
