package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// In a cluster: a mirror of three replicas is created, repaired and shown, and a
// leader that steps down in between changes nothing.
func TestCluster(t *testing.T) {
	slow(t)
	t.Parallel()
	servers, err := natstest.Cluster(3, "c")
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
	made.mustBe(t, 0, mirror.Created, "")
	if w := made.report.Warnings; len(w) != 1 || w[0].Code != "beside-origin" || made.report.State.Msgs != 2 {
		t.Errorf("%d messages, warnings %q", made.report.State.Msgs, made.warnings())
	}
	again := runJSON(t, t.Context(), "add", "made", "--mirror", "demo", "--replicas", "3", "--server", url)
	again.mustBe(t, 0, mirror.Unchanged, "")

	keyValue(t, url, jetstream.KeyValueConfig{Bucket: "plain", Replicas: 3, Mirror: &jetstream.StreamSource{Name: "demo"}})
	if err := kv.Purge(t.Context(), "a", jetstream.PurgeTTL(time.Second)); err != nil {
		t.Fatal(err)
	}
	stepDown(t, servers, "KV_plain")
	waitUntil(t, "it is edited", func() bool { // a leader has to be found first
		edited := runJSON(t, t.Context(), "edit", "plain", "--force", "--server", url, "--timeout", (5 * brief).String())
		if edited.code == exitOK && !*edited.report.PerKeyTTL {
			t.Fatal("the mirror has no per-key TTL")
		}
		return edited.code == exitOK
	})
	info := runJSON(t, t.Context(), "info", "plain", "--server", url)
	info.mustBe(t, 0, mirror.Shown, "")
	if !*info.report.Origin.Follows {
		t.Errorf("the mirror does not follow its origin: %+v", info.report.Origin.Differs)
	}
}

// stepDown makes the leader of a stream, wherever it is, hand over.
func stepDown(t *testing.T, servers []*natstest.Server, stream string) {
	t.Helper()
	askLeader(t, connectTo(t, servers[0].URL()), "STREAM.LEADER.STEPDOWN."+stream, "")
}

// askLeader asks the JetStream API of a cluster for something that may be asked
// twice. While there is no leader no responders, or somebody says so: it is asked
// again until it is answered.
func askLeader(t *testing.T, nc *nats.Conn, subject, body string) []byte {
	t.Helper()
	var answer *nats.Msg
	waitUntil(t, subject+" is answered", func() bool {
		var err error
		answer, err = nc.Request("$JS.API."+subject, []byte(body), brief)
		return err == nil && !strings.Contains(string(answer.Data), `"error":{`)
	})
	return answer.Data
}

// readFromLeader is look for a stream that is there, and may have no leader just now.
func readFromLeader(t *testing.T, nc *nats.Conn, bucket string) streamState {
	t.Helper()
	is := streamState{there: true}
	if err := json.Unmarshal(askLeader(t, nc, "STREAM.INFO.KV_"+bucket, ""), &is); err != nil {
		t.Fatal(err)
	}
	return is
}

// peers is what a stream's server says of its cluster.
type peers struct {
	Cluster struct {
		Leader   string `json:"leader"`
		Replicas []struct {
			Current bool `json:"current"`
			Offline bool `json:"offline"`
		} `json:"replicas"`
	} `json:"cluster"`
}

func askPeers(t *testing.T, nc *nats.Conn, stream string) peers {
	t.Helper()
	var is peers
	if err := json.Unmarshal(askLeader(t, nc, "STREAM.INFO."+stream, ""), &is); err != nil {
		t.Fatal(err)
	}
	return is
}

// restart starts a server that was shut down, and waits until it takes part in the
// streams again.
func restart(t *testing.T, servers []*natstest.Server, which int, streams ...string) {
	t.Helper()
	if err := servers[which].Restart(); err != nil {
		t.Fatal(err)
	}
	nc := connectTo(t, servers[0].URL())
	for _, stream := range streams {
		waitUntil(t, stream+" has all replicas", func() bool {
			is := askPeers(t, nc, stream).Cluster
			ready := 0
			for _, r := range is.Replicas {
				if r.Current && !r.Offline {
					ready++
				}
			}
			return is.Leader != "" && ready == len(servers)-1
		})
	}
}

// A server that was restarted has dropped what it does not like of a mirror's
// configuration; to add the mirror again changes nothing.
func TestAddAfterRestart(t *testing.T) {
	t.Parallel()
	sites := plainSites(t)
	add := []string{"add", "made", "--mirror", "demo", "--mirror-domain", "hub", "--ttl", "1m", "--server", sites.Leaf.URL()}
	runJSON(t, t.Context(), add...).mustBe(t, 0, mirror.Created, "")
	if err := sites.Leaf.Restart(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the hub answers", func() bool {
		return runJSON(t, t.Context(), "info", "made", "--server", sites.Leaf.URL()).code == 0 &&
			runJSON(t, t.Context(), "info", "made", "--server", sites.Leaf.URL()).report.Origin.Reachable
	})
	runJSON(t, t.Context(), add...).mustBe(t, 0, mirror.Unchanged, "")
}
