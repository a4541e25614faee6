package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// stage is what a demo writes to. It acts on a cue in what was written.
type stage struct {
	mu   sync.Mutex
	text bytes.Buffer
	cue  string
	act  func()
}

// Write keeps p and acts once the cue has come.
func (s *stage) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	if s.act != nil && strings.Contains(s.text.String(), s.cue) {
		s.act()
		s.act = nil
	}
	return len(p), nil
}

// String is all that was written.
func (s *stage) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// demoDir makes the output that of no particular environment, and returns the
// directory that holds the temporary files of a demo.
func demoDir(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"LLMFORMAT", "TESTING", "NATS_TABLE_FORMAT", "NATS_COLOR"} {
		t.Setenv(name, "")
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("%s is left behind", f.Name())
	}
}

// wantLines asserts that out has lines that match the patterns, in their order.
func wantLines(t *testing.T, out string, patterns ...string) {
	t.Helper()
	rest := out
	for _, p := range patterns {
		at := regexp.MustCompile(`(?m)^` + p + `$`).FindStringIndex(rest)
		if at == nil {
			t.Errorf("no line %q, or not in this place, in:\n%s", p, out)
			return
		}
		rest = rest[at[1]:]
	}
}

// disturb sets all variables that say how to connect to what cannot work.
func disturb(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"NATS_URL": "nats://127.0.0.1:1", "NATS_CONTEXT": "nosuch", "NATS_TIMEOUT": "1us",
		"NATS_USER": "nobody", "NATS_PASSWORD": "wrong", "NATS_TOKEN": "wrong", "NATS_SOCKS_PROXY": "127.0.0.1:1",
		"NATS_CREDS": "/nosuch/creds", "NATS_NKEY": "/nosuch/nkey", "NATS_JWT": "/nosuch/jwt", "NATS_SEED": "/nosuch/seed",
		"NATS_CERT": "/nosuch/cert", "NATS_KEY": "/nosuch/key", "NATS_CA": "/nosuch/ca",
	} {
		t.Setenv(name, value)
	}
}

func TestDemo(t *testing.T) {
	slow(t)
	dir := demoDir(t)
	disturb(t)
	var out, errs stage
	var used, looked time.Time
	use := stage{cue: "nats kv create demo ticket", act: func() { used = time.Now() }}
	look := stage{cue: "messages: ", act: func() { looked = time.Now() }}
	if code := Run(t.Context(), []string{"demo"}, Streams{In: strings.NewReader(""), Out: io.MultiWriter(&out, &use, &look), Err: &errs}); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	wantEmpty(t, dir)
	wantToShrink(t, out.String(), looked.Sub(used) < keyTTL)
	wantLines(t, out.String(),
		`1\. The origin.*`,
		`hub\$ nats kv add demo --marker-ttl 2s`,
		`2\. Two mirrors.*`,
		`leaf\$ nats kv add plain --mirror demo --mirror-domain hub`,
		`leaf\$ nats-kvmirror add ours --mirror demo --mirror-domain hub`,
		`Information for Key-Value Store Bucket ours created .*`,
		` +Per-Key TTL Supported: true`,
		`3\. .*`,
		`│ allow_msg_ttl +│ true +│ false +│ true +│`,
		`4\. .*`,
		`│ lamp │ on +│ on +│ on +│`,
		`│ door │ shut +│ shut +│ shut +│`,
		`5\. .*`,
		`hub\$ nats kv create demo ticket A7 --ttl 2s`,
		`hub\$ nats kv purge demo door --ttl 3s --force`,
		`6\. .*`,
		` +\d+\.\ds   messages: demo 0, plain 3, ours 0`,
		`│ lamp +│ purge marker │ 3s .*`,
		`│ door +│ purge marker │ 3s .*`,
		`│ ticket │ limit marker │ 2s .*`,
		`The origin is empty, ours is empty, and plain keeps 3 markers for ever\.`,
		`7\. .*`,
		`leaf\$ nats-kvmirror edit plain --force`,
		`\+ allow_msg_ttl: true  \(as the origin\)`,
		`Information for Key-Value Store Bucket plain created .*`,
		`│ Per-Key TTL before +│ true +│ false +│ true +│`,
		`│ Per-Key TTL now +│ true +│ true +│ true +│`,
		`│ Values stored before +│ 0 +│ 3 +│ 0 +│`,
		`│ Values stored now +│ 0 +│ 0 +│ 0 +│`,
		`│ Bucket size before +│ 0 B +│ [1-9]\d* B +│ 0 B +│`,
		`│ Bucket size now +│ 0 B +│ 0 B +│ 0 B +│`,
		`plain follows its origin now.*`,
	)
	const warning = "warning: per-key TTL can not be turned off again; the server has 3 messages to scan\n"
	if errs.String() != warning {
		t.Errorf("stderr is %q, want %q", errs.String(), warning)
	}
}

// wantToShrink asserts that a demo shows how the origin and ours get empty while
// plain keeps all. fromAll says that there was time to see all three messages.
func wantToShrink(t *testing.T, out string, fromAll bool) {
	t.Helper()
	counts := regexp.MustCompile(`messages: demo (\d+), plain (\d+), ours (\d+)`).FindAllStringSubmatch(out, -1)
	if len(counts) == 0 || fromAll && !slices.Equal(counts[0][1:], []string{"3", "3", "3"}) {
		t.Errorf("it does not begin with 3 messages: %q", counts)
	}
	for i, now := range counts {
		if now[2] != "3" || i > 0 && (now[1] > counts[i-1][1] || now[3] > counts[i-1][3]) {
			t.Errorf("it does not shrink: %q", counts)
		}
	}
}

