package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// The host is killed and the plugin is not told: it ends when the host is nats, with
// nothing written, and goes on below any other.
func TestHostIsGone(t *testing.T) {
	slow(t)
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		host   string
		action mirror.Action
		kind   mirror.Kind
		ttl    bool
	}{
		{"nats", mirror.Failed, mirror.ErrInterrupted, false},
		{"other", mirror.Updated, "", true},
	} {
		t.Run(test.host, func(t *testing.T) {
			t.Parallel()
			sites := plainSites(t)
			p := natstest.ProxyTo(t, sites.Leaf)
			dir := t.TempDir()
			path := filepath.Join(dir, test.host)
			if err := os.Symlink(program, path); err != nil {
				t.Fatal(err)
			}
			// A question that is lost is put again after five seconds: until then
			// the plugin has nothing to do but to see that its host is gone.
			cmd := exec.Command(path, "kvmirror", "edit", "plain", "--force", "--json", "--no-context", "--timeout", "20s")
			cmd.Args[0] = "nats"
			cmd.Env = slices.Concat(os.Environ(), []string{"NATS_URL=" + p.URL(), "XDG_CONFIG_HOME=" + dir, "GORACE=atexit_sleep_ms=0"}, host(t))
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			asked := make(chan struct{})
			var once sync.Once
			p.SetHook(func(m natstest.Message) natstest.Verdict {
				verdict := natstest.Pass
				if m.Direction == natstest.ToServer && m.Reply != "" {
					once.Do(func() {
						verdict = natstest.Drop
						close(asked)
					})
				}
				return verdict
			})
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-asked
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // for the plugin as well, which has the same output
			if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGTERM {
				t.Errorf("the host ended by itself: %v", cmd.ProcessState)
			}
			r, err := readDocument(out.Bytes())
			if err != nil {
				t.Fatalf("%v: %s", err, &errs)
			}
			kind := mirror.Kind("")
			if r.failure != nil {
				kind = r.failure.Kind
			}
			if r.action != test.action || kind != test.kind {
				t.Errorf("action %q, error %q; want %q, %q\n%s", r.action, kind, test.action, test.kind, &errs)
			}
			if got := hasTTL(t, sites.Leaf.URL(), "plain"); got != test.ttl {
				t.Errorf("per-key TTL is %t", got)
			}
			if wrote := p.Traffic().Count("$JS.API.STREAM.UPDATE.>"); wrote != map[bool]int{true: 1}[test.ttl] {
				t.Errorf("%d writes", wrote)
			}
		})
	}
}
