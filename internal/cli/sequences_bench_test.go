//go:build linux || darwin

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkSequences compares a mirror with its origin by their sequences (quick), and
// message by message beside it (walk): equal ones, and with 100 differences that are far
// apart. It prunes these, then a prefix of a tenth, and then a tenth that is scattered.
// Times are of whole processes; those with differences have pauses in them: 1.5 s before
// the states that differ are read again, and 2.5 s before the messages are. too-large
// counts what a leafnode would not let through. SEQUENCES is the number of messages, if it
// is set. Hub and leaf are in this process.
func BenchmarkSequences(b *testing.B) {
	ours, _ := binaries(b)
	sizes := []int{10_000, 100_000, 1_000_000}
	if text := os.Getenv("SEQUENCES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		sizes = []int{n}
	}
	for _, n := range sizes {
		b.Run(fmt.Sprintf("messages=%d", n), func(b *testing.B) {
			for b.Loop() {
				benchmarkSequences(b, ours, n)
			}
		})
	}
}

// pauses are those in a prune of what is left over.
const pauses = 4 * time.Second

func benchmarkSequences(b *testing.B, ours string, n int) {
	sites := mirrored(b, n)
	defer sites.Stop()
	run := func(unit string, times int, want string, args ...string) time.Duration {
		b.Helper()
		best := time.Hour
		for range times {
			cmd := exec.Command(ours, args...)
			cmd.Env = append(cmd.Environ(), "NATS_URL="+sites.Leaf.URL(), "XDG_CONFIG_HOME="+os.TempDir(), "NATS_CONTEXT=")
			begin := time.Now()
			out, _ := cmd.CombinedOutput() // its exit code is that of a monitoring plugin
			best = min(best, time.Since(begin))
			if !strings.Contains(string(out), want) {
				b.Fatalf("%q says %s; want %q", args, out, want)
			}
		}
		b.ReportMetric(millis(best, 1), unit)
		return best
	}
	run("check-ms", 5, healthy(1), "check", "m")
	run("quick-ms", 5, "m: has the sequences of its origin", "check", "m", "--content", "--quick")
	run("walk-ms", 1, "m: holds what its origin holds", "check", "m", "--content")
	purge := purger(b, sites.Hub.URL(), "KV_demo")
	for i := range 100 {
		purge(fmt.Sprintf("$KV.demo.key.%d", (2*i+1)*n/200))
	}
	run("quick-100-ms", 1, ": 100 left over", "check", "m", "--content", "--quick")
	run("walk-100-ms", 1, ": 100 left over", "check", "m", "--content")
	run("prune-100-ms", 1, "100 messages purged; it ", "prune", "m", "--gone", "--force")
	nc := connectTo(b, sites.Hub.URL())
	askAPI(b, nc, "STREAM.PURGE.KV_demo", map[string]any{"seq": n/10 + 1}, &struct{}{})
	run("prune-prefix-ms", 1, "messages purged; it ", "prune", "m", "--gone", "--force")
	for i := range n / 10 {
		purge(fmt.Sprintf("$KV.demo.key.%d", n/10+9*i+1))
	}
	run("quick-scattered-ms", 1, " left over", "check", "m", "--content", "--quick")
	took := run("prune-scattered-ms", 1, "messages purged; it ", "prune", "m", "--gone", "--force")
	b.ReportMetric(float64(n/10)/(took-pauses).Seconds(), "prune-scattered/s")
	b.ReportMetric(float64(sites.Hub.TooLarge()+sites.Leaf.TooLarge()), "too-large")
}
