//go:build unix

package cli

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
	"nats-kvmirror/internal/mirror"
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

// isIdentical compares the mirror with its origin, bodies included, and waits until
// nobody's consumer is left.
func isIdentical(t *testing.T, sites *natstest.Sites, messages uint64) {
	t.Helper()
	o := runFleet(t, t.Context(), "check", "m", "--content", "--payload", "--server", sites.Leaf.URL())
	if o.code != 0 || o.fleet.Mirrors[0].Content.Verdict != content.Identical || o.fleet.Mirrors[0].Content.Compared != messages {
		t.Errorf("exit code %d, %+v", o.code, o.fleet.Mirrors)
	}
	for url, stream := range map[string]string{sites.Hub.URL(): "KV_demo", sites.Leaf.URL(): "KV_m"} {
		js, err := jetstream.New(connectTo(t, url), jetstream.WithDefaultTimeout(longest))
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
func leftBehind(t *testing.T, n int) *natstest.Sites {
	t.Helper()
	sites := mirrored(t, n)
	purgeOrigin(t, sites)
	js, err := jetstream.New(connectTo(t, sites.Hub.URL()), jetstream.WithDefaultTimeout(longest))
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

// scatteredBehind is leftBehind where the origin has kept its first message: what is left
// over is purged by key.
func scatteredBehind(t *testing.T, n int) *natstest.Sites {
	t.Helper()
	sites := mirrored(t, n)
	origin := purger(t, sites.Hub.URL(), "KV_demo")
	for i := 1; i < n; i++ {
		origin(fmt.Sprintf("$KV.demo.key.%d", i))
	}
	return sites
}

// purger is a function that purges subjects from a stream.
func purger(tb testing.TB, url, stream string) func(subject string) {
	tb.Helper()
	nc := connectTo(tb, url)
	return func(subject string) {
		tb.Helper()
		askAPI(tb, nc, "STREAM.PURGE."+stream, map[string]any{"filter": subject}, &struct{}{})
	}
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
			p := proxyTo(t, sites.Leaf)
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
	p := proxyTo(t, sites.Leaf)
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

// The questions are asked, and a "no" changes nothing.
func TestContentPrompts(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := leftBehind(t, 3)
	holds := func(n uint64) {
		t.Helper()
		js, err := jetstream.New(connectTo(t, sites.Leaf.URL()), jetstream.WithDefaultTimeout(longest))
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
		p := startOnTerminal(t, sites.Leaf.URL(), args...)
		p.isAsked(question)
		p.types(keys)
		if code := p.leaves(); code != want {
			t.Errorf("%v: exit code %d:\n%s", args, code, p.shown())
		}
		return p.shown()
	}
	if shown := answer("n\r", 0, "Really purge 3 messages from 1 mirror, of which 3 may be the last copies, gone at the origin without a trace?", "prune", "m"); !strings.Contains(shown, "Nothing was purged") {
		t.Errorf("after no:\n%s", shown)
	}
	answer("\x03", 1, "Really purge 3 messages from 1 mirror, of which 3 may be the last copies, gone at the origin without a trace?", "prune", "m")
	answer("n\r", 0, "Really delete bucket m and lose 3 messages?", "recreate", "m")
	holds(103)
	// With --force nothing is asked, and it is no consent to a loss.
	forced := startOnTerminal(t, sites.Leaf.URL(), "recreate", "m", "--force")
	if code := forced.leaves(); code != 1 || !strings.Contains(forced.shown(), "hint: to accept the loss, add --accept-loss 3") {
		t.Errorf("recreate --force: exit code %d:\n%s", code, forced.shown())
	}
	holds(103)
	if shown := answer("y\r", 0, "Really purge 3 messages from 1 mirror, of which 3 may be the last copies, gone at the origin without a trace?", "prune", "m"); !strings.Contains(shown, "3 messages purged; it has the sequences of its origin") {
		t.Errorf("after yes:\n%s", shown)
	}
	holds(100)
	answer("n\r", 0, "Really delete bucket m and create it again?", "recreate", "m")
	if shown := answer("y\r", 0, "Really delete bucket m and create it again?", "recreate", "m"); !strings.Contains(shown, "Bucket m was created again; it holds what its origin holds") {
		t.Errorf("after yes:\n%s", shown)
	}
	holds(100)
}

// A change of the mirror while the question is asked is not overwritten.
func TestContentChangedWhileAsking(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := leftBehind(t, 3)
	p := startOnTerminal(t, sites.Leaf.URL(), "recreate", "m")
	p.isAsked("Really delete bucket m and lose 3 messages?")
	if o := runJSON(t, t.Context(), "edit", "m", "--description", "changed", "--force", "--server", sites.Leaf.URL()); o.code != 0 {
		t.Fatal(o)
	}
	p.types("y\r")
	if code := p.leaves(); code != 1 || !strings.Contains(p.shown(), `somebody else has changed bucket "m" meanwhile`) {
		t.Errorf("exit code %d:\n%s", code, p.shown())
	}
}

// What a purge whose answers are lost has done is shown by the second comparison.
func TestPruneAnswersLost(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := leftBehind(t, 20)
	p := proxyTo(t, sites.Leaf)
	var purges sync.Map
	p.SetHook(func(m natstest.Message) natstest.Verdict {
		if m.Direction == natstest.ToServer && strings.Contains(m.Subject, "STREAM.PURGE") {
			purges.Store(m.Reply, true)
		}
		if _, isPurge := purges.Load(m.Subject); isPurge && m.Direction == natstest.ToClient {
			return natstest.Drop
		}
		return natstest.Pass
	})
	o := runFleet(t, t.Context(), "prune", "m", "--gone", "--force", "--timeout", (2 * brief).String(), "--server", p.URL())
	o.mustBe(t, 0, mirror.Updated, "")
	isIdentical(t, sites, 100)
}

// whenDeleted refuses creations once the mirror m was deleted, which nothing shows
// before.
func whenDeleted(refuses func(request []byte) bool) func(subject string, request []byte) bool {
	deleted := false
	return func(subject string, request []byte) bool {
		deleted = deleted || subject == "STREAM.DELETE.KV_m"
		return deleted && strings.HasPrefix(subject, "STREAM.CREATE") && refuses(request)
	}
}

// When the new mirror is refused after the old one was deleted, the old one is
// created again; when nothing can be created, its configuration is on disk, with
// the command that creates it.
func TestRecreateRefused(t *testing.T) {
	slow(t)
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
			refusing(t, sites.Leaf.URL(), whenDeleted(test.refuses), func(string, map[string]any) {})
			o := runJSON(t, t.Context(), "recreate", "m", "--filter", "stays.>", "--force", "--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API")
			o.mustBe(t, 1, mirror.Failed, mirror.ErrRejected)
			if o.report.Error == nil || !strings.Contains(o.report.Error.Message, test.says) {
				t.Fatalf("it says %+v", o.report.Error)
			}
			saved, err := filepath.Glob(filepath.Join(cache, appName, "m-*.json"))
			if err != nil || (len(saved) == 1) != test.restore {
				t.Fatalf("saved are %q, %v", saved, err)
			}
			if is := o.report.State; test.restore != (is == nil) {
				t.Errorf("the state of what is there is %+v", is)
			}
			if test.restore {
				if want := fmt.Sprintf("to create it again, run `%s recreate m --from-backup %s --js-api-prefix FAKE.API`", appName, saved[0]); !strings.Contains(o.report.Error.Hint, want) {
					t.Errorf("the hint is %q", o.report.Error.Hint)
				}
				o := runJSON(t, t.Context(), "recreate", "m", "--from-backup", saved[0], "--server", sites.Leaf.URL())
				o.mustBe(t, 0, mirror.Recreated, "")
			}
			isIdentical(t, sites, 100)
		})
	}
}
