//go:build unix

package cli

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nats-kvmirror/internal/natstest"
)

// started is the command in a process of its own, which can be killed.
type started struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan error
}

func start(t *testing.T, cache string, args ...string) *started {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &started{cmd: exec.Command(program, args...), done: make(chan error, 1)}
	s.cmd.Args[0] = appName
	s.cmd.Env = append(os.Environ(), "HOME="+cache, "XDG_CACHE_HOME="+cache, "XDG_CONFIG_HOME="+cache, "LLMFORMAT=", "TESTING=", "GORACE=atexit_sleep_ms=0")
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	return s
}

// ends waits until the command has ended and returns its exit code, -1 when it was
// killed.
func (s *started) ends(t *testing.T) int {
	t.Helper()
	select {
	case err := <-s.done:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		if err != nil {
			t.Fatal(err)
		}
		return 0
	case <-time.After(longest):
		t.Fatalf("the command goes on:\n%s", s.out.String())
		return -1
	}
}

// requestPoint is a point in the run of a command: the nth request, from 1, whose subject
// contains during, once one that contains behind has passed.
type requestPoint struct {
	name           string
	behind, during string
	nth            int
	verdict        natstest.Verdict // on that request
}

// signalAt runs a command on the server behind a proxy, sends it a signal at such a
// point, and returns its exit code and what it wrote.
func signalAt(t *testing.T, p *natstest.Proxy, signal os.Signal, at requestPoint, cache string, args ...string) (code int, out string) {
	t.Helper()
	process := make(chan *os.Process, 1)
	var mu sync.Mutex
	begun, seen := at.behind == "", 0
	p.SetHook(func(m natstest.Message) natstest.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if m.Direction != natstest.ToServer || m.Reply == "" {
			return natstest.Pass
		}
		if begun && strings.Contains(m.Subject, at.during) {
			if seen++; seen == at.nth {
				_ = (<-process).Signal(signal)
				return at.verdict
			}
		}
		begun = begun || strings.Contains(m.Subject, at.behind)
		return natstest.Pass
	})
	s := start(t, cache, append(args, "--server", p.URL(), "--no-context")...)
	process <- s.cmd.Process
	code = s.ends(t)
	p.SetHook(nil)
	mu.Lock()
	defer mu.Unlock()
	if seen < at.nth {
		t.Errorf("%s: there were %d such requests, not %d\n%s", at.name, seen, at.nth, s.out.String())
	}
	return code, s.out.String()
}

// However often prune is killed or interrupted, running it again finishes it, and
// only what is left over goes.
func TestPruneKilled(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, test := range []struct {
		name   string
		signal os.Signal
	}{{"killed", os.Kill}, {"interrupted", os.Interrupt}, {"terminated", syscall.SIGTERM}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sites := scatteredBehind(t, 4_000)
			p := natstest.ProxyTo(t, sites.Leaf)
			prune := []string{"prune", "m", "--gone", "--force"}
			random := rand.New(rand.NewPCG(4, uint64(len(test.name))))
			purging := func() requestPoint {
				return requestPoint{name: "purging", during: ".STREAM.PURGE.", nth: 1 + random.IntN(1_000)}
			}
			for _, at := range []requestPoint{
				{name: "comparing", during: ".CONSUMER.CREATE.", nth: 1 + random.IntN(2), verdict: natstest.Drop}, purging(), purging(), purging(),
				// Without an answer, or it might end before the signal comes.
				{name: "comparing again", behind: ".STREAM.PURGE.", during: ".STREAM.INFO.", nth: 1 + random.IntN(4), verdict: natstest.Drop},
			} {
				code, out := signalAt(t, p, test.signal, at, t.TempDir(), prune...)
				if test.signal == os.Kill && code != -1 || test.signal != os.Kill && (code != 1 || !strings.Contains(out, "interrupted")) {
					t.Errorf("%s, at number %d: exit code %d\n%s", at.name, at.nth, code, out)
				}
			}
			s := start(t, t.TempDir(), append(prune, "--server", sites.Leaf.URL(), "--no-context")...)
			if code := s.ends(t); code != 0 {
				t.Errorf("the last run: exit code %d\n%s", code, s.out.String())
			}
			isIdentical(t, sites, 1)
		})
	}
}

// However often it is killed while a mirror is recreated, the mirror or its
// configuration is there, and running it again ends it.
func TestRecreateKilled(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := leftBehind(t, 2_000)
	p := natstest.ProxyTo(t, sites.Leaf)
	cache := t.TempDir()
	random := rand.New(rand.NewPCG(4, 4))
	nc := connectTo(t, sites.Leaf.URL())
	// next is the run that follows, and says whether the mirror is there.
	next := func() (args []string, there bool) {
		t.Helper()
		if readStream(t, nc, "m").there {
			return []string{"recreate", "m", "--force", "--accept-loss", "2000"}, true
		}
		saved, err := filepath.Glob(filepath.Join(cache, appName, "m-*.json"))
		if err != nil || len(saved) == 0 {
			t.Fatalf("neither the mirror nor its configuration is there, %v", err)
		}
		return []string{"recreate", "m", "--from-backup", saved[len(saved)-1]}, false
	}
	comparing := func(name string) requestPoint {
		return requestPoint{name: name, behind: ".STREAM.CREATE.", during: ".API.", nth: 1 + random.IntN(4)}
	}
	there := true
	for _, test := range []struct {
		requestPoint
		there bool // afterwards
	}{
		{requestPoint{name: "comparing", during: ".CONSUMER.", nth: 1 + random.IntN(2)}, true},
		{requestPoint{name: "before the deletion", during: ".STREAM.DELETE.", nth: 3, verdict: natstest.Drop}, true},
		{requestPoint{name: "behind the deletion", during: ".STREAM.DELETE.", nth: 3}, false}, // two are of the scratch mirror
		{requestPoint{name: "before it is restored", during: ".STREAM.CREATE.", nth: 1, verdict: natstest.Drop}, false},
		{requestPoint{name: "behind that", during: ".STREAM.CREATE.", nth: 1}, true},
		{requestPoint{name: "before the creation", during: ".STREAM.CREATE.", nth: 3, verdict: natstest.Drop}, false},
		{comparing("comparing what was restored"), true},
		{comparing("comparing afterwards"), true},
	} {
		args, was := next()
		if was != there {
			t.Fatalf("%s: the mirror is there: %t", test.name, was)
		}
		if code, out := signalAt(t, p, os.Kill, test.requestPoint, cache, args...); code != -1 {
			t.Errorf("%s: exit code %d\n%s", test.name, code, out)
		}
		there = test.there
		waitUntil(t, test.name+": what was sent is done", func() bool { return readStream(t, nc, "m").there == there })
	}
	args, _ := next()
	s := start(t, cache, append(args, "--server", sites.Leaf.URL(), "--no-context")...)
	if code := s.ends(t); code != 0 {
		t.Errorf("the last run: exit code %d\n%s", code, s.out.String())
	}
	if !hasTTL(t, sites.Leaf.URL(), "m") {
		t.Error("the configuration was not kept")
	}
	isIdentical(t, sites, 100)
}
