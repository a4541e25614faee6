package main

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/lab"
	"nats-kvmirror/internal/render"
)

// In a cluster: a mirror of three replicas is created, repaired and shown, and a
// leader that steps down in between changes nothing.
func TestCluster(t *testing.T) {
	t.Parallel()
	servers, err := lab.Cluster(3, "c")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		t.Cleanup(s.Stop)
	}
	url := servers[0].URL()
	kv := keyValue(t, url, jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second, Replicas: 3})
	for _, key := range []string{"a", "b"} {
		if _, err := kv.PutString(t.Context(), key, "value"); err != nil {
			t.Fatal(err)
		}
	}

	made := runJSON(t, t.Context(), "add", "made", "--mirror", "demo", "--replicas", "3", "--wait", "1m", "--server", url)
	made.mustBe(t, 0, render.Created, "")
	if len(made.report.Warnings) > 0 || made.report.State.Msgs != 2 {
		t.Errorf("%d messages, warnings %q", made.report.State.Msgs, made.report.Warnings)
	}
	again := runJSON(t, t.Context(), "add", "made", "--mirror", "demo", "--replicas", "3", "--server", url)
	again.mustBe(t, 0, render.Unchanged, "")

	keyValue(t, url, jetstream.KeyValueConfig{Bucket: "plain", Replicas: 3, Mirror: &jetstream.StreamSource{Name: "demo"}})
	if err := kv.Purge(t.Context(), "a", jetstream.PurgeTTL(time.Second)); err != nil {
		t.Fatal(err)
	}
	stepDown(t, servers, "KV_plain")
	edited := runJSON(t, t.Context(), "edit", "plain", "--force", "--server", url)
	edited.mustBe(t, 0, render.Updated, "")
	if !*edited.report.PerKeyTTL {
		t.Error("the mirror has no per-key TTL")
	}
	info := runJSON(t, t.Context(), "info", "plain", "--server", url)
	info.mustBe(t, 0, render.Shown, "")
	if !*info.report.Origin.Follows {
		t.Errorf("the mirror does not follow its origin: %+v", info.report.Origin.Differs)
	}
}

// stepDown makes the leader of a stream, wherever it is, hand over.
func stepDown(t *testing.T, servers []*lab.Server, stream string) {
	t.Helper()
	nc := connectTo(t, servers[0].URL())
	if _, err := nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil, longest); err != nil {
		t.Fatal(err)
	}
}

// A server that was restarted has dropped what it does not like of a mirror's
// configuration; to add the mirror again still changes nothing.
func TestAddAfterRestart(t *testing.T) {
	t.Parallel()
	sites := plainSites(t)
	add := []string{"add", "made", "--mirror", "demo", "--mirror-domain", "hub", "--ttl", "1m", "--server", sites.Leaf.URL()}
	runJSON(t, t.Context(), add...).mustBe(t, 0, render.Created, "")
	if err := sites.Leaf.Restart(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the hub answers", func() bool {
		return runJSON(t, t.Context(), "info", "made", "--server", sites.Leaf.URL()).code == 0 &&
			*runJSON(t, t.Context(), "info", "made", "--server", sites.Leaf.URL()).report.Origin.Reachable
	})
	runJSON(t, t.Context(), add...).mustBe(t, 0, render.Unchanged, "")
}

// waitUntil waits for a condition.
func waitUntil(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(longest)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so after a minute", what)
		}
		time.Sleep(pollInterval)
	}
}
