package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// job is a command that the benchmarks run, here and as `nats` has it. The
// bucket's name is another one in each run.
type job struct {
	name   string
	rounds int // API round trips one after the other
	// before makes what the command needs, on the leaf.
	before func(testing.TB, *natstest.Sites, string)
	ours   func(bucket string) []string
	nats   func(bucket string) []string
}

func jobs() []job {
	nothing := func(testing.TB, *natstest.Sites, string) {}
	plain := func(tb testing.TB, s *natstest.Sites, bucket string) {
		keyValue(tb, s.Leaf.URL(), jetstream.KeyValueConfig{Bucket: bucket, Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}})
	}
	return []job{
		{
			"add", 2, nothing,
			func(b string) []string { return []string{"add", b, "--mirror", "demo", "--mirror-domain", "hub"} },
			func(b string) []string { return []string{"kv", "add", b, "--mirror", "demo", "--mirror-domain", "hub"} },
		},
		{
			"edit", 3, plain,
			func(b string) []string { return []string{"edit", b, "--force"} },
			func(b string) []string { return []string{"kv", "edit", b, "--description", "edited"} },
		},
		{
			"info", 2, plain,
			func(b string) []string { return []string{"info", b} },
			func(b string) []string { return []string{"kv", "info", b} },
		},
	}
}

// benchSites is a hub and a leaf with the origin, and a proxy in front of the
// leaf whose round trip takes so long.
func benchSites(tb testing.TB, roundTrip time.Duration) (*natstest.Sites, *natstest.Proxy) {
	tb.Helper()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(sites.Stop)
	keyValue(tb, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second})
	p := natstest.ProxyTo(tb, sites.Leaf)
	p.SetDelay(roundTrip / 2)
	return sites, p
}

// runOnce runs the command in this process and returns what passed the proxy.
func runOnce(tb testing.TB, p *natstest.Proxy, args []string) natstest.Traffic {
	tb.Helper()
	p.Reset()
	var out, errs bytes.Buffer
	args = append(args, "--server", p.URL(), "--no-context")
	if code := Run(context.Background(), args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != 0 {
		tb.Fatalf("%v: exit code %d: %s", args, code, errs.String())
	}
	return p.Traffic()
}

// What must be read is read side by side: the number of round trips, one after
// the other, is what the design allows. It is counted, not timed. A write is read
// back while its answer is on the way; a server that had not written by then is
// asked once more, which is not counted here.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	sites, p := benchSites(t, 150*time.Millisecond)
	all := jobs()
	update := job{name: "update", rounds: 2, before: all[1].before, ours: func(b string) []string { return append(all[0].ours(b), "--update") }}
	for _, j := range append(all, update) {
		bucket := "rounds-" + j.name
		j.before(t, sites, bucket)
		traffic := runOnce(t, p, j.ours(bucket))
		got := traffic.Rounds()
		for _, r := range traffic.Requests {
			if strings.Contains(r.Subject, ".STREAM.CREATE.") || strings.Contains(r.Subject, ".STREAM.UPDATE.") {
				got = r.Round
			}
		}
		if got != j.rounds {
			t.Errorf("%s needs %d round trips, want %d: %+v", j.name, got, j.rounds, traffic.Requests)
		}
	}
}

// BenchmarkCommand runs each command in this process, over a round trip of
// 10 ms, and counts what passes.
func BenchmarkCommand(b *testing.B) {
	for _, j := range jobs() {
		b.Run(j.name, func(b *testing.B) {
			sites, p := benchSites(b, 10*time.Millisecond)
			var requests, rounds, bytes float64
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				bucket := fmt.Sprintf("bench%d", i)
				j.before(b, sites, bucket)
				b.StartTimer()
				traffic := runOnce(b, p, j.ours(bucket))
				requests += float64(len(traffic.Requests))
				rounds += float64(traffic.Rounds())
				bytes += float64(traffic.BytesToClient + traffic.BytesToServer)
			}
			b.ReportMetric(requests/float64(b.N), "requests/op")
			b.ReportMetric(rounds/float64(b.N), "rounds/op")
			b.ReportMetric(bytes/float64(b.N), "wire-B/op")
		})
	}
}

// BenchmarkProcess times the whole process, connection included, beside `nats`
// doing as much of the same as it can.
//
// The benchmarks report milliseconds, so that what they print can be pasted into
// docs/performance.md:
//
//	go test -run '^$' -bench 'Process|Start|Fleet|Content' -benchtime 5x -timeout 1h ./internal/cli
func BenchmarkProcess(b *testing.B) {
	ours, theirs := binaries(b)
	for _, roundTrip := range []time.Duration{0, 100 * time.Millisecond} {
		for _, j := range jobs() {
			for _, program := range []struct {
				name, path string
				args       func(string) []string
			}{{appName, ours, j.ours}, {"nats", theirs, j.nats}} {
				b.Run(fmt.Sprintf("rtt=%v/%s/%s", roundTrip, j.name, program.name), func(b *testing.B) {
					sites, p := benchSites(b, roundTrip)
					var requests, rounds float64
					for i := 0; b.Loop(); i++ {
						b.StopTimer()
						bucket := fmt.Sprintf("bench%d", i)
						j.before(b, sites, bucket)
						p.Reset()
						b.StartTimer()
						process(b, program.path, p.URL(), program.args(bucket)...)
						traffic := p.Traffic()
						requests += float64(len(traffic.Requests))
						rounds += float64(traffic.Rounds())
					}
					b.ReportMetric(requests/float64(b.N), "requests/op")
					b.ReportMetric(rounds/float64(b.N), "rounds/op")
					reportTime(b)
				})
			}
		}
	}
}

// BenchmarkStart times --help, which needs no server.
func BenchmarkStart(b *testing.B) {
	ours, theirs := binaries(b)
	b.Run(appName, func(b *testing.B) {
		for b.Loop() {
			process(b, ours, "", "--help")
		}
		reportTime(b)
	})
	b.Run("nats", func(b *testing.B) {
		for b.Loop() {
			process(b, theirs, "", "--help")
		}
		reportTime(b)
	})
}

// reportTime replaces ns/op by ms/op.
func reportTime(b *testing.B) {
	b.Helper()
	b.ReportMetric(millis(b.Elapsed(), b.N), "ms/op")
	b.ReportMetric(0, "ns/op")
}

// millis is the mean of n runs in milliseconds.
func millis(total time.Duration, n int) float64 {
	return float64(total) / float64(time.Millisecond) / float64(n)
}

func process(b *testing.B, program, url string, args ...string) {
	b.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "NATS_URL="+url, "XDG_CONFIG_HOME="+os.TempDir(), "NATS_CONTEXT=")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

// binaries builds this program and the `nats` that it is compared with, once.
func binaries(b *testing.B) (ours, theirs string) {
	b.Helper()
	dir, err := builtOnce()
	if err != nil {
		b.Fatal(err)
	}
	return filepath.Join(dir, appName), filepath.Join(dir, "nats")
}

var builtOnce = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), "nats-kvmirror-bench")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir, "../../cmd/nats-kvmirror")
	install := exec.Command("go", "install", "github.com/nats-io/natscli/nats@v0.5.1")
	install.Env = append(os.Environ(), "GOBIN="+dir)
	for _, cmd := range []*exec.Cmd{build, install} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%v: %w\n%s", cmd, err, out)
		}
	}
	return dir, nil
})
