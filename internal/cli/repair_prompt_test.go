//go:build unix

package cli

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"nats-kvmirror/internal/natstest"
)

func TestRepairAsks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, keys string
		code       int
		done       bool
		says       string
	}{
		{"yes", "y\r", 0, true, "m1: updated"},
		{"no", "n\r", 0, false, "Nothing was changed"},
		{"default is no", "\r", 0, false, "Nothing was changed"},
		{"ctrl-c", "\x03", 1, false, "interrupted, nothing was changed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sites, _ := plainMirrors(t, 2)
			p := startOnTerminal(t, sites.Leaf.URL(), "repair", "--all")
			p.waitsFor("2 mirrors: allow_msg_ttl false → true: m0, m1")
			p.waitsFor("cannot be turned off again; it is turned on for 2 mirrors")
			p.isAsked("Really repair 2 mirrors?")
			p.types(test.keys)
			if code := p.leaves(); code != test.code {
				t.Errorf("exit code %d, want %d:\n%s", code, test.code, p.shown())
			}
			if !strings.Contains(p.shown(), test.says) {
				t.Errorf("%q is not shown in:\n%s", test.says, p.shown())
			}
			for _, bucket := range []string{"m0", "m1"} {
				if got := hasTTL(t, sites.Leaf.URL(), bucket); got != test.done {
					t.Errorf("%s: per-key TTL is %t, want %t", bucket, got, test.done)
				}
			}
		})
	}
}

// Who says no to what was read is told all the same that not all was.
func TestRepairPartlyReadAndNo(t *testing.T) {
	t.Parallel()
	sites, _ := plainMirrors(t, 2)
	shim(t, sites.Leaf.URL(), func(subject string, reply map[string]any) {
		if streams, _ := reply["streams"].([]any); subject == "STREAM.LIST" && len(streams) == 2 {
			reply["streams"], reply["missing"] = streams[1:], []string{"KV_m0"}
		}
	})
	p := startOnTerminal(t, sites.Leaf.URL(), "repair", "--all", "--js-api-prefix", "FAKE.API")
	p.isAsked("Really repair 1 mirror?")
	p.types("n\r")
	if code := p.leaves(); code != 1 || !strings.Contains(p.shown(), "Nothing was changed") || !strings.Contains(p.shown(), "error: 1 part could not be read") {
		t.Errorf("exit code %d:\n%s", code, p.shown())
	}
}

// What becomes of the mirrors while the question stands is seen before anything
// is written: what was changed or deleted is left alone and said, the rest is
// done.
func TestRepairAfterAnotherEdit(t *testing.T) {
	t.Parallel()
	sites, _ := plainMirrors(t, 4)
	p := startOnTerminal(t, sites.Leaf.URL(), "repair", "--all")
	p.isAsked("Really repair 4 mirrors?")
	if code, _, errs := runText(t, t.Context(), "edit", "m0", "--description", "theirs", "-f", "--server", sites.Leaf.URL()); code != 0 {
		t.Fatalf("the other edit failed: %s", errs)
	}
	if code, _, errs := runText(t, t.Context(), "edit", "m1", "-f", "--server", sites.Leaf.URL()); code != 0 {
		t.Fatalf("the other edit failed: %s", errs)
	}
	if _, err := connectTo(t, sites.Leaf.URL()).Request("$JS.API.STREAM.DELETE.KV_m2", nil, longest); err != nil {
		t.Fatal(err)
	}
	p.types("y\r")
	if code := p.leaves(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, text := range []string{
		"m0: skipped: it was changed since the plan was shown; run the command again",
		"m1: skipped: it was changed since the plan was shown; run the command again",
		"m2: failed: request to \"$JS.API.STREAM.INFO.KV_m2\": not found",
		"m3: updated",
		"error: 1 of 4 mirrors changed, 1 failed, 2 left alone",
	} {
		if !strings.Contains(p.shown(), text) {
			t.Errorf("%q is not shown in:\n%s", text, p.shown())
		}
	}
	if hasTTL(t, sites.Leaf.URL(), "m0") || !hasTTL(t, sites.Leaf.URL(), "m3") {
		t.Error("the wrong ones were changed")
	}
}

// SIGTERM ends a command that waits for an answer.
func TestRepairTerminatedWhileAsking(t *testing.T) {
	t.Parallel()
	sites, _ := plainMirrors(t, 1)
	p := startOnTerminal(t, sites.Leaf.URL(), "repair", "m0")
	p.isAsked("Really repair 1 mirror?")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.leaves(); code != 1 || !strings.Contains(p.shown(), "interrupted, nothing was changed") {
		t.Errorf("exit code %d:\n%s", code, p.shown())
	}
	if hasTTL(t, sites.Leaf.URL(), "m0") {
		t.Error("the mirror was changed")
	}
}

// On a terminal there are colors, and a bar when the reading takes long.
func TestFleetOnTerminal(t *testing.T) {
	slow(t)
	t.Parallel()
	_, proxy := plainMirrors(t, 1)
	began := time.Now()
	quick := startOnTerminal(t, proxy.URL(), "ls")
	if code := quick.leaves(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	wasQuick := time.Since(began) < slowness
	if shown := quick.shown(); !strings.Contains(shown, "\x1b[31mcritical: ttl-off") || wasQuick && strings.Contains(shown, "Reading mirrors") {
		t.Errorf("a quick list shows:\n%q", shown)
	}

	// The answer comes when the bar is seen, and not before.
	var slow *ptySession
	seen := make(chan struct{})
	asked := make(chan struct{}, 10)
	proxy.SetHook(func(m natstest.Message) natstest.Verdict {
		if m.Direction == natstest.ToServer && strings.Contains(m.Subject, "STREAM.LIST") {
			asked <- struct{}{}
			<-seen
		}
		return natstest.Pass
	})
	slow = startOnTerminal(t, proxy.URL(), "check")
	<-asked
	slow.waitsFor("Reading mirrors")
	close(seen)
	if code := slow.leaves(); code != 2 {
		t.Errorf("exit code %d:\n%s", code, slow.shown())
	}
	if !strings.Contains(slow.shown(), "\x1b[31mCRITICAL\x1b[0m: 1 mirror in domain ksds: 1 critical") {
		t.Errorf("the result is not shown in:\n%s", slow.shown())
	}
}
