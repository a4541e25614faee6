package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// lostOrigin starts a hub and a leaf with mirrors demo and plain of the hub's
// bucket demo, which holds a history, a delete marker and keys with TTLs, and
// deletes the origin when both have all of it.
func lostOrigin(t *testing.T) *natstest.Sites {
	t.Helper()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	fillOrigin(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", History: 5, LimitMarkerTTL: time.Second})
	for _, name := range []string{"demo", "plain"} {
		o := runJSON(t, t.Context(), "add", name, "--mirror", "demo", "--mirror-domain", "hub", "--wait", "1m", "--server", sites.Leaf.URL())
		o.mustBe(t, 0, mirror.Created, "")
	}
	request(t, connectTo(t, sites.Hub.URL()), "$JS.API.STREAM.DELETE.KV_demo", "")
	return sites
}

// briefly is the TTL of the origin's key brief, which on most machines outlives
// the promotion.
const briefly = 6 * time.Second

func fillOrigin(t *testing.T, url string, cfg jetstream.KeyValueConfig) {
	t.Helper()
	kv := keyValue(t, url, cfg)
	for i := range 3 {
		must(t)(kv.PutString(t.Context(), "key", fmt.Sprint("value", i)))
	}
	must(t)(kv.PutString(t.Context(), "deleted", "value"))
	if err := kv.Delete(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	must(t)(kv.Create(t.Context(), "brief", []byte("value"), jetstream.KeyTTL(briefly)))
	must(t)(kv.Create(t.Context(), "lasting", []byte("value"), jetstream.KeyTTL(time.Hour)))
	must(t)(kv.PutString(t.Context(), "a.b/c=d", "odd"))
}

func must(t *testing.T) func(uint64, error) uint64 {
	return func(n uint64, err error) uint64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// request makes a request to the JetStream API that has to succeed.
func request(t testing.TB, nc *nats.Conn, subject, body string) []byte {
	t.Helper()
	m, err := nc.Request(subject, []byte(body), longest)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(m.Data), `"error"`) {
		t.Fatalf("%s: %s", subject, m.Data)
	}
	return m.Data
}

// isWhole makes sure, as a client sees it, that a bucket holds what fillOrigin
// made, and that it takes values. revisions says that they go on.
func isWhole(t *testing.T, url, bucket string, revisions bool) {
	t.Helper()
	ctx := t.Context()
	js, err := jetstream.New(connectTo(t, url), jetstream.WithDefaultTimeout(longest))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(ctx, bucket)
	if err != nil {
		t.Fatal(err)
	}
	history, err := kv.History(ctx, "key")
	if err != nil || len(history) != 3 || string(history[2].Value()) != "value2" {
		t.Errorf("the history of key is %v, %v", history, err)
	}
	if revisions && len(history) == 3 && history[2].Revision() != 3 {
		t.Errorf("key has revision %d, want 3", history[2].Revision())
	}
	odd, err := kv.Get(ctx, "a.b/c=d")
	if err != nil || string(odd.Value()) != "odd" {
		t.Errorf("the odd key is %v, %v", odd, err)
	}
	if _, err := kv.Get(ctx, "deleted"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("the deleted key: %v", err)
	}
	if history, err := kv.History(ctx, "deleted"); err != nil || len(history) != 2 || history[1].Operation() != jetstream.KeyValueDelete {
		t.Errorf("the history of the deleted key is %v, %v", history, err)
	}
	if got, err := kv.Get(ctx, "lasting"); err != nil || string(got.Value()) != "value" {
		t.Errorf("the key with a TTL is %v, %v", got, err)
	}

	rev := must(t)(kv.PutString(ctx, "key", "new"))
	if revisions && rev < 9 {
		t.Errorf("a value got revision %d, want 9 or later", rev)
	}
	must(t)(kv.Update(ctx, "key", []byte("newer"), rev))
	waitUntil(t, "every replica has what was put", func() bool {
		got, err := kv.Get(ctx, "key")
		return err == nil && string(got.Value()) == "newer"
	})
	must(t)(kv.Create(ctx, "deleted", []byte("again")))
	must(t)(kv.Create(ctx, "fleeting", []byte("value"), jetstream.KeyTTL(time.Second)))
	if err := kv.Purge(ctx, "key"); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"fleeting", "brief"} {
		waitUntil(t, key+" expires", func() bool {
			_, err := kv.Get(ctx, key)
			return errors.Is(err, jetstream.ErrKeyNotFound)
		})
	}
}

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

func TestPromotedIntoWorks(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	runJSON(t, t.Context(), "promote", "plain", "--into", "fresh", "--server", url).mustBe(t, 0, mirror.Promoted, "")
	isWhole(t, url, "fresh", true)
	runJSON(t, t.Context(), "info", "plain", "--server", url).mustBe(t, 0, mirror.Shown, "")
}

// A server that cannot promote gets a copy that sources the mirror.
func TestPromoteOnOldServers(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	at := asOld(t, url)
	o := runJSON(t, t.Context(), append(at, "promote", "demo", "--force")...)
	o.mustBe(t, 1, mirror.Failed, mirror.ErrOldServer)
	if !strings.Contains(o.report.Error.Hint, "--into") {
		t.Errorf("the way out is not in %q", o.report.Error.Hint)
	}
	o = runJSON(t, t.Context(), append(at, "promote", "plain", "--into", "fresh")...)
	o.mustBe(t, 0, mirror.Promoted, "")
	if said := o.warnings(); !strings.Contains(said, "too old to keep revisions and times") {
		t.Errorf("what is lost is not said in %q", said)
	}
	isWhole(t, url, "fresh", false)
}

// asOld are the flags with which a server says that it cannot promote.
func asOld(t *testing.T, url string) []string {
	t.Helper()
	shim(t, url, func(_ string, reply map[string]any) {
		if c := config(reply); c != nil {
			metadata, _ := c["metadata"].(map[string]any)
			metadata["_nats.ver"] = "2.11.17"
		}
	})
	return []string{"--server", url, "--js-api-prefix", "FAKE.API"}
}

// An origin that sources another bucket itself: what its messages say of that is
// replaced in a copy that sources the mirror, and is no difference.
func TestPromoteSourcedOrigin(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	url := sites.Leaf.URL()
	must(t)(keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "other"}).PutString(t.Context(), "key", "value"))
	keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", Sources: []*jetstream.StreamSource{{Name: "other"}}})
	hub := connectTo(t, sites.Hub.URL())
	waitUntil(t, "the origin has the value", func() bool { return readStream(t, hub, "demo").State.Msgs == 1 })
	runJSON(t, t.Context(), "add", "plain", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "20s", "--server", url).mustBe(t, 0, mirror.Created, "")
	request(t, hub, "$JS.API.STREAM.DELETE.KV_demo", "")
	runJSON(t, t.Context(), append(asOld(t, url), "promote", "plain", "--into", "fresh")...).mustBe(t, 0, mirror.Promoted, "")
	if got, err := keyValueOf(t, url, "fresh").Get(t.Context(), "key"); err != nil || string(got.Value()) != "value" {
		t.Errorf("key is %v, %v", got, err)
	}
}

