//go:build unix

package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
	"nats-kvmirror/internal/render"
)

func TestEditAsks(t *testing.T) {
	for _, test := range []struct {
		name, keys string
		code       int
		ttl        bool
		says       string
		flags      []string
	}{
		{"yes", "y\r", 0, true, "Per-Key TTL Supported: true", nil},
		{"no", "n\r", 0, false, "was not changed", nil},
		{"default is no", "\r", 0, false, "was not changed", nil},
		{"ctrl-c", "\x03", 1, false, "interrupted, nothing was changed", nil},
		{"quietly", "y\r", 0, true, "", []string{"-q"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sites := plainSites(t)
			p := startOnTerminal(t, sites.Leaf.URL(), append([]string{"edit", "plain"}, test.flags...)...)
			p.waitsFor("Differences (-old +new):")
			p.waitsFor("cannot be turned off again")
			p.isAsked("Really edit bucket plain?")
			p.types(test.keys)
			if code := p.leaves(); code != test.code {
				t.Errorf("exit code %d, want %d:\n%s", code, test.code, p.shown())
			}
			if !strings.Contains(p.shown(), test.says) {
				t.Errorf("%q is not shown in:\n%s", test.says, p.shown())
			}
			if quiet := !strings.Contains(p.shown(), "Information for"); test.flags != nil && !quiet {
				t.Errorf("more is shown than the question:\n%s", p.shown())
			}
			if got := hasTTL(t, sites.Leaf.URL(), "plain"); got != test.ttl {
				t.Errorf("per-key TTL is %t, want %t", got, test.ttl)
			}
		})
	}
}

// SIGTERM ends a command that waits for an answer, and the terminal gets its
// modes back.
func TestEditTerminatedWhileAsking(t *testing.T) {
	t.Parallel()
	sites := plainSites(t)
	p := startOnTerminal(t, sites.Leaf.URL(), "edit", "plain")
	p.isAsked("Really edit bucket plain?")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.leaves(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(p.shown(), "interrupted, nothing was changed") {
		t.Errorf("the interrupt is not said:\n%s", p.shown())
	}
	if hasTTL(t, sites.Leaf.URL(), "plain") {
		t.Error("the mirror was changed")
	}
}

// What somebody else does while the question stands is not overwritten.
func TestEditAfterAnotherEdit(t *testing.T) {
	t.Parallel()
	sites := plainSites(t)
	p := startOnTerminal(t, sites.Leaf.URL(), "edit", "plain", "--description", "mine")
	p.isAsked("Really edit bucket plain?")
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"edit", "plain", "--description", "theirs", "-f", "--server", sites.Leaf.URL(), "--no-context"}, Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != 0 {
		t.Fatalf("the other edit failed: %s", errs.String())
	}
	p.types("y\r")
	if code := p.leaves(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(p.shown(), "somebody else has changed bucket \"plain\" meanwhile, nothing was written") {
		t.Errorf("the conflict is not said:\n%s", p.shown())
	}
}

func TestPromoteAsks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, keys string
		code       int
		promoted   bool
		says       string
	}{
		{"yes", "y\r", 0, true, "Information for Key-Value Store Bucket demo"},
		{"no", "n\r", 0, false, "Bucket demo was not changed"},
		{"default is no", "\r", 0, false, "Bucket demo was not changed"},
		{"ctrl-c", "\x03", 1, false, "interrupted, nothing was changed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := lostOrigin(t).Leaf.URL()
			p := startOnTerminal(t, url, "promote", "demo")
			p.waitsFor("Differences (-old +new):")
			p.waitsFor("this cannot be undone")
			p.waitsFor("that has to be turned off for KV_plain")
			p.isAsked("Really promote bucket demo? It cannot be undone")
			p.types(test.keys)
			if code := p.leaves(); code != test.code {
				t.Errorf("exit code %d, want %d:\n%s", code, test.code, p.shown())
			}
			if !strings.Contains(p.shown(), test.says) {
				t.Errorf("%q is not shown in:\n%s", test.says, p.shown())
			}
			o := runJSON(t, t.Context(), "info", "demo", "--server", url)
			if promoted := o.report.Origin == nil; promoted != test.promoted {
				t.Errorf("promoted is %t, want %t", promoted, test.promoted)
			}
			// What stands in the way is not touched before the answer.
			o = runJSON(t, t.Context(), "info", "plain", "--server", url)
			if c, err := o.report.Config.Config(); err != nil || c.MirrorDirect == test.promoted {
				t.Errorf("plain's mirror_direct is %t, %v", c.MirrorDirect, err)
			}
		})
	}
}

