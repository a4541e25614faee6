package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// longest is how long what has to come is waited for, as long as a --wait of
// "1m": only a test that fails gets there.
const longest = time.Minute

// plainSites starts a hub and a leaf with a bucket and a mirror of it as other
// tools make them, and returns the leaf's address.
func plainSites(t *testing.T) *natstest.Sites {
	t.Helper()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second})
	keyValue(t, sites.Leaf.URL(), jetstream.KeyValueConfig{Bucket: "plain", Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}})
	return sites
}

// connectTo connects to a server until the test ends.
func connectTo(t testing.TB, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(longest))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// keyValue creates a bucket as every client does.
func keyValue(t testing.TB, url string, cfg jetstream.KeyValueConfig) jetstream.KeyValue {
	t.Helper()
	js, err := jetstream.New(connectTo(t, url), jetstream.WithDefaultTimeout(longest))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	kv, err := js.CreateKeyValue(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// hasTTL says whether a bucket's stream has per-key TTL.
func hasTTL(t *testing.T, url, bucket string) bool {
	t.Helper()
	js, err := jetstream.New(connectTo(t, url), jetstream.WithDefaultTimeout(longest))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	s, err := js.Stream(ctx, "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().Config.AllowMsgTTL
}

// mirrored is a hub and a leaf with a bucket of n keys and its mirror m, which
// has them all.
func mirrored(tb testing.TB, n int) *natstest.Sites {
	tb.Helper()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(sites.Stop)
	keyValue(tb, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Hour})
	putMany(tb, sites.Hub.URL(), n, "value")
	var errs bytes.Buffer
	args := []string{"add", "m", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "5m", "--server", sites.Leaf.URL(), "--no-context"}
	if code := Run(context.Background(), args, Streams{In: strings.NewReader(""), Out: io.Discard, Err: &errs}); code != 0 {
		tb.Fatal(errs.String())
	}
	return sites
}

// putMany stores a value under so many keys of the bucket demo: key.0, key.1, …
func putMany(tb testing.TB, url string, n int, value string) {
	tb.Helper()
	js, err := jetstream.New(connectTo(tb, url), jetstream.WithPublishAsyncMaxPending(4_000), jetstream.WithDefaultTimeout(longest))
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		if _, err := js.PublishAsync(fmt.Sprintf("$KV.demo.key.%d", i), []byte(value), jetstream.WithStallWait(longest)); err != nil {
			tb.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

// purgeOrigin purges the origin's stream, which no mirror notices.
func purgeOrigin(tb testing.TB, sites *natstest.Sites) {
	tb.Helper()
	js, err := jetstream.New(connectTo(tb, sites.Hub.URL()), jetstream.WithDefaultTimeout(longest))
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	s, err := js.Stream(ctx, "KV_demo")
	if err == nil {
		err = s.Purge(ctx)
	}
	if err != nil {
		tb.Fatal(err)
	}
}
