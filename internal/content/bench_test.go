package content

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/lab"
)

// messages is how many a benchmark compares.
const messages = 1_000_000

// fill puts so many messages into a bucket of the hub and waits until its mirror
// on the leaf has them.
func fill(tb testing.TB, sites *lab.Sites, n int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	hub, leaf := connect(tb, sites.Hub.URL()), connect(tb, sites.Leaf.URL())
	js, err := jetstream.New(hub, jetstream.WithPublishAsyncMaxPending(4_000))
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
	below, err := jetstream.New(leaf)
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
	nc, err := nats.Connect(url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

// BenchmarkContent compares a mirror of 1,000,000 messages with its origin, and
// reads either side alone as clients do.
func BenchmarkContent(b *testing.B) {
	sites, err := lab.HubAndLeaf()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(sites.Stop)
	fill(b, sites, messages)
	conn, err := jsapi.Connect(b.Context(), sites.Leaf.URL(), 10*time.Second, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(conn.Close)
	mirror, origin := conn.At("$JS.API"), conn.At("$JS.hub.API")

	for name, api := range map[string]*jsapi.API{"mirror": mirror, "origin": origin} {
		b.Run("walk/"+name, func(b *testing.B) {
			for b.Loop() {
				w, err := api.Walk(b.Context(), jsapi.WalkOptions{Stream: "KV_demo", From: 1, To: messages})
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for {
					h, err := next(w)
					if err != nil {
						b.Fatal(err)
					}
					if h == nil {
						break
					}
					n++
				}
				w.Close()
				if n != messages {
					b.Fatalf("read %d messages", n)
				}
			}
		})
	}
	for name, domain := range map[string]string{"mirror": "ksds", "origin": "hub"} {
		b.Run("push/"+name, func(b *testing.B) {
			js, err := connect(b, sites.Leaf.URL()).JetStream(nats.Domain(domain))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				var n atomic.Int64
				done := make(chan struct{})
				sub, err := js.Subscribe("", func(*nats.Msg) {
					if n.Add(1) == messages {
						close(done)
					}
				}, nats.BindStream("KV_demo"), nats.OrderedConsumer(), nats.HeadersOnly())
				if err != nil {
					b.Fatal(err)
				}
				<-done
				_ = sub.Unsubscribe()
			}
		})
		b.Run("pull/"+name, func(b *testing.B) {
			js, err := jetstream.NewWithDomain(connect(b, sites.Leaf.URL()), domain)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				c, err := js.OrderedConsumer(b.Context(), "KV_demo", jetstream.OrderedConsumerConfig{HeadersOnly: true})
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				done := make(chan struct{})
				reading, err := c.Consume(func(jetstream.Msg) {
					if n++; n == messages {
						close(done)
					}
				})
				if err != nil {
					b.Fatal(err)
				}
				<-done
				reading.Stop()
			}
		})
	}
	b.Run("compare", func(b *testing.B) {
		for b.Loop() {
			c := &Comparer{Mirror: mirror, Origin: origin, MirrorStream: "KV_demo", OriginStream: "KV_demo"}
			r, err := c.Compare(b.Context())
			if err != nil || r.Verdict != Identical || r.Compared != messages {
				b.Fatalf("%+v, %v", r, err)
			}
		}
	})
}