// What happens while the question stands counts: a mirror that was changed, and
// an origin that is back.
func TestPromoteAfterAsking(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		happens func(t *testing.T, sites *natstest.Sites)
		says    string
	}{
		{"changed", func(t *testing.T, sites *natstest.Sites) {
			runJSON(t, t.Context(), "edit", "demo", "--description", "theirs", "-f", "--server", sites.Leaf.URL()).mustBe(t, 0, mirror.Updated, "")
		}, "somebody else has changed bucket \"demo\" meanwhile, nothing was written"},
		{"back", func(t *testing.T, sites *natstest.Sites) {
			keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo"})
		}, "answers again"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sites := lostOrigin(t)
			p := startOnTerminal(t, sites.Leaf.URL(), "promote", "demo")
			p.isAsked("Really promote bucket demo?")
			test.happens(t, sites)
			p.types("y\r")
			if code := p.leaves(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if !strings.Contains(p.shown(), test.says) {
				t.Errorf("%q is not shown in:\n%s", test.says, p.shown())
			}
			if o := runJSON(t, t.Context(), "info", "demo", "--server", sites.Leaf.URL()); o.report.Origin == nil {
				t.Error("the mirror was promoted")
			}
		})
	}
}

// A link that comes back while the question stands is seen at the mirror where the
// origin cannot be read.
func TestPromoteLinkBackAfterAsking(t *testing.T) {
	slow(t)
	t.Parallel()
	sites, link, err := natstest.HubAndLeafVia()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo"})
	runJSON(t, t.Context(), "add", "--mirror", "demo", "--mirror-domain", "hub", "--server", sites.Leaf.URL()).mustBe(t, 0, mirror.Created, "")
	leaf := connectTo(t, sites.Leaf.URL())
	active := func(since time.Time) func() bool {
		return func() bool {
			asked := time.Now()
			is := readStream(t, leaf, "demo")
			return is.connected() && asked.Add(-is.Mirror.Active).After(since)
		}
	}
	waitUntil(t, "the mirror's link to its origin is active", active(time.Time{}))
	link.Refuse(true)
	link.CutAll()
	client := natstest.ProxyTo(t, sites.Leaf)

	p := startOnTerminal(t, client.URL(), "promote", "demo")
	p.isAsked("Really promote bucket demo?")
	client.SetHook(func(m natstest.Message) natstest.Verdict {
		if m.Direction == natstest.ToServer && strings.HasPrefix(m.Subject, "$JS.hub.API.STREAM.INFO.") {
			return natstest.Drop
		}
		return natstest.Pass
	})
	link.Refuse(false)
	waitUntil(t, "the mirror's link to its origin is active again", active(time.Now()))
	p.types("y\r")
	if code := p.leaves(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(p.shown(), "the mirror's link to it is active again") {
		t.Errorf("it says\n%s", p.shown())
	}
	if readStream(t, leaf, "demo").Mirror == nil {
		t.Error("the mirror was promoted")
	}
}

func TestInfoSelects(t *testing.T) {
	t.Parallel()
	sites := plainSites(t)
	keyValue(t, sites.Leaf.URL(), jetstream.KeyValueConfig{Bucket: "nomirror"})
	keyValue(t, sites.Leaf.URL(), jetstream.KeyValueConfig{Bucket: "second", Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}})
	p := startOnTerminal(t, sites.Leaf.URL(), "info")
	p.waitsFor("Select a Bucket")
	p.waitsFor("second")
	if strings.Contains(p.shown(), "nomirror") {
		t.Error("a bucket that is no mirror is offered")
	}
	p.press("\x1b[B\r")
	if code := p.leaves(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if !strings.Contains(p.shown(), "Information for Key-Value Store Bucket second") {
		t.Errorf("the chosen bucket is not shown:\n%s", p.shown())
	}
}

func TestAddWaitsWithBar(t *testing.T) {
	t.Parallel()
	sites := plainSites(t)
	kv := keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second})
	for i := range 50 {
		if _, err := kv.PutString(t.Context(), fmt.Sprintf("key%d", i), "value"); err != nil {
			t.Fatal(err)
		}
	}
	p := startOnTerminal(t, sites.Leaf.URL(), "add", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "1m")
	if code := p.leaves(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.shown())
	}
	for _, text := range []string{"Waiting for demo", "[50 in ", "Values Stored: 50"} {
		if !strings.Contains(p.shown(), text) {
			t.Errorf("%q is not shown in:\n%s", text, p.shown())
		}
	}
}

// A bar that is stopped is stopped, however soon: nothing is drawn after it.
func TestBarStops(t *testing.T) {
	slow(t)
	t.Parallel()
	ours, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ours.Close(), tty.Close() })
	go func() { _, _ = io.Copy(io.Discard, ours) }()
	rt := &runtime{Streams: Streams{Err: tty}}
	for range 300 {
		b := newBar(rt, barStyle(render.Style{}), "m")
		go b.draw()
		b.at(1, 2)
		b.stop()
		if b.writer.IsRenderInProgress() {
			t.Fatal("the bar is drawn after it was stopped")
		}
	}
	slow := later(newBar(rt, barStyle(render.Style{}), "m"))
	slow.stop()
	if slow.writer.IsRenderInProgress() {
		t.Error("a bar is drawn that was stopped before it began")
	}
}
