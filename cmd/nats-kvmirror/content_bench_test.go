package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/lab"
)

// BenchmarkContentSync purges 100,000 messages that are left over, each of a key
// of its own, and proves it, with the two looks and the pause between them that
// precede it.
func BenchmarkContentSync(b *testing.B) {
	const leftOver = 100_000
	for b.Loop() {
		b.StopTimer()
		sites, err := lab.HubAndLeaf()
		if err != nil {
			b.Fatal(err)
		}
		makeLeftovers(b, sites, leftOver)
		var out, errs bytes.Buffer
		b.StartTimer()
		start := time.Now()
		code := run(context.Background(), []string{"sync", "m", "--content", "--force", "--server", sites.Leaf.URL(), "--no-context"},
			streams{in: strings.NewReader(""), out: &out, err: &errs})
		b.StopTimer()
		if code != 0 || !strings.Contains(out.String(), fmt.Sprintf("m: updated: %d messages purged; it holds what its origin holds", leftOver)) {
			b.Fatalf("exit code %d\n%s\n%s", code, out.String(), errs.String())
		}
		b.ReportMetric(leftOver/time.Since(start).Seconds(), "leftovers/s")
		sites.Stop()
		b.StartTimer()
	}
}

// makeLeftovers fills a bucket of the hub, mirrors it as m on the leaf, and
// purges the bucket's stream, which no mirror notices.
func makeLeftovers(tb testing.TB, sites *lab.Sites, n int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	keyValue(tb, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Hour})
	js, err := jetstream.New(connectTo(tb, sites.Hub.URL()), jetstream.WithPublishAsyncMaxPending(4_000))
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		if _, err := js.PublishAsync(fmt.Sprintf("$KV.demo.key.%d", i), []byte("value")); err != nil {
			tb.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	var errs bytes.Buffer
	args := []string{"add", "m", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "5m", "--server", sites.Leaf.URL(), "--no-context"}
	if code := run(ctx, args, streams{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &errs}); code != 0 {
		tb.Fatal(errs.String())
	}
	s, err := js.Stream(ctx, "KV_demo")
	if err == nil {
		err = s.Purge(ctx)
	}
	if err != nil {
		tb.Fatal(err)
	}
}
