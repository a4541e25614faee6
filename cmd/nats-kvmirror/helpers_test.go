package main

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/lab"
)

// plainSites starts a hub and a leaf with a bucket and a mirror of it as other
// tools make them, and returns the leaf's address.
func plainSites(t *testing.T) *lab.Sites {
	t.Helper()
	sites, err := lab.HubAndLeaf()
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
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// keyValue creates a bucket as every client does.
func keyValue(t testing.TB, url string, cfg jetstream.KeyValueConfig) jetstream.KeyValue {
	t.Helper()
	js, err := jetstream.New(connectTo(t, url))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
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
	js, err := jetstream.New(connectTo(t, url))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().Config.AllowMsgTTL
}
