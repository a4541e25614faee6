//go:build unix

package cli

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

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
	p := natstest.ProxyTo(t, sites.Leaf)
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
