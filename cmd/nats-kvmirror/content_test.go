//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/lab"
	"nats-kvmirror/internal/render"
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

// signalAfter sends a signal after a time, if the command still runs, and returns
// its exit code, -1 when it was killed.
func (s *started) signalAfter(t *testing.T, d time.Duration, signal os.Signal) int {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
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
		case <-timer.C:
			_ = s.cmd.Process.Signal(signal)
		case <-time.After(longest):
			t.Fatalf("the command goes on:\n%s", s.out.String())
		}
	}
}

// isProved compares the mirror with its origin, bodies included, and waits until
// nobody's consumer is left.
func isProved(t *testing.T, sites *lab.Sites, messages uint64) {
	t.Helper()
	o := runFleet(t, t.Context(), "check", "m", "--content", "--payload", "--server", sites.Leaf.URL())
	if o.code != 0 || o.fleet.Mirrors[0].Content.Verdict != content.Identical || o.fleet.Mirrors[0].Content.Compared != messages {
		t.Errorf("exit code %d, %+v", o.code, o.fleet.Mirrors)
	}
	for url, stream := range map[string]string{sites.Hub.URL(): "KV_demo", sites.Leaf.URL(): "KV_m"} {
		js, err := jetstream.New(connectTo(t, url))
		if err != nil {
			t.Fatal(err)
		}
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "the consumers of "+stream+" are gone", func() bool {
			list := s.ListConsumers(t.Context())
			ours := 0
			for c := range list.Info() {
				if strings.HasPrefix(c.Name, "kvmirror-") {
					ours++
				}
			}
			return list.Err() == nil && ours == 0
		})
	}
}

// leftBehind is a hub and a leaf whose mirror m holds n messages that are gone at
// its origin, and 100 that are not.
func leftBehind(t *testing.T, n int) *lab.Sites {
	t.Helper()
	sites := mirrored(t, n)
	purgeOrigin(t, sites)
	js, err := jetstream.New(connectTo(t, sites.Hub.URL()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, err := js.Publish(t.Context(), fmt.Sprintf("$KV.demo.stays.%d", i), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	return sites
}

// However often a sweep is killed or interrupted, running it again ends it, and
// only what is left over goes.
func TestSweepKilled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		signal os.Signal
	}{{"killed", os.Kill}, {"interrupted", os.Interrupt}, {"terminated", syscall.SIGTERM}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sites := leftBehind(t, 10_000)
			random := rand.New(rand.NewPCG(4, uint64(len(test.name))))
			for range 6 {
				s := start(t, t.TempDir(), "sync", "m", "--content", "--force", "--server", sites.Leaf.URL(), "--no-context")
				// The second look comes after 2.5 s, and the purges after that.
				after := time.Duration(random.Int64N(int64(4 * time.Second)))
				code := s.signalAfter(t, after, test.signal)
				if code != 0 && code != -1 && (code != 1 || !strings.Contains(s.out.String(), "interrupted")) {
					t.Errorf("after %v: exit code %d\n%s", after, code, s.out.String())
				}
			}
			s := start(t, t.TempDir(), "sync", "m", "--content", "--force", "--server", sites.Leaf.URL(), "--no-context")
			if code := s.signalAfter(t, time.Minute, os.Kill); code != 0 {
				t.Errorf("the last run: exit code %d\n%s", code, s.out.String())
			}
			isProved(t, sites, 100)
		})
	}
}

// However often it is killed while a mirror is made anew, the mirror or its
// configuration is there, and running it again ends it.
func TestRecreateKilled(t *testing.T) {
	t.Parallel()
	sites := leftBehind(t, 2_000)
	cache := t.TempDir()
	random := rand.New(rand.NewPCG(4, 4))
	recreate := []string{"sync", "--recreate", "m", "--force", "--lose", "2000", "--server", sites.Leaf.URL(), "--no-context"}
	js, err := jetstream.New(connectTo(t, sites.Leaf.URL()))
	if err != nil {
		t.Fatal(err)
	}
	for run := range 8 {
		again := recreate
		if _, err := js.Stream(t.Context(), "KV_m"); errors.Is(err, jetstream.ErrStreamNotFound) {
			saved, err := filepath.Glob(filepath.Join(cache, appName, "m-*.json"))
			if err != nil || len(saved) == 0 {
				t.Fatalf("run %d: neither the mirror nor its configuration is there, %v", run, err)
			}
			again = []string{"sync", "--recreate", "m", "--config", saved[len(saved)-1], "--server", sites.Leaf.URL(), "--no-context"}
		}
		s := start(t, cache, again...)
		s.signalAfter(t, 2400*time.Millisecond+time.Duration(random.Int64N(int64(time.Second))), os.Kill)
	}
	args := recreate
	if _, err := js.Stream(t.Context(), "KV_m"); errors.Is(err, jetstream.ErrStreamNotFound) {
		saved, _ := filepath.Glob(filepath.Join(cache, appName, "m-*.json"))
		args = []string{"sync", "--recreate", "m", "--config", saved[len(saved)-1], "--server", sites.Leaf.URL(), "--no-context"}
	}
	s := start(t, cache, args...)
	if code := s.signalAfter(t, time.Minute, os.Kill); code != 0 {
		t.Errorf("the last run: exit code %d\n%s", code, s.out.String())
	}
	if !hasTTL(t, sites.Leaf.URL(), "m") {
		t.Error("the configuration was not kept")
	}
	isProved(t, sites, 100)
}

