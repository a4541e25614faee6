package content

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// fill puts so many messages into a bucket of the hub and waits until its mirror
// on the leaf has them.
func fill(tb testing.TB, sites *natstest.Sites, n int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	hub, leaf := connect(tb, sites.Hub.URL()), connect(tb, sites.Leaf.URL())
	js, err := jetstream.New(hub, jetstream.WithPublishAsyncMaxPending(4_000), jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Hour}); err != nil {
		tb.Fatal(err)
	}
	value := make([]byte, 128)
	for i := range n {
		if _, err := js.PublishAsync(fmt.Sprintf("$KV.demo.key.%d", i), value, jetstream.WithStallWait(time.Minute)); err != nil {
			tb.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	below, err := jetstream.New(leaf, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := below.CreateStream(ctx, jetstream.StreamConfig{
		Name: "KV_demo", MaxMsgsPerSubject: 1, AllowMsgTTL: true, AllowDirect: true, MirrorDirect: true, DenyDelete: true, Discard: jetstream.DiscardNew, AllowRollup: true,
		Mirror: &jetstream.StreamSource{Name: "KV_demo", Domain: "hub"},
	}); err != nil {
		tb.Fatal(err)
	}
	for {
		s, err := below.Stream(ctx, "KV_demo")
		if err != nil {
			tb.Fatal(err)
		}
		if s.CachedInfo().State.LastSeq == uint64(n) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func connect(tb testing.TB, url string) *nats.Conn {
	tb.Helper()
	nc, err := nats.Connect(url, nats.Timeout(time.Minute))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	return nc
}
