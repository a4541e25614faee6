package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// screen keeps what a demo writes. It acts once, when the cue was written.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	cue  string
	act  func()
}

// Write keeps p.
func (s *screen) Write(p []byte) (int, error) {
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
func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// demoProcess is a demo in a process of its own, which is not started, and the
// directory of its temporary files. All variables that say how to connect have
// values that cannot work.
func demoProcess(t *testing.T, args ...string) (cmd *exec.Cmd, dir string) {
	dir = t.TempDir()
	cmd = exec.Command(appName, append([]string{"demo"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "LLMFORMAT=", "TESTING=", "NATS_TABLE_FORMAT=", "NATS_COLOR=", "GORACE=atexit_sleep_ms=0",
		"NATS_URL=nats://127.0.0.1:1", "NATS_CONTEXT=nosuch", "NATS_TIMEOUT=1us",
		"NATS_USER=nosuch", "NATS_PASSWORD=wrong", "NATS_TOKEN=wrong", "NATS_SOCKS_PROXY=127.0.0.1:1",
		"NATS_CREDS=/nosuch/creds", "NATS_NKEY=/nosuch/nkey", "NATS_JWT=/nosuch/jwt", "NATS_SEED=/nosuch/seed",
		"NATS_CERT=/nosuch/cert", "NATS_KEY=/nosuch/key", "NATS_CA=/nosuch/ca")
	return cmd, dir
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

// TestDemo plays the whole story with the real commands and ends it with Ctrl-C.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for TTLs")
	}
	t.Parallel()
	cmd, dir := demoProcess(t, "--keep")
	kept := make(chan struct{})
	out := screen{cue: "nats-kvmirror info ours\n", act: func() { close(kept) }}
	var errs screen
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-kept:
	case err := <-ended:
		t.Fatalf("%v: %s\n%s", err, &errs, &out)
	}

	wantInOrder(t, out.String(),
		"leaf$ nats-kvmirror add ours --mirror demo --mirror-domain hub\n",
		"Information for Key-Value Store Bucket ours created ",
		"Per-Key TTL Supported: true\n",
		"plain keeps 3 markers forever.\n",
		"leaf$ nats-kvmirror edit plain --force\n",
		"+ allow_msg_ttl: true  (as the origin)\n",
		"Information for Key-Value Store Bucket plain created ",
		"plain follows its origin now",
	)
	wantPicture(t, out.String())
	leaf := regexp.MustCompile(`(?m)^export NATS_URL=(nats://127\.0\.0\.1:\d+)$`).FindStringSubmatch(out.String())
	hub := regexp.MustCompile(`(?m)^nats --server (nats://127\.0\.0\.1:\d+) `).FindStringSubmatch(out.String())
	if leaf == nil || hub == nil {
		t.Fatalf("no address of the leaf, or none of the hub, in:\n%s", &out)
	}
	wantBucket(t, leaf[1], "plain")
	wantBucket(t, hub[1], "demo")

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	const warning = "warning: per-key TTL cannot be turned off again; the server has 3 messages to scan\n"
	if errs.String() != warning {
		t.Errorf("stderr is %q, want %q", errs.String(), warning)
	}
	wantEmpty(t, dir)
}

// wantInOrder asserts that out has all texts, in their order.
func wantInOrder(t *testing.T, out string, texts ...string) {
	t.Helper()
	rest := out
	for _, text := range texts {
		_, after, ok := strings.Cut(rest, text)
		if !ok {
			t.Errorf("%q is missing, or not in this place, in:\n%s", text, out)
			return
		}
		rest = after
	}
}

func wantBucket(t *testing.T, url, bucket string) {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(longest))
	if err != nil {
		t.Error(err)
		return
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(longest))
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := js.KeyValue(t.Context(), bucket); err != nil {
		t.Errorf("bucket %s: %v", bucket, err)
	}
}

// An interrupt while a command of the story runs is reported once.
func TestDemoInterrupted(t *testing.T) {
	for _, cue := range []string{"leaf$ nats-kvmirror add ours", "Bucket ours created"} {
		t.Run(cue, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out := screen{cue: cue, act: cancel}
			var errs screen
			if code := Run(ctx, []string{"demo"}, Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != exitFailed {
				t.Errorf("exit code %d\n%s", code, &out)
			}
			const want = "nats-kvmirror: error: interrupted, the demo's servers are stopped and their files removed\n"
			if errs.String() != want {
				t.Errorf("stderr is %q, want %q", errs.String(), want)
			}
		})
	}
}

// TestDemoProcess ends a demo in ways that only a process can be ended.
func TestDemoProcess(t *testing.T) {
	for name, how := range map[string]struct {
		end  func(*os.Process, io.Closer) error
		says string
	}{
		"terminal closed": {func(p *os.Process, _ io.Closer) error { return p.Signal(syscall.SIGHUP) }, "interrupted"},
		// The demo finds it out, or the command that it is running.
		"stdout closed": {func(_ *os.Process, stdout io.Closer) error { return stdout.Close() }, "broken pipe"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// What this process ignores, its child would ignore as well; what it
			// handles, its child does not.
			handled := make(chan os.Signal, 1)
			signal.Notify(handled, syscall.SIGHUP, syscall.SIGPIPE)
			defer signal.Stop(handled)
			cmd, dir := demoProcess(t)
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
			if err := how.end(cmd.Process, stdout); err != nil {
				t.Error(err)
			}
			err = cmd.Wait()
			if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(errs.String(), how.says) {
				t.Errorf("ended with %v: %s", err, &errs)
			}
			wantEmpty(t, dir)
		})
	}
}
