package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

func TestPromotedBucketWorks(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	o := runJSON(t, t.Context(), "promote", "demo", "--force", "--marker-ttl", "1s", "--server", url)
	o.mustBe(t, 0, mirror.Promoted, "")
	if o.report.Link != nil || o.report.Origin != nil || len(o.report.Changes) == 0 {
		t.Errorf("mirror %v, origin %v, changes %v", o.report.Link, o.report.Origin, o.report.Changes)
	}
	isWhole(t, url, "demo", true)
}

// A server that answers as those before 2.12 do, and did not say its version.
func TestPromoteRefusedByServer(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := lostOrigin(t)
	shim(t, sites.Leaf.URL(), func(subject string, reply map[string]any) {
		if api, ok := reply["api"].(map[string]any); ok {
			delete(api, "level")
			reply["error"] = map[string]any{"code": 503, "err_code": 10008, "description": "busy"}
		}
		if c := config(reply); c != nil {
			delete(c, "metadata")
		}
		if strings.HasPrefix(subject, "STREAM.UPDATE") {
			reply["error"] = map[string]any{"code": 400, "err_code": 10055, "description": "stream mirror configuration can not be updated"}
		}
	})
	o := runJSON(t, t.Context(), "promote", "demo", "--force", "--origin-alive", "--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API")
	o.mustBe(t, 1, mirror.Failed, mirror.ErrOldServer)
}

// What an update echoes is not believed: a mirror that is still there is found.
func TestPromoteNotKept(t *testing.T) {
	t.Parallel()
	sites := lostOrigin(t)
	shim(t, sites.Leaf.URL(), func(subject string, reply map[string]any) {
		if c := config(reply); c != nil && strings.HasPrefix(subject, "STREAM.UPDATE.KV_demo") {
			c["mirror"] = map[string]any{"name": "KV_demo"}
			delete(c, "subjects")
		}
	})
	o := runJSON(t, t.Context(), "promote", "demo", "--force", "--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API")
	o.mustBe(t, 1, mirror.Failed, mirror.ErrNotKept)
}

// An origin whose information is not exported is alive as long as its mirror's
// link to it is active.
func TestPromoteUnreadableOrigin(t *testing.T) {
	slow(t)
	t.Parallel()
	server, err := natstest.Accounts(natstest.CrossAccountUnreadable)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	a, b := "nats://a:a@"+server.Addr(), "nats://b:b@"+server.Addr()
	kv := keyValue(t, a, jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second})
	must(t)(kv.PutString(t.Context(), "key", "value"))
	runJSON(t, t.Context(), "add", "--mirror", "demo", "--mirror-api-prefix", "JS.A.API", "--mirror-deliver-prefix", "deliver.B", "--allow-msg-ttl", "--server", b).mustBe(t, 0, mirror.Created, "")
	waitUntil(t, "the mirror has the value", func() bool {
		return runJSON(t, t.Context(), "info", "demo", "--server", b).report.State.Msgs == 1
	})
	promote := []string{"promote", "demo", "--server", b}
	o := runJSON(t, t.Context(), promote...)
	o.mustBe(t, 1, mirror.Failed, mirror.ErrRefused)
	if !strings.Contains(o.report.Error.Message, "the mirror's link to it is active") {
		t.Errorf("the sign of life is not said: %s", o.report.Error.Message)
	}
	request(t, connectTo(t, a), "$JS.API.STREAM.DELETE.KV_demo", "")
	// The last heartbeat may be on its way.
	o = runJSON(t, t.Context(), append(promote, "--dry-run")...)
	if o.code == 1 {
		o = runJSON(t, t.Context(), append(promote, "--dry-run")...)
	}
	o.mustBe(t, 2, mirror.WouldPromote, "")
	if said := o.warnings(); !strings.Contains(said, "as it also does when only the link is down") {
		t.Errorf("the doubt is not said in %q", said)
	}
	runJSON(t, t.Context(), append(promote, "--force")...).mustBe(t, 0, mirror.Promoted, "")
	must(t)(keyValueOf(t, b, "demo").PutString(t.Context(), "key", "new"))
}

