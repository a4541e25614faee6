//go:build faults && unix

package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// SIGINT and SIGTERM at every step of every command, in a process of its own,
// alone and below a host, which dies at once: it ends in time, what the command
// says is true, nothing is written twice, and nothing is left behind.
func TestFaultsSignals(t *testing.T) {
	const atOnce = 24 // processes
	sampled := sampler()
	st := newTestSites(t)
	hosted := host(t)
	var interrupted atomic.Int32
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	commands := append(readScenarios(), writeScenarios(st)...)
	whole := make([]signalled, len(commands))
	for i, w := range commands {
		wg.Go(func() { whole[i] = runSignal(t, st, w, -1, 0, nil, 0) })
	}
	wg.Wait()
	for i, w := range commands {
		for at := range whole[i].requests {
			for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
				for _, below := range [][]string{nil, hosted} {
					if !sampled() {
						continue
					}
					slots <- struct{}{}
					wg.Go(func() {
						defer func() { <-slots }()
						if runSignal(t, st, w, at, signal, below, whole[i].took).kind == mirror.ErrInterrupted {
							interrupted.Add(1)
						}
					})
				}
			}
		}
	}
	wg.Wait()
	if interrupted.Load() == 0 {
		t.Error("no run was interrupted")
	}
}

// signalled is what a run came to that was sent a signal, or none.
type signalled struct {
	requests int // how many there were
	took     time.Duration
	kind     mirror.Kind // of its failure
}

// runSignal runs a command, which takes so long when it is let alone, and sends it
// a signal when its request number at, from 0, comes by.
func runSignal(t *testing.T, st *testSites, w scenario, at int, signal syscall.Signal, below []string, whole time.Duration) (is signalled) {
	const timeout = 2 * brief
	bucket := st.name()
	w.prepare(t, st, bucket)
	defer st.drop(t, w, bucket)
	before := readStream(t, st.leaf, w.target(bucket))
	p, err := natstest.NewProxy(st.Leaf.Addr())
	if err != nil {
		t.Error(err)
		return is
	}
	defer p.Close()
	program, err := os.Executable()
	if err != nil {
		t.Error(err)
		return is
	}
	args := append(w.args(bucket), "--json", "--no-context", "--timeout", timeout.String())
	name := appName
	if below != nil {
		args, name = append([]string{"kvmirror"}, args...), "nats"
	}
	cmd := exec.Command(program, args...)
	cmd.Args[0] = name
	home := t.TempDir()
	cmd.Env = append(append(os.Environ(), "NATS_URL="+p.URL(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "LLMFORMAT=", "TESTING=", "GORACE=atexit_sleep_ms=0"), below...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches the whole group
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var mu sync.Mutex
	var sent time.Time
	writes := map[string]int{}
	p.SetHook(func(m natstest.Message) natstest.Verdict {
		if m.Direction != natstest.ToServer || m.Reply == "" {
			return natstest.Pass
		}
		mu.Lock()
		defer mu.Unlock()
		if slices.ContainsFunc(w.writes, func(w string) bool { return strings.Contains(m.Subject, w) }) {
			writes[m.Subject+" "+string(m.Payload)]++
		}
		if is.requests == at {
			sent = time.Now()
			_ = syscall.Kill(-cmd.Process.Pid, signal)
		}
		is.requests++
		return natstest.Pass
	})
	began := time.Now()
	mu.Lock()
	err = cmd.Start()
	mu.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	ended := time.Now()
	is.took = ended.Sub(began)
	p.Close() // the hook is not called any more

	r, doc := readDocument(out.Bytes())
	if exit := (*exec.ExitError)(nil); err != nil && !asExit(err, &exit) {
		t.Errorf("%s: %v", w.name, err)
		return is
	}
	r.code, r.stderr = cmd.ProcessState.ExitCode(), errs.String()
	wrong := func(format string, a ...any) {
		t.Errorf("%s, %v at request %d, host %t: exit code %d, action %q, %v: "+format+"\n%s%s", append(append([]any{w.name, signal, at, below != nil, r.code, r.action, is.took}, a...), r.stderr, r.says())...)
	}
	if doc != nil {
		wrong("%v", doc)
		return is
	}
	if below != nil {
		r.code = map[string]int{"unknown": exitUnknown, "failed": exitFailed}[string(r.action)]
	}
	if !sent.IsZero() && r.failure == nil && r.code == exitFailed {
		wrong("it is not said why")
	}
	if late, limit := ended.Sub(sent), timeout+time.Second+whole; !sent.IsZero() && late > limit+slack {
		wrong("it ended %v after the signal, want %v at most", late, limit)
	}
	for write, n := range writes {
		if n > 1 && !strings.Contains(write, "-probe-") { // of a scratch mirror, the permission is tried first
			wrong("%q was sent %d times", write, n)
		}
	}
	after := readStream(t, st.leaf, w.target(bucket))
	w.verify(before, after, r, wrong)
	waitForNoOrphans(t, st, w, bucket, wrong)
	w.rerun(t, st, bucket, wrong)
	if strings.HasPrefix(w.name, "recreate") && before.there && !after.there && !strings.Contains(fmt.Sprint(r.failure), "--from-backup") {
		wrong("the mirror is gone, and how to get it back is not said")
	}
	if r.failure != nil {
		is.kind = r.failure.Kind
	}
	return is
}

func asExit(err error, exit **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*exit = e
	return ok
}