// The questions are asked, and a "no" changes nothing.
func TestContentPrompts(t *testing.T) {
	t.Parallel()
	sites := leftBehind(t, 3)
	holds := func(n uint64) {
		t.Helper()
		js, err := jetstream.New(connectTo(t, sites.Leaf.URL()))
		if err != nil {
			t.Fatal(err)
		}
		s, err := js.Stream(t.Context(), "KV_m")
		if err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "the mirror holds its messages", func() bool {
			info, err := s.Info(t.Context())
			return err == nil && info.State.Msgs == n
		})
	}
	answer := func(keys string, want int, question string, args ...string) string {
		t.Helper()
		p := sitDown(t, sites.Leaf.URL(), args...)
		p.isAsked(question)
		p.types(keys)
		if code := p.leaves(); code != want {
			t.Errorf("%v: exit code %d:\n%s", args, code, p.shown())
		}
		return p.shown()
	}
	if shown := answer("n\r", 0, "Really purge 3 messages from 1 mirror?", "sync", "m", "--content"); !strings.Contains(shown, "Nothing was purged") {
		t.Errorf("after no:\n%s", shown)
	}
	answer("\x03", 1, "Really purge 3 messages from 1 mirror?", "sync", "m", "--content")
	// What would be lost is asked about even with --force.
	answer("n\r", 0, "Really delete bucket m and lose 3 messages?", "sync", "--recreate", "m", "--force")
	holds(103)
	if shown := answer("y\r", 0, "Really purge 3 messages from 1 mirror?", "sync", "m", "--content"); !strings.Contains(shown, "3 messages purged; it holds what its origin holds") {
		t.Errorf("after yes:\n%s", shown)
	}
	holds(100)
	answer("n\r", 0, "Really delete bucket m and create it again?", "sync", "--recreate", "m")
	if shown := answer("y\r", 0, "Really delete bucket m and create it again?", "sync", "--recreate", "m"); !strings.Contains(shown, "m: recreated: it holds what its origin holds") {
		t.Errorf("after yes:\n%s", shown)
	}
	holds(100)
}

// Whoever changes the mirror while the question is asked is not overwritten.
func TestContentChangedWhileAsking(t *testing.T) {
	t.Parallel()
	sites := leftBehind(t, 3)
	p := sitDown(t, sites.Leaf.URL(), "sync", "--recreate", "m", "--force")
	p.isAsked("Really delete bucket m and lose 3 messages?")
	if o := runJSON(t, t.Context(), "edit", "m", "--description", "changed", "--force", "--server", sites.Leaf.URL()); o.code != 0 {
		t.Fatal(o)
	}
	p.types("y\r")
	if code := p.leaves(); code != 1 || !strings.Contains(p.shown(), `somebody else has changed bucket "m" meanwhile`) {
		t.Errorf("exit code %d:\n%s", code, p.shown())
	}
}

// A purge whose answers are lost is judged by the second comparison.
func TestSweepAnswersLost(t *testing.T) {
	t.Parallel()
	sites := leftBehind(t, 20)
	p, err := lab.NewProxy(sites.Leaf.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	var purges sync.Map
	p.SetHook(func(m lab.Message) lab.Verdict {
		if m.Direction == lab.ToServer && strings.Contains(m.Subject, "STREAM.PURGE") {
			purges.Store(m.Reply, true)
		}
		if _, isPurge := purges.Load(m.Subject); isPurge && m.Direction == lab.ToClient {
			return lab.Drop
		}
		return lab.Pass
	})
	o := runFleet(t, t.Context(), "sync", "m", "--content", "--force", "--timeout", (2 * brief).String(), "--server", p.URL())
	o.mustBe(t, 0, render.Updated, "")
	isProved(t, sites, 100)
}

// When the new mirror is refused after the old one was deleted, the old one is
// created again; when nothing can be created, its configuration is on disk, with
// the command that creates it.
func TestRecreateRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		refuses func(request []byte) bool
		restore bool
		says    string
	}{
		{"the new one", func(request []byte) bool { return bytes.Contains(request, []byte("$KV.demo.stays")) }, false, `bucket "m" was created again as it was, because the server refused the new one`},
		{"both", func([]byte) bool { return true }, true, `bucket "m" was deleted and could not be created again`},
	} {
		t.Run(test.name, func(t *testing.T) {
			sites := leftBehind(t, 0)
			cache := t.TempDir()
			t.Setenv("XDG_CACHE_HOME", cache)
			refusing(t, sites.Leaf.URL(), func(subject string, request []byte) bool {
				return strings.HasPrefix(subject, "STREAM.CREATE") && test.refuses(request)
			}, func(string, map[string]any) {})
			o := runFleet(t, t.Context(), "sync", "--recreate", "m", "--filter", "stays.>", "--force", "--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API")
			o.mustBe(t, 1, render.Failed, kindRejected)
			if o.fleet.Error == nil || !strings.Contains(o.fleet.Error.Message, test.says) {
				t.Fatalf("it says %+v", o.fleet.Error)
			}
			saved, err := filepath.Glob(filepath.Join(cache, appName, "m-*.json"))
			if err != nil || (len(saved) == 1) != test.restore {
				t.Fatalf("saved are %q, %v", saved, err)
			}
			if test.restore {
				if want := fmt.Sprintf("`%s sync --recreate m --config %s` creates it again", appName, saved[0]); !strings.Contains(o.fleet.Error.Hint, want) {
					t.Errorf("the hint is %q", o.fleet.Error.Hint)
				}
				o := runFleet(t, t.Context(), "sync", "--recreate", "m", "--config", saved[0], "--server", sites.Leaf.URL())
				o.mustBe(t, 0, render.Recreated, "")
			}
			isProved(t, sites, 100)
		})
	}
}