// A hub that is down is lost; one that answers takes consent, and a warning.
func TestPromoteWithoutHub(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprintf("down %t", down), func(t *testing.T) {
			t.Parallel()
			sites := plainSites(t)
			url := sites.Leaf.URL()
			runJSON(t, t.Context(), "add", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "1m", "--server", url).mustBe(t, 0, mirror.Created, "")
			if down {
				sites.Hub.Shutdown()
			}
			promote := []string{"promote", "demo", "--force", "--server", url, "--timeout", (2 * brief).String()}
			if !down {
				runJSON(t, t.Context(), promote...).mustBe(t, 1, mirror.Failed, mirror.ErrRefused)
				promote = append(promote, "--origin-alive")
			}
			o := runJSON(t, t.Context(), promote...)
			o.mustBe(t, 0, mirror.Promoted, "")
			said := o.warnings()
			if strings.Contains(said, "SPLIT BRAIN") == down || strings.Contains(said, "only the link is down") != down {
				t.Errorf("it says %q", said)
			}
			if !strings.Contains(said, "turned off for KV_plain") {
				t.Errorf("the other mirror is not named in %q", said)
			}
		})
	}
}

// The list of streams of a cluster, some of whose servers are down: what it tells of
// a stream, and says not to know, counts once; and what it does not tell is said.
func TestPromoteDirectGetInCluster(t *testing.T) {
	slow(t)
	t.Parallel()
	url := lostOrigin(t).Leaf.URL()
	var offset int
	var plain any
	refusing(t, url, func(subject string, request []byte) bool {
		var list struct {
			Offset int `json:"offset"`
		}
		if subject == "STREAM.LIST" && json.Unmarshal(request, &list) == nil {
			offset = list.Offset
		}
		return false
	}, func(subject string, reply map[string]any) {
		if subject != "STREAM.LIST" {
			return
		}
		const lastPage = 256 // a server puts so many on a page
		var streams []any
		switch offset {
		case 0:
			real, _ := reply["streams"].([]any)
			for _, s := range real {
				if m, _ := s.(map[string]any); config(m)["name"] == "KV_plain" {
					plain = s
				}
			}
			for i := range lastPage - 1 {
				streams = append(streams, map[string]any{"config": map[string]any{"name": fmt.Sprint("other", i)}})
			}
			reply["missing"] = []any{"other0", "lost"}
		case lastPage:
			streams = append(streams, plain)
		}
		reply["streams"], reply["total"] = streams, lastPage+1
	})
	o := runJSON(t, t.Context(), "promote", "demo", "--dry-run", "--server", url, "--js-api-prefix", "FAKE.API")
	o.mustBe(t, 2, mirror.WouldPromote, "")
	said := o.warnings()
	if !strings.Contains(said, "turned off for KV_plain") || !strings.Contains(said, `stream "lost" at "FAKE.API": its servers do not answer`) || strings.Contains(said, "other0") {
		t.Errorf("it says %q", said)
	}
}

// What was turned off for other mirrors is said when nothing comes of the
// promotion: it is refused, or it is interrupted before it is written.
func TestPromoteAfterDisabling(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		url := lostOrigin(t).Leaf.URL()
		refusing(t, url, func(subject string, _ []byte) bool { return subject == "STREAM.UPDATE.KV_demo" }, func(string, map[string]any) {})
		o := runJSON(t, t.Context(), "promote", "demo", "--force", "--server", url, "--js-api-prefix", "FAKE.API")
		o.mustBe(t, 1, mirror.Failed, mirror.ErrRejected)
		o.saysDisabled(t)
		// What the hint says, works.
		runFleet(t, t.Context(), "repair", "plain", "--only", "mirror-direct-off", "--force", "--server", url).mustBe(t, 0, mirror.Updated, "")
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		sites := lostOrigin(t)
		ctx, p := interruptedAt(t, sites.Leaf, "STREAM.UPDATE.KV_plain", "STREAM.INFO.KV_plain")
		o := runJSON(t, ctx, "promote", "demo", "--force", "--server", p.URL())
		o.mustBe(t, 1, mirror.Failed, mirror.ErrInterrupted)
		o.saysDisabled(t)
		if o := runJSON(t, t.Context(), "info", "demo", "--server", sites.Leaf.URL()); o.report.Link == nil {
			t.Error("the mirror was promoted")
		}
	})
}