func TestDemoInterrupted(t *testing.T) {
	slow(t)
	for _, cue := range []string{
		"", // before it begins
		"Two servers",
		"leaf$ nats-kvmirror add ours",
		"Bucket ours created",
		"\n5. ",
		"s   messages: demo ",
		"leaf$ nats-kvmirror edit plain",
		"+ allow_msg_ttl",
	} {
		t.Run(cue, func(t *testing.T) {
			dir := demoDir(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var interrupted time.Time
			act := func() { interrupted = time.Now(); cancel() }
			out := stage{cue: cue, act: act}
			if cue == "" {
				act()
			}
			var errs stage
			code := Run(ctx, []string{"demo", "--keep"}, Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
			if code != exitFailed || interrupted.IsZero() {
				t.Errorf("exit code %d, interrupted: %v\n%s", code, !interrupted.IsZero(), &out)
			}
			if took := time.Since(interrupted); took > slack {
				t.Errorf("it took %v to end", took)
			}
			const want = "nats-kvmirror: error: interrupted, the demo's servers are stopped and their files removed\n"
			if got := strings.TrimPrefix(errs.String(), "warning: per-key TTL can not be turned off again; the server has 3 messages to scan\n"); got != want {
				t.Errorf("stderr is %q, want %q", got, want)
			}
			wantEmpty(t, dir)
		})
	}
}

func TestDemoKeep(t *testing.T) {
	slow(t)
	dir := demoDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	kept := make(chan struct{})
	out := stage{cue: "nats-kvmirror info ours\n", act: func() { close(kept) }}
	var errs stage
	ended := make(chan int, 1)
	go func() {
		ended <- Run(ctx, []string{"demo", "--keep"}, Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	}()
	select {
	case <-kept:
	case code := <-ended:
		t.Fatalf("exit code %d: %s", code, &errs)
	}

	leaf := regexp.MustCompile(`(?m)^export NATS_URL=(nats://127\.0\.0\.1:\d+)$`).FindStringSubmatch(out.String())
	hub := regexp.MustCompile(`(?m)^nats --server (nats://127\.0\.0\.1:\d+) `).FindStringSubmatch(out.String())
	if leaf == nil || hub == nil {
		t.Fatalf("no address of the leaf, or none of the hub, in:\n%s", &out)
	}
	wantBucket(t, leaf[1], plainMirror)
	wantBucket(t, hub[1], originBucket)

	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if nc, err := nats.Connect(leaf[1]); err == nil {
		nc.Close()
		t.Error("the leaf runs")
	}
	wantEmpty(t, dir)
}

func wantBucket(t *testing.T, url, bucket string) {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(longest))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(longest))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.KeyValue(t.Context(), bucket); err != nil {
		t.Errorf("bucket %s: %v", bucket, err)
	}
}

// TestDemoProcess ends a demo in ways that only a process can be ended.
func TestDemoProcess(t *testing.T) {
	hangUp := func(t *testing.T, p *os.Process, _ io.Closer) {
		if err := p.Signal(syscall.SIGHUP); err != nil {
			t.Error(err)
		}
	}
	closeStdout := func(t *testing.T, _ *os.Process, stdout io.Closer) {
		if err := stdout.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, how := range map[string]struct {
		end  func(*testing.T, *os.Process, io.Closer)
		says string
	}{
		"terminal closed": {hangUp, "interrupted"},
		// Who finds it out is the demo or the command that it is running.
		"nobody reads now": {closeStdout, "broken pipe"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := demoDir(t)
			// What this process ignores, its child would ignore as well; what it
			// handles, its child does not.
			handled := make(chan os.Signal, 1)
			signal.Notify(handled, syscall.SIGHUP, syscall.SIGPIPE)
			defer signal.Stop(handled)
			cmd := exec.Command(appName, "demo")
			var errs bytes.Buffer
			cmd.Stderr = &errs
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(stdout, make([]byte, 20)); err != nil {
				t.Error(err)
			}
			how.end(t, cmd.Process, stdout)
			err = cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(errs.String(), how.says) {
				t.Errorf("ended with %v: %s", err, &errs)
			}
			wantEmpty(t, dir)
		})
	}
}

func TestDemoTableFormats(t *testing.T) {
	for _, tt := range []struct{ variable, value, want string }{
		{"NATS_TABLE_FORMAT", "csv", "Title\nKey,TTL\nlamp,2s"},
		{"NATS_TABLE_FORMAT", "TSV", "Title\nKey\tTTL\nlamp\t2s"},
		{"NATS_TABLE_FORMAT", "md", "# Title\n| Key | TTL |\n| --- | --- |\n| lamp | 2s |"},
		{"LLMFORMAT", "1", "# Title\n| Key | TTL |\n| --- | --- |\n| lamp | 2s |"},
		{"LLMFORMAT", "", "╭────────────╮\n│    Title   │\n├──────┬─────┤\n│ Key  │ TTL │\n├──────┼─────┤\n│ lamp │ 2s  │\n╰──────┴─────╯"},
	} {
		t.Run(tt.variable+"="+tt.value, func(t *testing.T) {
			demoDir(t)
			t.Setenv(tt.variable, tt.value)
			d := &demo{rt: &runtime{Streams: Streams{Out: io.Discard}}}
			table := d.newBareTable("Title", "Key", "TTL")
			table.Row("lamp", "2s")
			if got := table.String(); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}
