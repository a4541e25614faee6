package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestMain checks that the demos leave no file behind.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "demo-test-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		for name, value := range map[string]string{"TMPDIR": dir, "LLMFORMAT": "", "NATS_TABLE_FORMAT": ""} {
			if err := os.Setenv(name, value); err != nil {
				panic(err)
			}
		}
		code := m.Run()
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			fmt.Fprintln(os.Stderr, "left behind:", left, err)
			return 1
		}
		return code
	}())
}

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

// options are those of a demo whose commands do what the real ones do, as far as
// the story needs it.
func options(out io.Writer) Options {
	return Options{Out: out, Program: "kvm", Run: func(ctx context.Context, server string, args ...string) error {
		nc, err := nats.Connect(server)
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "output of %s\n", args[0])
		switch command := strings.Join(args, " "); command {
		case "add ours --mirror demo --mirror-domain hub":
			_, err = js.CreateStream(ctx, jetstream.StreamConfig{
				Name: "KV_ours", MaxMsgsPerSubject: 1, AllowDirect: true, AllowMsgTTL: true,
				Mirror: &jetstream.StreamSource{Name: "KV_demo", Domain: "hub"},
			})
			return err
		case "edit plain --force":
			plain, err := js.Stream(ctx, "KV_plain")
			if err != nil {
				return err
			}
			config := plain.CachedInfo().Config
			config.AllowMsgTTL = true
			_, err = js.UpdateStream(ctx, config)
			return err
		default:
			return fmt.Errorf("unknown command: %s", command)
		}
	}}
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

func TestPlay(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for TTLs")
	}
	t.Parallel()
	var out screen
	var created, counted time.Time
	create := screen{cue: "nats kv create demo ticket", act: func() { created = time.Now() }}
	count := screen{cue: "messages: ", act: func() { counted = time.Now() }}
	if err := Play(t.Context(), options(io.MultiWriter(&out, &create, &count))); err != nil {
		t.Error(err)
	}
	wantToShrink(t, out.String(), counted.Sub(created) < keyTTL)
	wantLines(t, out.String(),
		`1\. The origin.*`,
		`hub\$ nats kv add demo --marker-ttl 2s`,
		`2\. Two mirrors.*`,
		`leaf\$ nats kv add plain --mirror demo --mirror-domain hub`,
		`leaf\$ kvm add ours --mirror demo --mirror-domain hub`,
		`output of add`,
		`3\. .*`,
		`│ allow_msg_ttl +│ true +│ false +│ true +│`,
		`│ subject_delete_marker_ttl +│ 2s +│ none +│ none +│`,
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
		`The origin is empty, ours is empty, and plain keeps 3 markers forever\.`,
		`7\. .*`,
		`leaf\$ kvm edit plain --force`,
		`output of edit`,
		`│ Per-Key TTL before +│ true +│ false +│ true +│`,
		`│ Per-Key TTL now +│ true +│ true +│ true +│`,
		`│ Values stored before +│ 0 +│ 3 +│ 0 +│`,
		`│ Values stored now +│ 0 +│ 0 +│ 0 +│`,
		`│ Bucket size before +│ 0 B +│ [1-9]\d* B +│ 0 B +│`,
		`│ Bucket size now +│ 0 B +│ 0 B +│ 0 B +│`,
		`plain follows its origin now.*`,
	)
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

// longestEnd is how long an interrupted demo may take to stop its servers.
const longestEnd = 10 * time.Second

func TestPlayInterrupted(t *testing.T) {
	for _, cue := range []string{
		"", // before it begins
		"Two servers",
		"leaf$ kvm add ours",
		"\n5. ",
		"s   messages: demo ",
	} {
		t.Run(cue, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var interrupted time.Time
			out := screen{cue: cue, act: func() { interrupted = time.Now(); cancel() }}
			if cue == "" {
				out.act()
			}
			o := options(&out)
			o.Keep = true
			if err := Play(ctx, o); !errors.Is(err, context.Canceled) || interrupted.IsZero() {
				t.Errorf("%v, interrupted: %v\n%s", err, !interrupted.IsZero(), &out)
			}
			if took := time.Since(interrupted); took > longestEnd {
				t.Errorf("it took %v to end", took)
			}
		})
	}
}

func TestPlayCommandFails(t *testing.T) {
	t.Parallel()
	o := options(io.Discard)
	failure := errors.New("failed with exit code 1")
	var at string
	o.Run = func(_ context.Context, server string, _ ...string) error {
		at = server
		return failure
	}
	err := Play(t.Context(), o)
	const want = "step 2 of the demo: `kvm add ours --mirror demo --mirror-domain hub` failed with exit code 1"
	if !errors.Is(err, failure) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if nc, err := nats.Connect(at); err == nil {
		nc.Close()
		t.Error("the leaf is running after the demo")
	}
}

func TestPlayWriteFails(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	failure := errors.New("reader is gone")
	if err := r.CloseWithError(failure); err != nil {
		t.Fatal(err)
	}
	o := options(w)
	o.Run = nil // not reached
	if err := Play(t.Context(), o); !errors.Is(err, failure) {
		t.Error(err)
	}
}