// Each way in which the write can go wrong, and the verdict that is true.
func TestPromoteOutcomes(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, f := range []struct {
		name      string
		direction natstest.Direction
		verdict   natstest.Verdict
		applied   bool
	}{
		{"request dropped", natstest.ToServer, natstest.Drop, false},
		{"reply dropped", natstest.ToClient, natstest.Drop, true},
		{"cut before the request", natstest.ToServer, natstest.Cut, false},
		{"cut before the reply", natstest.ToClient, natstest.Cut, true},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			sites := lostOrigin(t)
			p := natstest.ProxyTo(t, sites.Leaf)
			p.SetHook(hitOnce("STREAM.UPDATE.KV_demo", f.direction, f.verdict))
			promote := []string{"promote", "demo", "--force", "--server", p.URL(), "--timeout", (2 * brief).String()}
			o := runJSON(t, t.Context(), promote...)
			if f.applied {
				o.mustBe(t, 0, mirror.Promoted, "")
			} else {
				o.mustBe(t, 3, mirror.Unknown, mirror.ErrOutcomeUnknown)
				runJSON(t, t.Context(), promote...).mustBe(t, 0, mirror.Promoted, "")
			}
			must(t)(keyValueOf(t, sites.Leaf.URL(), "demo").PutString(t.Context(), "key", "new"))
		})
	}
}

// In a cluster, with three replicas: in place for a mirror that renames its
// origin's keys to its own, and into a new bucket.
func TestPromoteInCluster(t *testing.T) {
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
	nc := connectTo(t, url)
	fillOrigin(t, url, jetstream.KeyValueConfig{Bucket: "demo", History: 5, LimitMarkerTTL: time.Second, Replicas: 3})
	runJSON(t, t.Context(), "add", "plain", "--mirror", "demo", "--replicas", "3", "--wait", "1m", "--server", url).mustBe(t, 0, mirror.Created, "")
	request(t, nc, "$JS.API.STREAM.CREATE.KV_renamed", `{"name":"KV_renamed","retention":"limits","storage":"file","num_replicas":3,"max_msgs_per_subject":5,"discard":"new",
		"allow_msg_ttl":true,"allow_direct":true,"allow_rollup_hdrs":true,"deny_delete":true,"mirror":{"name":"KV_demo","subject_transforms":[{"src":"$KV.demo.>","dest":"$KV.renamed.>"}]}}`)
	waitUntil(t, "the mirror has all", func() bool {
		return runJSON(t, t.Context(), "info", "renamed", "--server", url).report.State.LastSeq >= 8
	})
	request(t, nc, "$JS.API.STREAM.DELETE.KV_demo", "")
	stepDown(t, servers, "KV_plain")

	runJSON(t, t.Context(), "promote", "renamed", "--force", "--server", url).mustBe(t, 0, mirror.Promoted, "")
	o := runJSON(t, t.Context(), "promote", "plain", "--into", "fresh", "--server", url)
	o.mustBe(t, 0, mirror.Promoted, "")
	if c, err := o.report.Config.Config(); err != nil || c.Replicas != 3 || c.Metadata[kvcfg.CopiedFrom] != "plain" {
		t.Errorf("replicas %d, metadata %v, %v", c.Replicas, c.Metadata, err)
	}
	isWhole(t, url, "renamed", true)
	isWhole(t, url, "fresh", true)
}

// A mirror of some keys keeps the origin's sequences, and goes on behind them.
func TestPromoteFiltered(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := plainSites(t)
	url := sites.Leaf.URL()
	kv := keyValueOf(t, sites.Hub.URL(), "demo")
	for _, key := range []string{"here.a", "there.a", "here.b", "there.b"} {
		must(t)(kv.PutString(t.Context(), key, "value"))
	}
	runJSON(t, t.Context(), "add", "--mirror", "demo", "--mirror-domain", "hub", "--filter", "here.*", "--wait", "1m", "--server", url).mustBe(t, 0, mirror.Created, "")
	request(t, connectTo(t, sites.Hub.URL()), "$JS.API.STREAM.DELETE.KV_demo", "")
	o := runJSON(t, t.Context(), "promote", "demo", "--into", "fresh", "--server", url)
	o.mustBe(t, 0, mirror.Promoted, "")
	o = runJSON(t, t.Context(), "promote", "demo", "--force", "--server", url)
	o.mustBe(t, 0, mirror.Promoted, "")
	if said := o.warnings(); !strings.Contains(said, "only some of its origin's keys") {
		t.Errorf("it is not said in %q", said)
	}
	for _, bucket := range []string{"demo", "fresh"} {
		kv := keyValueOf(t, url, bucket)
		keys, err := kv.Keys(t.Context())
		if err != nil || len(keys) != 2 {
			t.Errorf("keys %v, %v", keys, err)
		}
		if rev := must(t)(kv.PutString(t.Context(), "there.a", "value")); rev < 4 {
			t.Errorf("revision %d", rev)
		}
	}
}

