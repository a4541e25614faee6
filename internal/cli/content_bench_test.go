//go:build linux || darwin

package cli

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// BenchmarkContentCheck compares a mirror of 1,000,000 messages with its origin,
// by turns with plain ordered consumers that read the headers of the origin, the
// slower side, through the leaf: pull-ms/op is that of nats.go's jetstream
// package, push-ms/op its older one. Hub and leaf are in this process, the command
// is in one of its own. It takes two minutes and 2 GB of memory.
func BenchmarkContentCheck(b *testing.B) {
	const messages = 1_000_000
	ours, _ := binaries(b)
	sites := mirrored(b, messages)
	var check, pull, push time.Duration
	var peak int64
	for b.Loop() {
		p, took := peakOf(b, ours, sites.Leaf.URL(), healthy(1), "check", "m", "--content")
		peak, check = max(peak, p), check+took
		b.StopTimer()
		pull += readPull(b, sites, messages)
		push += readPush(b, sites, messages)
		b.StartTimer()
	}
	reportTime(b)
	b.ReportMetric(messages*float64(b.N)/check.Seconds(), "messages/s")
	b.ReportMetric(millis(pull, b.N), "pull-ms/op")
	b.ReportMetric(millis(push, b.N), "push-ms/op")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}

// readPull reads the headers of the origin with an ordered consumer of the
// jetstream package and returns how long it took.
func readPull(b *testing.B, sites *natstest.Sites, messages int) time.Duration {
	b.Helper()
	js, err := jetstream.NewWithDomain(connectTo(b, sites.Leaf.URL()), "hub")
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	c, err := js.OrderedConsumer(b.Context(), "KV_demo", jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	n, done := 0, make(chan struct{})
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
	return time.Since(begin)
}

// readPush is readPull with the older ordered consumer, a push consumer with flow
// control.
func readPush(b *testing.B, sites *natstest.Sites, messages int) time.Duration {
	b.Helper()
	js, err := connectTo(b, sites.Leaf.URL()).JetStream(nats.Domain("hub"))
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	n, done := 0, make(chan struct{})
	sub, err := js.Subscribe("", func(*nats.Msg) {
		if n++; n == messages {
			close(done)
		}
	}, nats.BindStream("KV_demo"), nats.OrderedConsumer(), nats.HeadersOnly())
	if err != nil {
		b.Fatal(err)
	}
	<-done
	_ = sub.Unsubscribe()
	return time.Since(begin)
}

// BenchmarkContentSync purges 100,000 messages that are left over, each of a key
// of its own, and verifies it; the two comparisons before and the pause between them are
// counted.
func BenchmarkContentSync(b *testing.B) {
	const messages = 100_000
	ours, _ := binaries(b)
	var took time.Duration
	var peak int64
	for b.Loop() {
		b.StopTimer()
		sites := mirrored(b, messages)
		purgeOrigin(b, sites)
		b.StartTimer()
		p, t := peakOf(b, ours, sites.Leaf.URL(), "m: differs from its origin", "prune", "m", "--gone", "--force")
		peak, took = max(peak, p), took+t
		b.StopTimer()
		sites.Stop()
		b.StartTimer()
	}
	reportTime(b)
	b.ReportMetric(messages*float64(b.N)/took.Seconds(), "messages/s")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}
