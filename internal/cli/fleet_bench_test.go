//go:build linux || darwin

package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"nats-kvmirror/internal/natstest"
)

// BenchmarkFleet runs `check` of all mirrors beside `nats kv ls`, which reads
// one side alone, as whole processes and by turns. Each of N mirrors has an
// origin of its own; hub and leaf are real servers in the benchmark's process.
//
//	go test -run '^$' -bench Fleet -benchtime 5x ./internal/cli
//
// takes about four minutes and 3 GB of memory, which is the servers'. One size
// alone is -bench 'Fleet/mirrors=2000'.
//
// ms/op is the time of `check`, straight to the leaf for rtt=0s and through a
// proxy that takes half the round trip each way for the others.
//
//   - kv-ls-ms/op: the time of `nats kv ls`
//   - requests/op, wire-kB/op: what `check` has to ask for and what passes for
//     it; kB both ways, with the connection's own
//   - rounds/op: how many of the requests had to be made one after the other,
//     which shows where the round trip is longer than the servers' work
//   - peak-MiB: the highest resident memory of a `check`, or that of the launcher
//     if it is higher: 30 MiB, and 56 MiB with the race detector
func BenchmarkFleet(b *testing.B) {
	ours, theirs := binaries(b)
	fleet, err := natstest.NewFleet()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(fleet.Stop)
	p := natstest.ProxyTo(b, fleet.Leaf)

	for _, n := range []int{10, 100, 1_000, 2_000, 10_000} {
		b.Run(fmt.Sprintf("mirrors=%d", n), func(b *testing.B) {
			if err := fleet.Grow(context.Background(), n); err != nil {
				b.Fatal(err)
			}
			for _, roundTrip := range []time.Duration{0, 100 * time.Millisecond} {
				b.Run(fmt.Sprintf("rtt=%v", roundTrip), func(b *testing.B) {
					url := p.URL()
					if roundTrip == 0 {
						url = fleet.Leaf.URL()
					}
					p.SetDelay(roundTrip / 2)
					p.Reset()
					peak, _ := peakOf(b, ours, p.URL(), healthy(n), "check")
					traffic := p.Traffic()
					var list time.Duration
					for b.Loop() {
						checkAll(b, ours, url, n)
						b.StopTimer()
						list += listAll(b, theirs, url, n)
						b.StartTimer()
					}
					reportTime(b)
					b.ReportMetric(millis(list, b.N), "kv-ls-ms/op")
					b.ReportMetric(float64(len(traffic.Requests)), "requests/op")
					if roundTrip > 0 {
						b.ReportMetric(float64(traffic.Rounds()), "rounds/op")
					}
					b.ReportMetric(float64(traffic.BytesToClient+traffic.BytesToServer)/1000, "wire-kB/op")
					b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
				})
			}
		})
	}
}

// checkAll runs `check`, which must find n healthy mirrors.
func checkAll(b *testing.B, program, url string, n int) {
	b.Helper()
	out, _ := timed(b, url, exec.Command(program, "check"))
	if !strings.HasPrefix(out, healthy(n)) {
		b.Fatalf("check says %q, want %q", out, healthy(n))
	}
}

// healthy is how `check` begins when n mirrors are.
func healthy(n int) string {
	if n == 1 {
		return "OK 1 mirror follows its origin"
	}
	return fmt.Sprintf("OK %d mirrors follow their origins", n)
}

// listAll runs `nats kv ls`, which must list n buckets, and returns how long it
// took.
func listAll(b *testing.B, program, url string, n int) time.Duration {
	b.Helper()
	out, took := timed(b, url, exec.Command(program, "kv", "ls"))
	if got := strings.Count(out, " fleet-"); got != n {
		b.Fatalf("nats kv ls lists %d buckets, want %d", got, n)
	}
	return took
}

// timed runs a program and returns what it printed and how long it took.
func timed(b *testing.B, url string, cmd *exec.Cmd) (string, time.Duration) {
	b.Helper()
	cmd.Env = append(cmd.Environ(), "NATS_URL="+url, "XDG_CONFIG_HOME="+os.TempDir(), "NATS_CONTEXT=")
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(begin)
	if err != nil {
		b.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out), took
}

// launch is the variable that makes this binary the launcher of [peakOf].
const launch = "NATS_KVMIRROR_BENCH_LAUNCH"

// peakOf is the highest resident memory of a command, in bytes, and how long it
// took; its output has to begin with want. What the system counts for a process
// begins with that of the process that started it, which here holds all servers;
// so it is started by a small one.
func peakOf(b *testing.B, program, url, want string, args ...string) (peak int64, took time.Duration) {
	b.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), launch+"="+program)
	out, _ := timed(b, url, cmd)
	counts, said, _ := strings.Cut(out, "\n")
	if _, err := fmt.Sscanf(counts, "%d %d", &peak, &took); err != nil || !strings.HasPrefix(said, want) {
		b.Fatalf("the launcher says %q: %v; want %q", out, err, want)
	}
	return peak, took
}

// init is the launcher: it runs a program and prints its highest resident memory,
// how long it took, and then what it said.
func init() {
	program := os.Getenv(launch)
	if program == "" {
		return
	}
	cmd := exec.Command(program, os.Args[1:]...)
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(begin)
	if err != nil {
		fmt.Printf("%v: %s\n", err, out)
		os.Exit(1)
	}
	peak := int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if goruntime.GOOS == "linux" {
		peak <<= 10 // Linux counts KiB
	}
	fmt.Printf("%d %d\n%s", peak, took.Nanoseconds(), out)
	os.Exit(0)
}
