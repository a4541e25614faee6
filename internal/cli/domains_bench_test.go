//go:build linux || darwin

package cli

import (
	"flag"
	"os/exec"
	"strings"
	"testing"
	"time"

	"nats-kvmirror/internal/natstest"
)

var (
	benchDomains = flag.Int("domains", 4, "how many domains BenchmarkDomains has")
	benchMirrors = flag.Int("mirrors", 50, "how many mirrors each domain of BenchmarkDomains has")
)

// BenchmarkDomains runs `check` of the mirrors of all domains at once, over a round trip
// of 100 ms to the hub, and of each domain alone; every domain mirrors the same buckets of
// the hub. The servers are in the benchmark's process and share its cores, so with many
// domains it is they that are measured. All that is promised is run with
//
//	go test -run '^$' -bench Domains -benchtime 5x -timeout 1h ./internal/cli -domains 20 -mirrors 500
//
// ms/op is the time of all at once, slowest-ms the mean time of the domain that takes the
// longest alone, and times-slowest the first by the second: at most 1.5.
func BenchmarkDomains(b *testing.B) {
	ours, _ := binaries(b)
	sites, err := natstest.HubAndLeaves(*benchDomains)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(sites.Stop)
	if err := sites.Fill(b.Context(), *benchMirrors); err != nil {
		b.Fatal(err)
	}
	p := natstest.ProxyTo(b, sites.Hub)
	p.SetDelay(50 * time.Millisecond)
	check := func(n int, domains ...string) time.Duration {
		out, took := timed(b, p.URL(), exec.Command(ours, "check", "--domains", strings.Join(domains, ",")))
		if !strings.HasPrefix(out, healthy(n)) {
			b.Fatalf("check says %q, want %q", out, healthy(n))
		}
		return took
	}
	alone := make([]time.Duration, len(sites.Names))
	var all time.Duration
	for b.Loop() {
		all += check(*benchMirrors*len(sites.Names), sites.Names...)
		b.StopTimer()
		for i, name := range sites.Names {
			alone[i] += check(*benchMirrors, name)
		}
		b.StartTimer()
	}
	var slowest time.Duration
	for _, took := range alone {
		slowest = max(slowest, took)
	}
	reportTime(b)
	b.ReportMetric(millis(slowest, b.N), "slowest-ms/op")
	b.ReportMetric(float64(all)/float64(slowest), "times-slowest")
}
