package mirror

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// plainSites are two domains with mirrors that lack per-key TTL: more in the first than are
// updated at once, one in the second. Requests to the domain "slow" go to the first.
func plainSites(t *testing.T, update func(forward func())) *natstest.Domains {
	t.Helper()
	sites, err := natstest.HubAndLeaves(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	makes := func(url string, n int, config jetstream.StreamConfig) {
		js, err := jetstream.New(dial(t, url))
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			c := config
			c.Name += fmt.Sprint(i)
			if _, err := js.CreateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	makes(sites.Hub.URL(), 1, jetstream.StreamConfig{
		Name: "KV_demo", Subjects: []string{"$KV.demo0.>"}, Storage: jetstream.MemoryStorage, MaxMsgsPerSubject: 1, DenyDelete: true, AllowRollup: true, AllowDirect: true, AllowMsgTTL: true,
	})
	mirror := jetstream.StreamConfig{
		Name: "KV_m", Storage: jetstream.MemoryStorage, MaxMsgsPerSubject: 1, DenyDelete: true, AllowRollup: true, AllowDirect: true, MirrorDirect: true,
		Mirror: &jetstream.StreamSource{Name: "KV_demo0", Domain: "hub"},
	}
	makes(sites.Leaves[0].URL(), maxRepairs+1, mirror)
	makes(sites.Leaves[1].URL(), 1, mirror)
	nc := dial(t, sites.Hub.URL())
	_, err = nc.Subscribe("$JS.slow.API.>", func(m *nats.Msg) {
		forward := func() {
			if answer, err := nc.Request(strings.Replace(m.Subject, "slow", sites.Names[0], 1), m.Data, time.Minute); err == nil {
				_ = m.Respond(answer.Data)
			}
		}
		if strings.Contains(m.Subject, ".STREAM.UPDATE.") {
			go update(forward)
		} else {
			go forward()
		}
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return sites
}

// A domain in which updates take long does not hold up the others, and what is done to a
// mirror of one name in each is done to both.
func TestRepairOfDomains(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	sites := plainSites(t, func(forward func()) {
		select {
		case <-done:
			forward()
		case <-t.Context().Done():
		}
	})
	var once sync.Once
	c, err := Connect(t.Context(), sites.Hub.URL(), Options{
		Domains: []string{"slow", sites.Names[1]}, Timeout: time.Minute, Waits: Waits{Poll: 5 * time.Millisecond, SecondRead: 5 * time.Millisecond},
		Observer: Observer{Finished: func(m Member) {
			if m.Domain == sites.Names[1] {
				once.Do(func() { close(done) })
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	plan, err := c.PlanRepair(t.Context(), RepairRequest{Only: []string{"ttl-off"}})
	if err != nil || plan.Jobs() != maxRepairs+2 {
		t.Fatalf("%d mirrors are to be changed, %v", plan.Jobs(), err)
	}
	f, err := plan.Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range f.Mirrors {
		if m.Action != Updated || !m.PerKeyTTL || m.Name() != m.Bucket+" ("+m.Domain+")" {
			t.Errorf("%s: %s, per-key TTL %t", m.Name(), m.Action, m.PerKeyTTL)
		}
	}
	if len(f.Domains) != 2 || f.Domains[0].Mirrors != maxRepairs+1 || f.Domains[1].Mirrors != 1 {
		t.Errorf("domains %+v", f.Domains)
	}
}
