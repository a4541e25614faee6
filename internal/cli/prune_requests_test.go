//go:build linux || darwin

package cli

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// What is left over from before the origin's first message is purged by one request, and so
// is a subtree of keys that is left over as a whole and keeps no history. Others are purged
// key by key.
func TestPruneRequests(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stays    string
		first    bool
		history  uint8
		requests int
	}{
		"prefix": {"key.stays", false, 1, 1}, "subtree": {"other", true, 1, 1}, "keys": {"key.stays", true, 1, 200},
		// One of several messages of a key may go by itself meanwhile.
		"history": {"other", true, 2, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sites, err := natstest.HubAndLeaf()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(sites.Stop)
			keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", History: test.history})
			hub := connectTo(t, sites.Hub.URL())
			puts := []func(){
				func() { request(t, hub, "$KV.demo."+test.stays, "value") }, func() { putMany(t, sites.Hub.URL(), 200, "value") },
			}
			if !test.first {
				slices.Reverse(puts)
			}
			for _, put := range puts {
				put()
			}
			proxy := natstest.ProxyTo(t, sites.Leaf)
			at := []string{"--server", proxy.URL()}
			runJSON(t, t.Context(), append(at, "add", "m", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "1m")...).mustBe(t, 0, "created", "")
			purge := purger(t, sites.Hub.URL(), "KV_demo")
			for i := range 200 {
				purge("$KV.demo.key." + strconv.Itoa(i))
			}
			proxy.Reset()
			pruned := runFleet(t, t.Context(), append(at, "prune", "m", "--gone", "--force")...)
			if m := pruned.fleet.Mirrors[0]; pruned.code != 0 || m.Purge.Purged != 200 || m.Content.Verdict != mirror.SameSequences {
				t.Errorf("exit code %d: %+v\n%s", pruned.code, m, pruned.stderr)
			}
			if n := proxy.Traffic().Count("$JS.API.STREAM.PURGE.KV_m"); n != test.requests {
				t.Errorf("%d purges, want %d", n, test.requests)
			}
			isIdentical(t, sites, 1)
		})
	}
}

// Where the origin's deleted sequences are too many for a leafnode, its messages are
// read once: a walk tells what is deleted for the look after the purge as well.
func TestPruneWalksOnce(t *testing.T) {
	slow(t)
	t.Parallel()
	sites, err := natstest.HubAndLeafLimited(64 << 10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", Storage: jetstream.MemoryStorage})
	const n = 10_000
	putMany(t, sites.Hub.URL(), n, "value")
	proxy := natstest.ProxyTo(t, sites.Leaf)
	at := []string{"--server", proxy.URL()}
	runJSON(t, t.Context(), append(at, "add", "m", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "1m")...).mustBe(t, 0, "created", "")
	purge := purger(t, sites.Hub.URL(), "KV_demo")
	for i := range n {
		if i%10 < 7 {
			purge("$KV.demo.key." + strconv.Itoa(i))
		}
	}
	proxy.Reset()
	pruned := runFleet(t, t.Context(), append(at, "prune", "m", "--gone", "--force")...)
	if m := pruned.fleet.Mirrors[0]; pruned.code != 0 || m.Purge.Purged != n*7/10 || m.Content.Verdict != mirror.SameSequences {
		t.Errorf("exit code %d: %+v\n%s", pruned.code, m, pruned.stderr)
	}
	walks := 0
	for _, r := range proxy.Traffic().Requests {
		pending := strings.Contains(string(r.Payload), `"opt_start_seq":10001`) // which asks what comes after all
		if strings.HasPrefix(r.Subject, "$JS.hub.API.CONSUMER.CREATE.KV_demo.") && !pending {
			walks++
		}
	}
	if walks != 1 {
		t.Errorf("%d walks of the origin", walks)
	}
	if n := sites.Hub.TooLarge() + sites.Leaf.TooLarge(); n > 0 {
		t.Errorf("%d connections were closed", n)
	}
	isIdentical(t, sites, n*3/10)
}
