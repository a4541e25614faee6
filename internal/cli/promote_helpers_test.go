package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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

// interruptedAt is a context that ends when a server is asked something, after it
// was asked something else, and the way to that server.
func interruptedAt(t *testing.T, s *natstest.Server, at, after string) (context.Context, *natstest.Proxy) {
	t.Helper()
	p := natstest.ProxyTo(t, s)
	i := atRequest(at, after)
	ctx, cancel := i.context(t)
	t.Cleanup(cancel)
	p.SetHook(i.hook)
	return ctx, p
}

func (o outcome) saysDisabled(t *testing.T) {
	t.Helper()
	if f := o.report.Error; f == nil || !strings.Contains(f.Message, "direct gets of the name demo are turned off for KV_plain") ||
		strings.Contains(f.Message, "nothing was changed") || !strings.Contains(f.Hint, "--only mirror-direct-off") {
		t.Errorf("it says %+v", f)
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