// What sourcing adds to a message counts against the largest size of one, which
// is raised for as long as the copy is made.
func TestPromoteSourcedLargestValue(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	url := sites.Leaf.URL()
	kv := keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", MaxValueSize: 100})
	must(t)(kv.Put(t.Context(), strings.Repeat("long", 1000), make([]byte, 100)))
	runJSON(t, t.Context(), "add", "plain", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "20s", "--server", url).mustBe(t, 0, mirror.Created, "")
	request(t, connectTo(t, sites.Hub.URL()), "$JS.API.STREAM.DELETE.KV_demo", "")
	promote := append(asOld(t, url), "promote", "plain", "--into", "fresh")
	for _, o := range []outcome{runJSON(t, t.Context(), append(promote, "--dry-run")...), runJSON(t, t.Context(), promote...)} {
		if got := string(o.report.Config["max_msg_size"]); o.report.Action == mirror.Failed || got != "100" {
			t.Errorf("action %q, max_msg_size %s\n%s", o.report.Action, got, o.stderr)
		}
	}
	must(t)(keyValueOf(t, url, "fresh").Put(t.Context(), "key", make([]byte, 100)))
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

// An origin whose information is not exported lives as long as its mirror hears
// of it.
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

// keyValueOf opens a bucket.
func keyValueOf(t *testing.T, url, bucket string) jetstream.KeyValue {
	t.Helper()
	js, err := jetstream.New(connectTo(t, url), jetstream.WithDefaultTimeout(longest))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	return kv
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
func TestPromoteRivalsInCluster(t *testing.T) {
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
	if !strings.Contains(said, "turned off for KV_plain") || !strings.Contains(said, "the servers of lost do not answer") {
		t.Errorf("it says %q", said)
	}
}

// What was turned off for other mirrors is said when nothing comes of the
// promotion: it is refused, or it is interrupted before it is written.
func TestPromoteAfterSilencing(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		url := lostOrigin(t).Leaf.URL()
		refusing(t, url, func(subject string, _ []byte) bool { return subject == "STREAM.UPDATE.KV_demo" }, func(string, map[string]any) {})
		o := runJSON(t, t.Context(), "promote", "demo", "--force", "--server", url, "--js-api-prefix", "FAKE.API")
		o.mustBe(t, 1, mirror.Failed, mirror.ErrRejected)
		o.saysSilenced(t)
		// What the hint says, works.
		runFleet(t, t.Context(), "repair", "plain", "--only", "mirror-direct-off", "--force", "--server", url).mustBe(t, 0, mirror.Updated, "")
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		sites := lostOrigin(t)
		ctx, p := interruptedAt(t, sites.Leaf, "STREAM.UPDATE.KV_plain", "STREAM.INFO.KV_plain")
		o := runJSON(t, ctx, "promote", "demo", "--force", "--server", p.URL())
		o.mustBe(t, 1, mirror.Failed, mirror.ErrInterrupted)
		o.saysSilenced(t)
		if o := runJSON(t, t.Context(), "info", "demo", "--server", sites.Leaf.URL()); o.report.Link == nil {
			t.Error("the mirror was promoted")
		}
	})
}

