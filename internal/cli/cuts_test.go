package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nats-kvmirror/internal/natstest"
	"nats-kvmirror/internal/render"
)

// allReads are the commands that change nothing.
func allReads() []written {
	connected := func(t *testing.T, st *scene, bucket string) { st.mirror(t, bucket, "demo") }
	sound := func(t *testing.T, st *scene, bucket string) {
		connected(t, st, bucket)
		st.change(t, bucket, st.config(t, bucket), "allow_msg_ttl")
	}
	differs := func(t *testing.T, st *scene, bucket string) { st.leftOver(t, bucket) }
	read := func(name string, prepare func(*testing.T, *scene, string), args ...string) written {
		return written{
			name: name, prepare: prepare, args: func(b string) []string { return append(slices.Clone(args), b) },
			applied: func(truth, truth) bool { return false },
			halfway: func(truth, truth, result) string { return "" },
		}
	}
	ls := read("ls", connected, "ls")
	ls.args = func(string) []string { return []string{"ls"} }
	return []written{
		read("info", connected, "info"), ls, read("check", sound, "check"),
		read("check --content", differs, "check", "--content"),
	}
}

// cut is where a run loses its connection.
type cut struct {
	direction natstest.Direction
	at        int  // in place of this message, from 0
	down      bool // it does not come back
}

func (c cut) String() string {
	side, back := "request", "and comes back"
	if c.direction == natstest.ToClient {
		side = "message"
	}
	if c.down {
		back = "for good"
	}
	return fmt.Sprintf("cut at %s %d %s", side, c.at, back)
}

// cutter cuts a run's connection and counts what passes.
type cutter struct {
	cut
	proxy  *natstest.Proxy
	writes []string

	mu   sync.Mutex
	seen map[natstest.Direction]int
	sent map[string]int
	when time.Time // of the cut
}

func (c *cutter) hook(m natstest.Message) natstest.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Direction == natstest.ToServer && m.Reply == "" {
		return natstest.Pass
	}
	if m.Direction == natstest.ToServer && slices.ContainsFunc(c.writes, func(w string) bool { return strings.Contains(m.Subject, w) }) {
		c.sent[m.Subject+" "+string(m.Payload)]++
	}
	n := c.seen[m.Direction]
	c.seen[m.Direction]++
	if m.Direction != c.direction || n != c.at {
		return natstest.Pass
	}
	c.when = time.Now()
	if c.down {
		c.proxy.Refuse(true)
	}
	return natstest.Cut
}

// A connection that is lost at any step of any command, for good or not: the
// command ends in time, says the truth, writes nothing twice, and leaves nothing
// behind.
func TestCutAtEveryStep(t *testing.T) {
	const atOnce = 96 // they mostly wait
	st := newScene(t)
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	type uncut struct {
		took   time.Duration
		passed map[natstest.Direction]int
	}
	commands := append(allReads(), allWrites(st)...)
	whole := make([]uncut, len(commands))
	for i, w := range commands {
		wg.Go(func() {
			r, k := runCut(t, st, w, cut{at: -1}, 0)
			whole[i] = uncut{r.took, k.seen}
		})
	}
	wg.Wait()
	for i, w := range commands {
		for direction, n := range whole[i].passed {
			for at := i % stride; at < n; at += stride {
				for _, down := range []bool{false, true} {
					slots <- struct{}{}
					wg.Go(func() {
						defer func() { <-slots }()
						runCut(t, st, w, cut{direction, at, down}, whole[i].took)
					})
				}
			}
		}
	}
	wg.Wait()
}

// slack is what a busy machine may add to the time that a command may take; one
// that hangs, or waits for a second timeout, takes longer.
const slack = 10 * time.Second

