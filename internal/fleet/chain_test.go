package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// A chain is not followed through the prefix that a stream of another account names:
// there it leads to that account's origin, and here to a bucket that has nothing to do
// with it.
func TestChainOfAnotherAccount(t *testing.T) {
	t.Parallel()
	sites, err := natstest.AccountsAndLeaf(natstest.CrossAccount)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	nc, err := nats.Connect("nats://a:a@"+sites.Hub.Addr(), nats.Timeout(longTimeout))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(longTimeout))
	if err != nil {
		t.Fatal(err)
	}
	middle := mirrorAt("demo", "top", "ksds")
	middle.AllowMsgTTL = false
	if _, err := js.CreateStream(t.Context(), middle); err != nil {
		t.Fatal(err)
	}
	bottom := mirrorAt("demo", "demo", "")
	bottom.Mirror.External = &jetstream.ExternalStream{APIPrefix: "JS.A.API", DeliverPrefix: "deliver.B"}
	create(t, sites.Leaf, bucketOf("top"), bottom)
	fleet, err := reader(t, sites.Leaf.URL(), "$JS.API", longTimeout).All(t.Context())
	if err != nil || len(fleet.Problems) > 0 {
		t.Fatal(err, fleet.Problems)
	}
	m := mirror(t, fleet, "demo")
	if len(m.Facts.Above) > 0 || !strings.Contains(m.Facts.AboveUnreadable, `bucket "top" at "$JS.ksds.API" is named by a stream of another account`) {
		t.Errorf("above: %v, %q", m.Facts.Above, m.Facts.AboveUnreadable)
	}
	if codes := codesOf(m); strings.Contains(codes, "ttl-lost-above") {
		t.Errorf("found %q", codes)
	}
}

// A mirror that has stopped is stalled, also when all that it lacks is rewritten all
// the time, so that what is pending has always just come.
func TestStalledBelowHotKey(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	create(t, sites.Hub, bucketOf("demo")) // with two keys
	full := mirrorAt("demo", "demo", "hub")
	full.MaxMsgs = 2
	create(t, sites.Leaf, full)
	settled(t, sites.Leaf, map[string]uint64{"demo": 2})
	nc, err := nats.Connect(sites.Hub.URL(), nats.Timeout(longTimeout))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			_ = nc.Publish("$KV.demo.hot", fmt.Append(nil, i))
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
	r := reader(t, sites.Leaf.URL(), "$JS.API", longTimeout)
	r.SecondRead = 300 * time.Millisecond
	deadline := time.Now().Add(longTimeout)
	for {
		fleet, err := r.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m := mirror(t, fleet, "demo")
		codes := codesOf(m)
		if strings.Contains(codes, "stalled") {
			return
		}
		// At first a mirror that is full advances: over what was replaced before it came.
		if time.Now().After(deadline) {
			t.Fatalf("found %q: %+v, then %+v", codes, m.Facts.Earlier, m.Facts.Mirror.State)
		}
	}
}