// What cannot become a bucket, and why.
func TestPromoteRefused(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	nc := connectTo(t, url)
	external := `"mirror":{"name":"KV_demo","external":{"api":"$JS.hub.API","deliver":""}`
	request(t, nc, "$JS.API.STREAM.CREATE.KV_endless", `{"name":"KV_endless","retention":"limits","storage":"file",`+external+`}}`)
	request(t, nc, "$JS.API.STREAM.CREATE.KV_both", `{"name":"KV_both","retention":"limits","storage":"file","max_msgs_per_subject":1,`+external+
		`,"subject_transforms":[{"src":"$KV.demo.a.>","dest":"$KV.both.>"},{"src":"$KV.demo.b.>","dest":"$KV.other.>"}]}}`)
	request(t, nc, "$JS.API.STREAM.CREATE.KV_without", `{"name":"KV_without","retention":"limits","storage":"file","max_msgs_per_subject":1,`+external+
		`,"subject_transforms":[{"src":"$KV.demo.>","dest":"$KV.without.>"}]}}`)
	for _, test := range []struct {
		args []string
		kind mirror.Kind
		says string
	}{
		{[]string{"endless", "--into", "fresh"}, mirror.ErrRefused, "no bounded history"},
		{[]string{"both"}, mirror.ErrRefused, "several buckets"},
		{[]string{"both", "--into", "fresh"}, mirror.ErrRefused, "several buckets"},
		{[]string{"without", "--marker-ttl", "5s"}, mirror.ErrRefused, "limit markers need per-key TTL"},
		{[]string{"without", "--marker-ttl", "5s", "--into", "fresh"}, mirror.ErrRefused, "limit markers need per-key TTL"},
		{[]string{"plain"}, mirror.ErrRefused, `stored as those of bucket "demo"`},
	} {
		o := runJSON(t, t.Context(), append([]string{"promote", "--force", "--server", url}, test.args...)...)
		o.mustBe(t, 1, mirror.Failed, test.kind)
		if o.report.Error != nil && !strings.Contains(o.report.Error.Message, test.says) {
			t.Errorf("%v: it says %q", test.args, o.report.Error.Message)
		}
	}
}

// A mirror of a mirror stores the keys of the bucket at the top.
func TestPromoteMirrorOfMirror(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := plainSites(t)
	must(t)(keyValueOf(t, sites.Hub.URL(), "demo").PutString(t.Context(), "key", "value"))
	keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "middle", Mirror: &jetstream.StreamSource{Name: "demo"}})
	waitUntil(t, "the mirror above has the value", func() bool {
		return runJSON(t, t.Context(), "info", "middle", "--server", sites.Hub.URL()).report.State.Msgs == 1
	})
	url := sites.Leaf.URL()
	runJSON(t, t.Context(), "add", "--mirror", "middle", "--mirror-domain", "hub", "--wait", "1m", "--server", url).mustBe(t, 0, mirror.Created, "")
	sites.Hub.Shutdown()
	o := runJSON(t, t.Context(), "promote", "middle", "--force", "--server", url, "--timeout", (2 * brief).String())
	o.mustBe(t, 1, mirror.Failed, mirror.ErrRefused)
	if !strings.Contains(o.report.Error.Hint, "--into demo") {
		t.Errorf("the hint is %q", o.report.Error.Hint)
	}
	runJSON(t, t.Context(), "promote", "middle", "--into", "fresh", "--server", url, "--timeout", (2*brief).String()).mustBe(t, 0, mirror.Promoted, "")
	if got, err := keyValueOf(t, url, "fresh").Get(t.Context(), "key"); err != nil || string(got.Value()) != "value" {
		t.Errorf("key is %v, %v", got, err)
	}
}