// interruptedAt is a context that ends when a server is asked something, after it
// was asked something else, and the way to that server.
func interruptedAt(t *testing.T, s *natstest.Server, at, after string) (context.Context, *natstest.Proxy) {
	t.Helper()
	p, err := natstest.NewProxy(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	i := atRequest(at, after)
	ctx, cancel := i.context(t)
	t.Cleanup(cancel)
	p.SetHook(i.hook)
	return ctx, p
}

func (o outcome) saysSilenced(t *testing.T) {
	t.Helper()
	if f := o.report.Error; f == nil || !strings.Contains(f.Message, "direct gets of the name demo are turned off for KV_plain") ||
		strings.Contains(f.Message, "nothing was changed") || !strings.Contains(f.Hint, "--only mirror-direct-off") {
		t.Errorf("it says %+v", f)
	}
}

// A copy that has all and waits for other mirrors to be silenced is said to be
// there, and a second run finishes it.
func TestPromoteIntoInterruptedSilencing(t *testing.T) {
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	request(t, connectTo(t, url), "$JS.API.STREAM.CREATE.KV_rival", `{"name":"KV_rival","retention":"limits","storage":"file","allow_direct":true,"mirror_direct":true,
		"mirror":{"name":"KV_fresh","external":{"api":"$JS.hub.API","deliver":""}}}`)
	ctx, p := interruptedAt(t, sites.Leaf, "STREAM.INFO.KV_rival", "STREAM.UPDATE.KV_fresh")
	promote := []string{"promote", "plain", "--into", "fresh", "--server", p.URL()}
	o := runJSON(t, ctx, promote...)
	o.mustBe(t, 1, mirror.Failed, mirror.ErrInterrupted)
	if f := o.report.Error; f == nil || !strings.Contains(f.Message, `bucket "fresh" is not finished`) || !strings.Contains(f.Hint, "run the command again to finish it") {
		t.Errorf("it says %+v", f)
	}
	p.SetHook(nil)
	runJSON(t, t.Context(), promote...).mustBe(t, 0, mirror.Promoted, "")
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
			p, err := natstest.NewProxy(sites.Leaf.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
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

// A copy that was interrupted, or whose writes got lost, is finished by a second
// run, wherever it was.
func TestPromoteIntoInterrupted(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, at := range []string{"STREAM.INFO.KV_plain", "STREAM.CREATE.KV_fresh", "STREAM.INFO.KV_fresh", "STREAM.UPDATE.KV_fresh", "CONSUMER.CREATE.KV_fresh"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			sites := lostOrigin(t)
			p, err := natstest.NewProxy(sites.Leaf.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			p.SetDelay(50 * time.Millisecond)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var struck atomic.Bool
			p.SetHook(func(m natstest.Message) natstest.Verdict {
				if m.Direction == natstest.ToServer && strings.Contains(m.Subject, at) && struck.CompareAndSwap(false, true) {
					interrupt()
				}
				return natstest.Pass
			})
			promote := []string{"promote", "plain", "--into", "fresh", "--server", p.URL()}
			o := runJSON(t, ctx, promote...)
			o.mustBe(t, 1, mirror.Failed, mirror.ErrInterrupted)
			if !struck.Load() {
				t.Error("it was not interrupted there")
			}
			p.SetDelay(0)
			runJSON(t, t.Context(), promote...).mustBe(t, 0, mirror.Promoted, "")
			isWhole(t, sites.Leaf.URL(), "fresh", true)
			if n := consumers(t, sites.Leaf.URL(), "KV_plain") + consumers(t, sites.Leaf.URL(), "KV_fresh"); n > 0 {
				t.Errorf("%d consumers are left", n)
			}
		})
	}
}

func consumers(t *testing.T, url, stream string) int {
	t.Helper()
	var info struct {
		State struct {
			Consumers int `json:"consumer_count"`
		} `json:"state"`
	}
	if err := json.Unmarshal(request(t, connectTo(t, url), "$JS.API.STREAM.INFO."+stream, ""), &info); err != nil {
		t.Fatal(err)
	}
	return info.State.Consumers
}

// A copy that is not what the mirror is stays unfinished, and is said to be so.
func TestPromoteIntoDiffers(t *testing.T) {
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	nc := connectTo(t, url)
	request(t, nc, "$JS.API.STREAM.CREATE.KV_fresh", `{"name":"KV_fresh","subjects":["$KV.fresh.>"],"retention":"limits","storage":"file","max_msgs_per_subject":5,
		"allow_msg_ttl":true,"metadata":{"nats-kvmirror.copy-of":"plain"}}`)
	if _, err := nc.Request("$KV.fresh.key", []byte("value0"), longest); err != nil {
		t.Fatal(err)
	}
	o := runJSON(t, t.Context(), "promote", "plain", "--into", "fresh", "--server", url)
	o.mustBe(t, 1, mirror.Failed, mirror.ErrDiffers)
	// Of the one message that is there, the time is another; those behind it are
	// not asked for.
	if !strings.Contains(o.report.Error.Message, "1 are different") || !strings.Contains(o.report.Error.Message, "sequence 1") {
		t.Errorf("it says %q", o.report.Error.Message)
	}
	if o.report.Stream != "KV_fresh" {
		t.Error("the copy is not shown")
	}
}

// A copy that is full stands still, which is noticed.
func TestPromoteIntoStalls(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	request(t, connectTo(t, url), "$JS.API.STREAM.CREATE.KV_fresh", `{"name":"KV_fresh","retention":"limits","storage":"file","max_msgs_per_subject":5,"discard":"new","max_bytes":150,
		"allow_msg_ttl":true,"allow_direct":true,"metadata":{"nats-kvmirror.copy-of":"plain"},"mirror":{"name":"KV_plain","subject_transforms":[{"src":"$KV.demo.>","dest":"$KV.fresh.>"}]}}`)
	o := runJSON(t, t.Context(), "promote", "plain", "--into", "fresh", "--server", url, "--timeout", brief.String())
	o.mustBe(t, 1, mirror.Failed, mirror.ErrIncomplete)
	if !strings.Contains(o.report.Error.Message, "has not moved from sequence") || o.report.Stream != "KV_fresh" {
		t.Errorf("it says %q of %s", o.report.Error.Message, o.report.Stream)
	}
}

// A limit that what the mirror holds would not fit into is left out, and said.
func TestPromoteIntoWithoutLimit(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	bytes := runJSON(t, t.Context(), "info", "plain", "--server", url).report.State.Bytes
	runJSON(t, t.Context(), "edit", "plain", "--force", "--max-bucket-size", fmt.Sprint(bytes), "--server", url).mustBe(t, 0, mirror.Updated, "")
	const name = "a-name-that-takes-more-room-than-that-of-the-origin"
	o := runJSON(t, t.Context(), "promote", "plain", "--into", name, "--server", url)
	o.mustBe(t, 0, mirror.Promoted, "")
	if said := o.warnings(); !strings.Contains(said, "gets none") {
		t.Errorf("it is not said in %q", said)
	}
	isWhole(t, url, name, true)
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

// A write of a copy that is lost on the way is followed, or said to be unknown;
// a second run finishes.
func TestPromoteIntoOutcomes(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, subject := range []string{"STREAM.CREATE.KV_fresh", "STREAM.UPDATE.KV_fresh"} {
		for direction, applied := range map[natstest.Direction]bool{natstest.ToServer: false, natstest.ToClient: true} {
			t.Run(fmt.Sprintf("%s applied %t", subject, applied), func(t *testing.T) {
				t.Parallel()
				sites := lostOrigin(t)
				p, err := natstest.NewProxy(sites.Leaf.Addr())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(p.Close)
				p.SetHook(hitOnce(subject, direction, natstest.Drop))
				promote := []string{"promote", "plain", "--into", "fresh", "--server", p.URL(), "--timeout", (2 * brief).String()}
				o := runJSON(t, t.Context(), promote...)
				if applied {
					o.mustBe(t, 0, mirror.Promoted, "")
				} else {
					o.mustBe(t, 3, mirror.Unknown, mirror.ErrOutcomeUnknown)
					runJSON(t, t.Context(), promote...).mustBe(t, 0, mirror.Promoted, "")
				}
				isWhole(t, sites.Leaf.URL(), "fresh", true)
			})
		}
	}
}

// With consent a copy is made while the origin goes on; it holds what the mirror
// held when it was made, and no difference is found where there is none.
func TestPromoteIntoWhileWriting(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := plainSites(t)
	url := sites.Leaf.URL()
	kv := keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "busy", History: 2, LimitMarkerTTL: time.Second})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var written atomic.Int64
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := kv.PutString(ctx, fmt.Sprint("key", i%50), fmt.Sprint("value", i)); err == nil {
				written.Add(1)
			}
			if i%20 == 0 {
				_ = kv.Purge(ctx, fmt.Sprint("key", i%50))
			}
		}
	}()
	waitUntil(t, "much is written", func() bool { return written.Load() > 500 })
	runJSON(t, t.Context(), "add", "--mirror", "busy", "--mirror-domain", "hub", "--wait", "1m", "--server", url).mustBe(t, 0, mirror.Created, "")
	runJSON(t, t.Context(), "promote", "busy", "--into", "fresh", "--server", url).mustBe(t, 1, mirror.Failed, mirror.ErrRefused)
	o := runJSON(t, t.Context(), "promote", "busy", "--into", "fresh", "--origin-alive", "--server", url)
	o.mustBe(t, 0, mirror.Promoted, "")
	if said := o.warnings(); !strings.Contains(said, "SPLIT BRAIN") {
		t.Errorf("it says %q", said)
	}
	must(t)(keyValueOf(t, url, "fresh").PutString(t.Context(), "own", "value"))
}
