package content

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

func always(ttl string) func(int) string { return func(int) string { return ttl } }

// What was purged at the origin before its end is left over at once, whatever its
// TTL and the maximum age.
func TestLeftOverBeforeItsEnd(t *testing.T) {
	t.Parallel()
	config := jetstream.StreamConfig{MaxMsgsPerSubject: 1, MaxAge: time.Minute, Duplicates: time.Second, AllowMsgTTL: true}
	c := newCouple(t, config, config)
	c.put(t, []string{"old", "plain"}, "value", nil)
	c.put(t, []string{"short"}, "value", always("40s"))
	c.caughtUp(t)
	purge(t, c.origin, "plain", "short")
	r, items := c.compare(t, false)
	expect(t, items, map[string][2]string{"plain": {string(LeftOver), Gone}, "short": {string(LeftOver), Gone}}, nil)
	if r.Verdict != Differs || r.Compared != 1 {
		t.Errorf("%+v", r)
	}
}

// What the mirror lacks before its end is missing, though its life is short; where
// nothing expires on the mirror, nothing excuses it.
func TestMissingBeforeItsEnd(t *testing.T) {
	t.Parallel()
	for _, ttl := range []bool{true, false} {
		t.Run(fmt.Sprint(ttl), func(t *testing.T) {
			t.Parallel()
			c := newCouple(t, jetstream.StreamConfig{MaxMsgsPerSubject: 1}, jetstream.StreamConfig{MaxMsgsPerSubject: 1, AllowMsgTTL: ttl})
			keys := keysOf("k", 100)
			c.put(t, keys, "value", always("30s"))
			c.caughtUp(t)
			purge(t, c.mirror, keys...)
			if r, _ := c.compare(t, false); r.Missing[Absent] != 100 || r.Verdict != Differs {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What has just expired at the origin is read again until its grace is over, and is
// then left over.
func TestOverdue(t *testing.T) {
	slow(t)
	t.Parallel()
	c := newCouple(t, jetstream.StreamConfig{MaxMsgsPerSubject: 1}, jetstream.StreamConfig{MaxMsgsPerSubject: 1})
	c.put(t, keysOf("t", 50), "value", always("1s"))
	c.put(t, keysOf("k", 10), "value", nil)
	c.caughtUp(t)
	eventually(t, "expiry", func() bool { return state(t, c.hub).Msgs == 10 })
	if r, _ := c.compare(t, false); r.LeftOver[Expired] != 50 || r.Compared != 10 || r.Verdict != Differs {
		t.Errorf("%+v", r)
	}
}

// A mirror that has stopped is not called identical when all that it lacks is written
// again all the time, and its old values are not left over.
func TestStoppedBelowHotKey(t *testing.T) {
	t.Parallel()
	c := newCouple(t, jetstream.StreamConfig{MaxMsgsPerSubject: 1}, jetstream.StreamConfig{MaxMsgsPerSubject: 1, MaxMsgs: 2, Discard: jetstream.DiscardNew, AllowMsgTTL: true})
	c.put(t, []string{"hot", "cold"}, "value", nil)
	c.caughtUp(t)
	c.put(t, []string{"one", "too", "many"}, "value", nil)
	eventually(t, "the mirror to stop", func() bool { return state(t, c.leaf).Msgs == 2 })
	time.Sleep(200 * time.Millisecond)
	purge(t, c.origin, "one", "too", "many") // all that is pending is the hot key
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			_, _ = c.hub.PublishMsg(t.Context(), &nats.Msg{Subject: "$KV.demo.hot", Data: []byte("v")})
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	defer func() { close(stop); <-done }()
	eventually(t, "the hot key", func() bool { return state(t, c.hub).LastSeq > 6 })
	if r, items := c.compare(t, false); r.Verdict != Unverified || r.Pending != 1 || len(items) > 0 {
		t.Errorf("%+v %+v", r, items)
	}
}

// What the middle of a chain has lost and its top holds is not left over at the bottom;
// what is gone from the top is.
func TestMissingAbove(t *testing.T) {
	t.Parallel()
	c := newCouple(t, jetstream.StreamConfig{MaxMsgsPerSubject: 1}, jetstream.StreamConfig{MaxMsgsPerSubject: 1, AllowMsgTTL: true})
	if _, err := c.leaf.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "KV_bottom", MaxMsgsPerSubject: 1, AllowMsgTTL: true, Mirror: &jetstream.StreamSource{Name: "KV_demo"},
	}); err != nil {
		t.Fatal(err)
	}
	c.put(t, keysOf("k", 100), "value", nil)
	eventually(t, "the bottom", func() bool {
		s, err := c.leaf.Stream(t.Context(), "KV_bottom")
		return err == nil && s.CachedInfo().State.Msgs == 100
	})
	purge(t, c.mirror, keysOf("k", 15)...)
	purge(t, c.origin, "k.0000003", "k.0000050")
	var items []Item
	leftovers := &Leftovers{Max: 1_000, Gone: true}
	comparer := &Comparer{
		Mirror: c.mirror, Origin: c.mirror, Top: c.origin, MirrorStream: "KV_bottom", OriginStream: "KV_demo", TopStream: "KV_demo", Waits: short,
		Found: func(i Item) error { items = append(items, i); leftovers.Add(i); return nil },
	}
	r, err := comparer.Compare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != Differs || r.MissingAbove != 14 || r.LeftOver[Gone] != 1 || r.differences() != 15 || r.Compared != 85 {
		t.Errorf("%+v", r)
	}
	if p := leftovers.Purges(); len(p) != 1 || p[0].Subject != "$KV.demo.k.0000003" {
		t.Errorf("to purge: %+v", p)
	}
	// What the top alone has lost is on both others.
	for _, i := range items {
		if i.Key == "k.0000003" != (i.Kind == LeftOver) || i.Key == "k.0000050" {
			t.Errorf("%+v", i)
		}
	}
	purge(t, c.mirror, "k.0000050")
	purgeOf(t, c, "KV_bottom", "k.0000020")
	if r, err = comparer.Compare(t.Context()); err != nil || r.LeftOver[Gone] != 2 || r.Missing[Absent] != 1 || r.MissingAbove != 14 {
		t.Errorf("%+v, %v", r, err)
	}
	// What only the middle holds is not missing at the bottom.
	purge(t, c.origin, "k.0000020")
	if r, err = comparer.Compare(t.Context()); err != nil || len(r.Missing) > 0 || r.ByDesign != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func purgeOf(t *testing.T, c *couple, stream, key string) {
	t.Helper()
	if n, err := c.mirror.Purge(t.Context(), stream, "$KV.demo."+key, 1<<40); err != nil || n != 1 {
		t.Fatal(n, err)
	}
}

// A message whose headers nats.go cannot parse is compared all the same, with all its
// headers.
func TestUnparsedHeaders(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	c := newCoupleOf(t, sites, jetstream.StreamConfig{MaxMsgsPerSubject: 1}, jetstream.StreamConfig{MaxMsgsPerSubject: 1, AllowMsgTTL: true})
	raw, err := net.Dial("tcp", sites.Hub.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	header := "NATS/1.0\r\nfoo bar\r\n\r\n"
	if _, err := fmt.Fprintf(raw, "CONNECT {\"verbose\":false,\"headers\":true}\r\nHPUB $KV.demo.raw %d %d\r\n%sbody\r\n", len(header), len(header)+4, header); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message", func() bool { return state(t, c.hub).Msgs == 1 })
	c.put(t, []string{"plain"}, "value", nil)
	c.caughtUp(t)
	for _, bodies := range []bool{false, true} {
		if r, items := c.compare(t, bodies); r.Verdict != Identical || r.Compared != 2 || r.Unreadable != 0 {
			t.Errorf("bodies %v: %+v %+v", bodies, r, items)
		}
	}
}
