package content

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/lab"
)

// A healthy mirror is identical; what is purged at the origin's stream, which is
// not replicated, is left over; what is deleted from the mirror is missing.
func TestCompare(t *testing.T) {
	t.Parallel()
	sites, err := lab.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	fill(t, sites, 3_000)
	conn, err := jsapi.Connect(t.Context(), sites.Leaf.URL(), 10*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	mirror, origin := conn.At("$JS.API"), conn.At("$JS.hub.API")
	var items []Item
	compare := func() Result {
		items = nil
		c := &Comparer{
			Mirror: mirror, Origin: origin, MirrorStream: "KV_demo", OriginStream: "KV_demo", Bodies: true,
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
	if r := compare(); r.Verdict != Differs || r.LeftOver[Gone] != 1 || r.wrong() != 1 || len(items) != 1 || items[0].Key != "key.7" || items[0].Seq != 8 {
		t.Errorf("a purged key: %+v %+v", r, items)
	}
	if n, err := mirror.Purge(t.Context(), "KV_demo", "$KV.demo.key.2999", 4_000); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if r := compare(); r.Verdict != Differs || r.LeftOver[Gone] != 1 || r.Missing[Absent] != 1 || r.wrong() != 2 || len(items) != 2 {
		t.Errorf("a missing key: %+v %+v", r, items)
	}
	js, err := jetstream.New(connect(t, sites.Leaf.URL()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(context.Background(), "KV_demo")
	if err != nil || s.CachedInfo().State.Consumers != 0 {
		t.Errorf("%d consumers are left, %v", s.CachedInfo().State.Consumers, err)
	}
}
