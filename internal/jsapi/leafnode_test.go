package jsapi

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// Behind another domain's prefix, messages that base64 would make larger than
// max_payload are found, and the leafnode stays.
func TestAcrossALeafnode(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	hub := dial(t, sites.Hub.URL())
	newStream(t, hub, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	newStream(t, hub, jetstream.StreamConfig{Name: "EMPTY", Subjects: []string{"empty.>"}})
	for _, subject := range []string{"s.x.1", "s.y.1", "s.x.2"} {
		m := nats.NewMsg(subject)
		m.Data = []byte(strings.Repeat("x", 950_000))
		m.Header.Set("Name", subject)
		if _, err := hub.RequestMsg(m, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	c := connect(t, sites.Leaf.URL(), 10*time.Second)
	for prefix, want := range map[string]int{
		"$JS.API": math.MaxInt, "$JS.ksds.API": math.MaxInt, "$JS.hub.API": defaultMaxPayload / 2, "imported.API": math.MaxInt,
	} {
		if got := c.At(prefix).MaxAnswer(); got != want {
			t.Errorf("answers of %s may have %d bytes, want %d", prefix, got, want)
		}
	}
	if got := c.Imported("$JS.publisher.API").MaxAnswer(); got != math.MaxInt {
		t.Errorf("answers of an import that looks like a domain may have %d bytes", got)
	}
	api := c.At("$JS.hub.API")
	testNext(t, api, "S", "s.")
	if subject, err := api.FirstSubject(t.Context(), "S"); err != nil || subject != "s.x.1" {
		t.Errorf("the first subject is %q, %v", subject, err)
	}
	if name, err := api.LastHeader(t.Context(), "S", "Name"); err != nil || name != "s.x.2" {
		t.Errorf("the last header is %q, %v", name, err)
	}
	if subject, err := api.FirstSubject(t.Context(), "EMPTY"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the first subject of none is %q, %v", subject, err)
	}
	if name, err := api.LastHeader(t.Context(), "EMPTY", "Name"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the last header of none is %q, %v", name, err)
	}
	if n := sites.Hub.TooLarge() + sites.Leaf.TooLarge(); n > 0 {
		t.Errorf("%d connections were closed", n)
	}
}

// testNext looks for messages of a stream with the subjects x.1, y.1 and x.2.
func testNext(t *testing.T, api *API, stream, prefix string) {
	t.Helper()
	for _, test := range []struct {
		from    uint64
		filters []string
		want    uint64
	}{
		{1, nil, 1}, {2, nil, 2}, {4, nil, 0}, {9, nil, 0}, {2, []string{"x.*"}, 3}, {3, []string{"y.>"}, 0}, {1, []string{"y.>", "x.2"}, 2},
	} {
		var filters []string
		for _, f := range test.filters {
			filters = append(filters, prefix+f)
		}
		seq, _, err := api.nextBare(t.Context(), stream, test.from, filters)
		if errors.Is(err, ErrNotFound) && test.want == 0 {
			err = nil
		}
		if err != nil || seq != test.want {
			t.Errorf("from %d of %q: %d, %v; want %d", test.from, filters, seq, err, test.want)
		}
	}
}

// That a stream with replicas has no more is taken from its leader alone: a consumer
// may be on a replica that is behind.
func TestNextInACluster(t *testing.T) {
	slow(t)
	t.Parallel()
	servers, err := natstest.Cluster(3, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		t.Cleanup(s.Stop)
	}
	nc := dial(t, servers[0].URL())
	newStream(t, nc, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Replicas: 3})
	for _, subject := range []string{"s.x.1", "s.y.1", "s.x.2"} {
		eventually(t, "the stream to be known to this server", func() bool {
			_, err := nc.Request(subject, nil, 10*time.Second)
			if err != nil && !errors.Is(err, nats.ErrNoResponders) {
				t.Fatal(err)
			}
			return err == nil
		})
	}
	testNext(t, connect(t, servers[0].URL(), 30*time.Second).At("$JS.API"), "S", "s.")
}
