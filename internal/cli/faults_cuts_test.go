//go:build faults

package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nats-kvmirror/internal/natstest"
)

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
// command ends in time, says what is so, writes nothing twice, and leaves nothing
// behind.
func TestFaultsCuts(t *testing.T) {
	sampled := sampler()
	st := newTestSites(t)
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	type uncut struct {
		took   time.Duration
		passed map[natstest.Direction]int
	}
	commands := append(readScenarios(), writeScenarios(st)...)
	whole := make([]uncut, len(commands))
	for i, w := range commands {
		wg.Go(func() {
			r, k := runCut(t, st, w, cut{at: -1}, 0)
			whole[i] = uncut{r.took, k.seen}
		})
	}
	wg.Wait()
	for i, w := range commands {
		for _, direction := range []natstest.Direction{natstest.ToServer, natstest.ToClient} {
			n := whole[i].passed[direction]
			for at := range n {
				for _, down := range []bool{false, true} {
					if !sampled() {
						continue
					}
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

// runCut runs a command that takes so long when nothing is cut.
func runCut(t *testing.T, st *testSites, w scenario, c cut, whole time.Duration) (result, *cutter) {
	const timeout = 3 * time.Second
	bucket := st.name()
	w.prepare(t, st, bucket)
	defer st.drop(t, w, bucket)
	before := readStream(t, st.leaf, w.target(bucket))
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

	after := readStream(t, st.leaf, w.target(bucket))
	wrong := func(format string, a ...any) {
		t.Errorf("%s, %v: exit code %d, action %q, %v: "+format+"\n%s%s", append(append([]any{w.name, c, r.code, r.action, r.took}, a...), r.stderr, r.says())...)
	}
	if !k.when.IsZero() {
		if took, limit := ended.Sub(k.when), timeout+time.Second+whole; took > limit+slack {
			wrong("it ended %v after the cut, want %v at most", took, limit)
		}
	}
	w.verify(before, after, r, wrong)
	for write, n := range k.sent {
		if n > 1 && !strings.Contains(write, "-probe-") {
			wrong("%q was sent %d times", write, n)
		}
	}
	waitForNoOrphans(t, st, w, bucket, wrong)
	w.rerun(t, st, bucket, wrong)
	return r, k
}