// runCut runs a command that takes so long when nothing is cut.
func runCut(t *testing.T, st *scene, w written, c cut, whole time.Duration) (result, *cutter) {
	const timeout = 3 * time.Second
	bucket := st.name()
	w.prepare(t, st, bucket)
	defer st.drop(t, w, bucket)
	before := look(t, st.leaf, w.target(bucket))
	p, err := natstest.NewProxy(st.Leaf.Addr())
	if err != nil {
		t.Error(err)
		return result{}, nil
	}
	defer p.Close()
	k := &cutter{cut: c, proxy: p, writes: w.writes, seen: map[natstest.Direction]int{}, sent: map[string]int{}}
	p.SetHook(k.hook)
	r := play(t, t.Context(), append(w.args(bucket), "--server", p.URL(), "--timeout", timeout.String())...)
	ended := time.Now()
	p.Close() // the hook is not called any more

	after := look(t, st.leaf, w.target(bucket))
	wrong := func(format string, a ...any) {
		t.Errorf("%s, %v: exit code %d, action %q, %v: "+format+"\n%s%s", append(append([]any{w.name, c, r.code, r.action, r.took}, a...), r.stderr, r.says())...)
	}
	if !k.when.IsZero() {
		if took, limit := ended.Sub(k.when), timeout+time.Second+whole; took > limit+slack {
			wrong("it ended %v after the cut, want %v at most", took, limit)
		}
	}
	w.judge(before, after, r, wrong)
	for write, n := range k.sent {
		if n > 1 {
			wrong("%q was sent %d times", write, n)
		}
	}
	waitForNoOrphans(t, st, w, bucket, wrong)
	w.again(t, st, bucket, wrong)
	return r, k
}

// waitForNoOrphans waits until no consumer of ours is left on what a run is about:
// where we cannot delete it, the server does when nobody has listened to
// it for ten seconds.
func waitForNoOrphans(t *testing.T, st *scene, w written, bucket string, wrong func(format string, a ...any)) {
	for deadline := time.Now().Add(longest); ; time.Sleep(pollInterval) {
		left := st.orphans(t, w, bucket)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			wrong("consumers are left: %q", left)
			return
		}
	}
}

// A connection that is lost for good after the write, while the command looks at
// what came of it or waits: it ends in time, and says what was written.
func TestCutAfterTheWrite(t *testing.T) {
	t.Parallel()
	st := newScene(t)
	// A mirror that does not get on.
	shim(t, st.Leaf.URL(), func(_ string, reply map[string]any) {
		if state, ok := reply["state"].(map[string]any); ok && config(reply)["mirror"] != nil {
			state["last_seq"], state["messages"] = 0, 3
			reply["mirror"] = map[string]any{"name": "KV_demo", "active": -1}
		}
	})
	for _, test := range []struct {
		name    string
		prepare func(*testing.T, *scene, string)
		args    []string
		write   string
		code    int
		action  render.Action
		kind    string
		says    string
	}{
		{"edit", func(t *testing.T, st *scene, b string) { st.leftOver(t, b) }, []string{"edit", "--force"}, "STREAM.UPDATE",
			0, render.Updated, "", "whether expired messages are left over on the mirror is not known"},
		{"add", func(*testing.T, *scene, string) {}, []string{"add", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "10m"}, "STREAM.CREATE",
			1, render.Failed, kindDisconnected, "was created, and cannot be read since"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bucket := st.name()
			test.prepare(t, st, bucket)
			p, err := natstest.NewProxy(st.Leaf.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			var mu sync.Mutex
			var cut time.Time
			looks := -1 // since the write, which is read back
			p.SetHook(func(m natstest.Message) natstest.Verdict {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case m.Direction != natstest.ToServer:
				case strings.Contains(m.Subject, test.write):
					looks = 0
				case looks >= 0 && strings.Contains(m.Subject, "STREAM.INFO.KV_"+bucket):
					if looks++; looks == 1 {
						return natstest.Pass
					}
					cut = time.Now()
					p.Refuse(true)
					return natstest.Cut
				}
				return natstest.Pass
			})
			args := append(slices.Clone(test.args), bucket, "--js-api-prefix", "FAKE.API", "--server", p.URL(), "--timeout", brief.String())
			o := runJSON(t, t.Context(), args...)
			ended := time.Now()
			p.Close() // the hook is not called any more
			o.mustBe(t, test.code, test.action, test.kind)
			said := strings.Join(o.report.Warnings, "\n")
			if o.report.Error != nil {
				said += o.report.Error.Message
			}
			if !strings.Contains(said, test.says) {
				t.Errorf("%q is not said in %q", test.says, said)
			}
			if took, limit := ended.Sub(cut), brief+time.Second; cut.IsZero() || took > limit+slack {
				t.Errorf("it ended %v after the cut, want %v at most", took, limit)
			}
		})
	}
}
