package content

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/natstest"
)

// A healthy mirror is identical; what is purged at the origin's stream, which is
// not replicated, is left over; what is deleted from the mirror is missing.
func TestCompare(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	fill(t, sites, 3_000)
	conn, err := jsapi.Connect(t.Context(), sites.Leaf.URL(), time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	mirror, origin := conn.At("$JS.API"), conn.At("$JS.hub.API")
	var items []Item
	compare := func() Result {
		items = nil
		c := &Comparer{
			Mirror: mirror, Origin: origin, MirrorStream: "KV_demo", OriginStream: "KV_demo", Bodies: true, Waits: short,
			Found: func(i Item) error { items = append(items, i); return nil },
		}
		r, err := c.Compare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := compare(); r.Verdict != Identical || r.Compared != 3_000 || r.Through != 3_000 {
		t.Errorf("a healthy mirror: %+v", r)
	}
	if n, err := origin.Purge(t.Context(), "KV_demo", "$KV.demo.key.7", 1_000); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if r := compare(); r.Verdict != Differs || r.LeftOver[Gone] != 1 || r.differences() != 1 || len(items) != 1 || items[0].Key != "key.7" || items[0].Seq != 8 {
		t.Errorf("a purged key: %+v %+v", r, items)
	}
	if n, err := mirror.Purge(t.Context(), "KV_demo", "$KV.demo.key.2999", 4_000); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if r := compare(); r.Verdict != Differs || r.LeftOver[Gone] != 1 || r.Missing[Absent] != 1 || r.differences() != 2 || len(items) != 2 {
		t.Errorf("a missing key: %+v %+v", r, items)
	}
	js, err := jetstream.New(connect(t, sites.Leaf.URL()), jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(context.Background(), "KV_demo")
	if err != nil || s.CachedInfo().State.Consumers != 0 {
		t.Errorf("%d consumers are left, %v", s.CachedInfo().State.Consumers, err)
	}
}

// A quick comparison accepts that both sides have the same sequences, and says so; of
// those that differ the messages are read. A difference at one sequence shows where
// another one is near, or in the states.
func TestQuick(t *testing.T) {
	t.Parallel()
	c := newCouple(t, jetstream.StreamConfig{MaxMsgsPerSubject: 1}, jetstream.StreamConfig{MaxMsgsPerSubject: 1, AllowMsgTTL: true})
	keys := keysOf("k", 10_000)
	c.put(t, keys, "value", nil)
	c.caughtUp(t)
	compare := func() Result {
		comparer := &Comparer{Mirror: c.mirror, Origin: c.origin, MirrorStream: "KV_demo", OriginStream: "KV_demo", Quick: true, Waits: short}
		r, err := comparer.Compare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	check := func(what string, verdict Verdict, method Method, compared, leftOver, missing uint64) {
		t.Helper()
		if r := compare(); r.Verdict != verdict || r.Method != method || r.Compared != compared || r.Through != 10_000 ||
			r.LeftOver[Gone] != leftOver || r.Missing[Absent] != missing || r.differences() != leftOver+missing {
			t.Errorf("%s: %+v", what, r)
		}
	}
	check("the same", SameSequences, BySequences, 10_000, 0, 0)
	purge(t, c.origin, keys[700])
	check("another count", Differs, BySequences, 9_999, 1, 0)
	purge(t, c.mirror, keys[100])
	check("the same count", Differs, BySequences, 9_998, 1, 1)
	purge(t, c.origin, keys[:50]...)
	purge(t, c.mirror, keys[9_990:]...)
	check("at both ends", Differs, BySequences, 9_938, 51, 11)
	purge(t, c.origin, keys[9_990:]...)
	purge(t, c.origin, keys[100])
	purge(t, c.mirror, keys[:50]...)
	purge(t, c.mirror, keys[700])
	check("the same again", SameSequences, BySequences, 9_938, 0, 0)
}

// An origin whose messages cannot be read leaves what the mirror alone shows.
func TestOriginUnreadable(t *testing.T) {
	slow(t)
	t.Parallel()
	c := newCouple(t, jetstream.StreamConfig{MaxMsgsPerSubject: 1}, jetstream.StreamConfig{MaxMsgsPerSubject: 1})
	c.put(t, keysOf("k", 100), "value", func(int) string { return "1h" })
	c.caughtUp(t)
	purge(t, c.origin, "k.0000003")
	c.origin = c.conn.At("$JS.nowhere.API")
	var over time.Time
	for range 5 { // until it is done in time
		begin := time.Now()
		c.put(t, keysOf("t", 100), "value", func(int) string { return "1s" })
		c.caughtUp(t)
		over = time.Now().Add(Grace + 2*time.Second)
		r, _ := c.compare(t, false)
		if time.Since(begin) > Grace {
			continue
		}
		if r.Verdict != Unverified || r.differences() != 0 || r.OriginUnreadable == "" {
			t.Errorf("within the grace: %+v", r)
		}
		break
	}
	eventually(t, "the grace to be over", func() bool { return time.Now().After(over) })
	r, items := c.compare(t, false)
	if r.Verdict != Unverified || r.LeftOver[Expired] != 100 || r.differences() != 100 || r.OriginUnreadable == "" || items[0].Key != "t.0000000" || items[0].TTL != "1s" {
		t.Errorf("%+v", r)
	}
}

// A comparison that is cancelled, or ended by Found, leaves no consumer on either
// side.
func TestCompareEnds(t *testing.T) {
	slow(t)
	t.Parallel()
	c := newCouple(t, jetstream.StreamConfig{MaxMsgsPerSubject: 1}, jetstream.StreamConfig{MaxMsgsPerSubject: 1})
	c.put(t, keysOf("k", 30_000), "value", nil)
	c.caughtUp(t)
	purge(t, c.origin, "k.0000003", "k.0000004")
	enough := errors.New("enough")
	for i := range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		told := 0
		comparer := &Comparer{
			Mirror: c.mirror, Origin: c.origin, MirrorStream: "KV_demo", OriginStream: "KV_demo", Waits: short,
			Found: func(Item) error { told++; return enough },
		}
		want := context.Canceled
		if i == 0 {
			want = enough
		} else {
			time.AfterFunc(time.Duration(i*i)*2*time.Millisecond, cancel)
		}
		if _, err := comparer.Compare(ctx); !errors.Is(err, want) || told > 1 {
			t.Errorf("%d: %v, told %d times; want %v", i, err, told, want)
		}
		cancel()
	}
	for _, js := range []jetstream.JetStream{c.hub, c.leaf} {
		// The origin has that of its mirror, which is not counted everywhere.
		eventually(t, "the consumers to go", func() bool {
			s, err := js.Stream(t.Context(), "KV_demo")
			if err != nil {
				return false
			}
			list := s.ConsumerNames(t.Context())
			left := 0
			for name := range list.Name() {
				if strings.HasPrefix(name, "kvmirror-") {
					left++
				}
			}
			return list.Err() == nil && left == 0
		})
	}
}

// What a mirror that is behind does not have yet, and what it keeps because the
// replacement has not arrived, is no difference; the verdict is unverified.
func TestBehind(t *testing.T) {
	slow(t)
	t.Parallel()
	sites, link, err := natstest.HubAndLeafVia()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	c := newCoupleOf(t, sites, jetstream.StreamConfig{MaxMsgsPerSubject: 1}, jetstream.StreamConfig{MaxMsgsPerSubject: 1, AllowMsgTTL: true})
	c.put(t, keysOf("k", 500), "value", nil)
	c.caughtUp(t)
	conn, err := jsapi.Connect(t.Context(), sites.Hub.URL(), time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	c.origin = conn.At("$JS.API")
	link.Refuse(true)
	link.CutAll()
	c.put(t, keysOf("k", 50), "another", nil)
	c.put(t, keysOf("new", 50), "value", nil)
	if r, items := c.compare(t, false); r.Verdict != Unverified || r.Behind != 100 || r.Pending != 50 || r.Compared != 450 || r.Through != 500 {
		t.Errorf("behind: %+v %+v", r, items)
	}
	link.Refuse(false)
	c.caughtUp(t)
	if r, items := c.compare(t, false); r.Verdict != Identical || r.Compared != 550 || r.Through != 600 {
		t.Errorf("caught up: %+v %+v", r, items)
	}
}
