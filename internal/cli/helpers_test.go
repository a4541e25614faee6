package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// longest is how long what has to come is waited for, as long as a --wait of
// "1m": only a test that fails gets there.
const longest = time.Minute

// pause is between two reads of what is waited for.
const pause = 100 * time.Millisecond

// slow leaves a test out of go test -short: it takes seconds.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it is slow")
	}
}

// brief is a timeout that is expected to be hit, and that a server on a busy machine
// keeps otherwise.
const brief = 4 * time.Second

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

// slack is what a busy machine may add to the time that a command may take; one
// that hangs, or waits for a second timeout, takes longer.
const slack = 10 * time.Second

// outcome is what one run of the command came to.
type outcome struct {
	code   int
	report mirror.Report
	stderr string
	took   time.Duration
}

// runJSON runs the command in this process with --json and reads its document.
func runJSON(t *testing.T, ctx context.Context, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	start := time.Now()
	code := Run(ctx, append(args, "--json", "--no-context"), Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	o := outcome{code: code, stderr: errs.String(), took: time.Since(start)}
	decode(t, out.Bytes(), errs.String(), &o.report)
	return o
}

// decode reads a document, which has to be as the schema says.
func decode(t *testing.T, stdout []byte, stderr string, to any) {
	t.Helper()
	err := validate(stdout)
	if err == nil {
		err = json.Unmarshal(stdout, to)
	}
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stdout, stderr)
	}
}

// warnings are the document's warnings with their hints, a line each.
func (o outcome) warnings() string {
	var lines []string
	for _, w := range o.report.Warnings {
		line := w.Message
		if w.Hint != "" {
			line += "; " + w.Hint
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (o outcome) mustBe(t *testing.T, code int, action mirror.Action, kind mirror.Kind) {
	t.Helper()
	got := mirror.Kind("")
	if o.report.Error != nil {
		got = o.report.Error.Kind
	}
	if o.code != code || o.report.Action != action || got != kind {
		t.Errorf("exit code %d, action %q, error %q; want %d, %q, %q\n%s", o.code, o.report.Action, got, code, action, kind, o.stderr)
	}
}

// sitesWithProxy is a plain mirror's sites and a proxy in front of the leaf.
func sitesWithProxy(t *testing.T) (*natstest.Sites, *natstest.Proxy) {
	t.Helper()
	sites := plainSites(t)
	return sites, natstest.ProxyTo(t, sites.Leaf)
}

// hitOnce strikes the first message of a request or of its answer.
func hitOnce(subject string, direction natstest.Direction, verdict natstest.Verdict) func(natstest.Message) natstest.Verdict {
	var reply atomic.Pointer[string]
	var struck atomic.Bool
	return func(m natstest.Message) natstest.Verdict {
		if m.Direction == natstest.ToServer && strings.Contains(m.Subject, subject) {
			reply.Store(&m.Reply)
		}
		inbox := reply.Load()
		hit := m.Direction == direction && inbox != nil && (m.Reply == *inbox || m.Subject == *inbox)
		if hit && struck.CompareAndSwap(false, true) {
			return verdict
		}
		return natstest.Pass
	}
}

// drop drops all requests to a subject.
func drop(subject string) func(natstest.Message) natstest.Verdict {
	return func(m natstest.Message) natstest.Verdict {
		if m.Direction == natstest.ToServer && strings.Contains(m.Subject, subject) {
			return natstest.Drop
		}
		return natstest.Pass
	}
}

// fleetOutcome is what one run of a command on many mirrors came to.
type fleetOutcome struct {
	code   int
	fleet  mirror.Fleet
	stderr string
}

// runFleet runs the command in this process with --json and reads its document.
func runFleet(t *testing.T, ctx context.Context, args ...string) fleetOutcome {
	t.Helper()
	var out, errs bytes.Buffer
	code := Run(ctx, append(args, "--json", "--no-context"), Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	o := fleetOutcome{code: code, stderr: errs.String()}
	decode(t, out.Bytes(), errs.String(), &o.fleet)
	return o
}

func (o fleetOutcome) mustBe(t *testing.T, code int, action mirror.Action, kind mirror.Kind) {
	t.Helper()
	got := mirror.Kind("")
	if o.fleet.Error != nil {
		got = o.fleet.Error.Kind
	}
	if o.code != code || o.fleet.Action != action || got != kind {
		t.Errorf("exit code %d, action %q, error %q; want %d, %q, %q\n%s", o.code, o.fleet.Action, got, code, action, kind, o.stderr)
	}
}

// actions are what was done to the mirrors, by bucket.
func (o fleetOutcome) actions() map[string]mirror.Action {
	actions := map[string]mirror.Action{}
	for _, m := range o.fleet.Mirrors {
		actions[m.Bucket] = m.Action
	}
	return actions
}

// runText runs the command in this process and returns what it wrote.
func runText(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(ctx, append(args, "--no-context"), Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	return code, out.String(), errs.String()
}

// plainMirrors is a hub and a leaf with n mirrors, m0 and so on, as other tools
// make them, of one bucket, all of them connected, and a proxy in front of the
// leaf.
func plainMirrors(t *testing.T, n int) (*natstest.Sites, *natstest.Proxy) {
	t.Helper()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: 1e9})
	for i := range n {
		keyValue(t, sites.Leaf.URL(), jetstream.KeyValueConfig{Bucket: fmt.Sprintf("m%d", i), Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}})
	}
	js, err := jetstream.New(connectTo(t, sites.Leaf.URL()), jetstream.WithDefaultTimeout(longest))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s, err := js.Stream(t.Context(), fmt.Sprintf("KV_m%d", i))
		if err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "the mirror's link has been active", func() bool {
			info, err := s.Info(t.Context())
			return err == nil && info.Mirror.Active >= 0
		})
	}
	return sites, natstest.ProxyTo(t, sites.Leaf)
}

// waitUntil waits for a condition.
func waitUntil(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(longest)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so after a minute", what)
		}
		time.Sleep(pause)
	}
}

func hasFinding(o fleetOutcome, code string) bool {
	for _, m := range o.fleet.Mirrors {
		for _, f := range m.Findings {
			if f.Code == code {
				return true
			}
		}
	}
	return false
}
