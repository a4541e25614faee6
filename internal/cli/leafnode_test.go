package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// No command makes a server send more over a leafnode than its max_payload: it would be
// closed, with all clients and mirrors behind it. The limit is low, so that little is
// much: 100 buckets of which 40 have large metadata, messages almost as large as the
// limit at both ends, large headers, many deletes and many subjects.
func TestClosesNoLeafnode(t *testing.T) {
	slow(t)
	t.Parallel()
	const limit = 64 << 10
	sites, err := natstest.HubAndLeafLimited(limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	demo := keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", History: 2, LimitMarkerTTL: time.Hour})
	hub := connectTo(t, sites.Hub.URL())
	large := strings.Repeat("x", limit-2_000)
	put := func(key string, headers bool) {
		m := nats.NewMsg("$KV.demo." + key)
		if headers {
			m.Header.Set("Large", large)
		} else {
			m.Data = []byte(large)
		}
		if _, err := hub.RequestMsg(m, longest); err != nil {
			t.Fatal(err)
		}
	}
	put("first", false)
	put("headers", true)
	putMany(t, sites.Hub.URL(), 3_000, "value")
	for range 2 {
		putMany(t, sites.Hub.URL(), 1_500, "value")
	}
	request(t, hub, "$JS.API.STREAM.PURGE.KV_demo", `{"filter":"$KV.demo.key.7"}`)
	put("last", false)
	must(t)(demo.PutString(t.Context(), "key.end", "value"))
	for i := range 100 {
		metadata := map[string]string{}
		if i >= 30 && i < 70 {
			metadata["fat"] = large[:4_000]
		}
		bucket := fmt.Sprintf("many%03d", i)
		keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: bucket, Storage: jetstream.MemoryStorage, Metadata: metadata})
		keyValue(t, sites.Leaf.URL(), jetstream.KeyValueConfig{
			Bucket: bucket, Storage: jetstream.MemoryStorage, Metadata: metadata, Mirror: &jetstream.StreamSource{Name: bucket, Domain: "hub"},
		})
	}
	closed := func() int64 { return sites.Hub.TooLarge() + sites.Leaf.TooLarge() }
	leaf := []string{"--server", sites.Leaf.URL()}
	through := []string{"--server", sites.Hub.URL(), "--js-domain", "ksds"}
	origin := []string{"--mirror", "demo", "--mirror-domain", "hub"}
	run := func(at []string, codes []int, args ...string) {
		t.Helper()
		before := closed()
		start := time.Now()
		code, out, errs := runText(t, t.Context(), slices.Concat(args, at)...)
		t.Logf("%.60v: %v", args, time.Since(start).Round(time.Millisecond))
		if n := closed() - before; n > 0 {
			t.Errorf("%v %v closed %d connections", args, at, n)
		}
		if !slices.Contains(codes, code) {
			t.Errorf("%v %v: exit code %d\n%s%s", args, at, code, out, errs)
		}
	}
	ok := []int{0}
	for i, at := range [][]string{leaf, through} {
		m, filtered := fmt.Sprintf("m%d", i), fmt.Sprintf("f%d", i)
		run(at, ok, slices.Concat([]string{"add", m, "--wait", "1m"}, origin)...)
		run(at, ok, slices.Concat([]string{"add", filtered, "--wait", "1m", "--filter", "key.>"}, origin)...)
		// The message that is next for the mirror, and the only one, is large.
		sites.Leaf.Shutdown()
		put("next", false)
		if err := sites.Leaf.Restart(); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "the leaf is linked", func() bool { return sites.Hub.Underlying().NumLeafNodes() == 1 })
		nc := connectTo(t, sites.Leaf.URL())
		waitUntil(t, "the leaf is in reach", func() bool {
			_, there := nc.Request("$JS.hub.API.INFO", nil, brief)
			_, back := hub.Request("$JS.ksds.API.INFO", nil, brief)
			return there == nil && back == nil
		})
		unknown := []int{0, 1, 2} // links take a while to be back
		run(at, ok, "info", m)
		run(at, ok, "info", filtered)
		run(at, unknown, "check")
		run(at, ok, "ls")
		run(at, ok, "ls", "--names")
		waitUntil(t, "the mirrors are connected", func() bool { return readStream(t, nc, m).connected() && readStream(t, nc, filtered).connected() })
		waitUntil(t, "the mirror is up to date", func() bool { return readStream(t, nc, m).State.Last == readStream(t, hub, "demo").State.Last })
		run(at, ok, "check", m, filtered, "--content")
		run(at, ok, "check", m, "--content", "--quick")
		// Messages as large as the limit are missing and left over.
		for key, of := range map[string]*nats.Conn{"first": nc, "headers": nc, "last": hub, fmt.Sprintf("key.%d", 8+i): hub} {
			stream := map[*nats.Conn]string{nc: "KV_" + m, hub: "KV_demo"}[of]
			request(t, of, "$JS.API.STREAM.PURGE."+stream, `{"filter":"$KV.demo.`+key+`"}`)
		}
		run(at, []int{2}, "check", m, "--content", "--quick")
		run(at, []int{1}, "prune", m, "--gone", "--force")
		run(at, ok, "edit", m, "--description", "changed", "--force")
		run(at, []int{1}, "repair", "--all", "--force") // which brings back no message
		run(at, ok, "recreate", m, "--force")
		run(at, []int{2}, "promote", m, "--into", m+"-copy", "--dry-run", "--origin-alive")
		run(at, ok, "promote", m, "--into", m+"-copy", "--force", "--origin-alive")
	}
}
