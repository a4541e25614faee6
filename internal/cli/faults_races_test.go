//go:build faults

package cli

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// Two who change a mirror at the same time. What the other one writes is never
// overwritten when it could be seen, and what he makes of ours is said.
func TestFaultsTwoEditors(t *testing.T) {
	const atOnce = 16
	st := newTestSites(t)
	edit := func(b string) []string { return []string{"edit", b, "--description", "mine", "--force"} }
	repair := func(b string) []string { return []string{"repair", b, "--force"} }
	update := func(m natstest.Message) bool { return strings.Contains(m.Subject, "STREAM.UPDATE") }
	info := func(m natstest.Message) bool { return strings.Contains(m.Subject, "STREAM.INFO.KV_run") }
	always := func(natstest.Message) bool { return true }
	kinds := []struct {
		name string
		args func(string) []string
		// when says with which request the other one writes, from 1, before it
		// arrives or, else, before its answer does. Only those from since on are
		// counted: how many reads come before a write depends on the time.
		since    func(natstest.Message) bool
		when     func(natstest.Message) bool
		nth      int
		answered bool
		stale    bool   // he writes what he read before us
		field    string // what he changes
		code     int
		kind     mirror.Kind
		says     string
		theirs   bool // his change is there afterwards
	}{
		{"edit: between the reads", edit, always, info, 2, false, false, "description", 1, mirror.ErrConflict, "somebody else has changed", true},
		{"edit: after the first read", edit, always, info, 1, true, false, "description", 1, mirror.ErrConflict, "somebody else has changed", true},
		{"edit: after the write, from an old copy", edit, update, info, 1, false, true, "description", 1, mirror.ErrConflict, `description is "theirs" and not "mine"`, true},
		{"edit: after the write, another field", edit, always, update, 1, true, false, "max_bytes", 0, "", "", true},
		{"edit: nothing can be seen", edit, always, update, 1, false, false, "description", 0, "", "", false},
		{"repair: after the list", repair, always, info, 2, false, false, "description", 1, mirror.ErrIncomplete, "", true},
		{"repair: after the write, another field", repair, always, update, 1, true, false, "description", 0, "", "", true},
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range scaled(1000) {
		k := kinds[i%len(kinds)]
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			bucket := st.name()
			st.mirror(t, bucket, "demo")
			defer st.drop(t, scenario{}, bucket)
			p, err := natstest.NewProxy(st.Leaf.Addr())
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			old := st.config(t, bucket)
			var counting atomic.Bool
			var seen atomic.Int32
			var reply atomic.Value
			var wrote atomic.Bool
			p.SetHook(func(m natstest.Message) natstest.Verdict {
				due := false
				if m.Direction == natstest.ToServer && k.since(m) {
					counting.Store(true)
				}
				if m.Direction == natstest.ToServer && counting.Load() && k.when(m) && int(seen.Add(1)) == k.nth {
					reply.Store(m.Reply)
					due = !k.answered
				}
				if inbox, ok := reply.Load().(string); ok && k.answered && m.Direction == natstest.ToClient && m.Subject == inbox {
					due = true
				}
				if due && wrote.CompareAndSwap(false, true) {
					config := st.config(t, bucket)
					for ; k.stale && string(config["description"]) != `"mine"` && t.Context().Err() == nil; config = st.config(t, bucket) {
						time.Sleep(time.Millisecond) // ours is on its way
					}
					if k.stale {
						config = old
					}
					st.change(t, bucket, config, k.field)
				}
				return natstest.Pass
			})
			// A question that is put again would be counted as well.
			r := play(t, t.Context(), append(k.args(bucket), "--server", p.URL(), "--timeout", "1m")...)
			p.SetHook(nil)
			wrong := func(format string, a ...any) {
				t.Errorf("%s: exit code %d, action %q: "+format+"\n%s", append(append([]any{k.name, r.code, r.action}, a...), r.stdout)...)
			}
			kind := mirror.Kind("")
			if r.failure != nil {
				kind = r.failure.Kind
			}
			if r.code != k.code || kind != k.kind || !strings.Contains(r.says(), k.says) {
				wrong("want %d, %q", k.code, k.kind)
			}
			if !wrote.Load() {
				wrong("the other one did not write")
			}
			now := st.config(t, bucket)
			if theirs := string(now[k.field]) == theirs[k.field]; theirs != k.theirs {
				wrong("%s is %s", k.field, now[k.field])
			}
			if k.code == exitOK && k.args(bucket)[0] == "edit" && string(now["description"]) != `"mine"` {
				wrong("ours is not there: %s", now["description"])
			}
		})
	}
	wg.Wait()
}

// turns makes two runs write one after the other, both having read before either
// writes, and the first look at what became of its write only after the second has
// written as well.
type turns struct {
	ctx      context.Context
	came     [2]chan struct{} // the write is on its way
	answered [2]chan struct{}
	reply    [2]atomic.Value // of the write
}

func newTurns(ctx context.Context) *turns {
	tt := &turns{ctx: ctx}
	for i := range 2 {
		tt.came[i], tt.answered[i] = make(chan struct{}), make(chan struct{})
	}
	return tt
}

func (tt *turns) waitFor(c chan struct{}) {
	select {
	case <-c:
	case <-tt.ctx.Done():
	}
}

// hook is that of the first run, 0, or of the second.
func (tt *turns) hook(i int) func(natstest.Message) natstest.Verdict {
	return func(m natstest.Message) natstest.Verdict {
		inbox, _ := tt.reply[i].Load().(string)
		switch {
		case m.Direction == natstest.ToClient && inbox != "" && m.Subject == inbox:
			close(tt.answered[i])
		case m.Direction == natstest.ToClient:
		case strings.Contains(m.Subject, "STREAM.UPDATE"):
			tt.reply[i].Store(m.Reply)
			close(tt.came[i])
			if i == 0 {
				tt.waitFor(tt.came[1])
			} else {
				tt.waitFor(tt.answered[0])
			}
		case inbox != "" && i == 0 && strings.Contains(m.Subject, "STREAM.INFO"):
			tt.waitFor(tt.answered[1])
		}
		return natstest.Pass
	}
}

// Two runs of ours that change different fields of a mirror at once: servers
// replace the whole configuration, so that one change is lost. Whose it is sees it,
// and says so.
func TestFaultsTwoRuns(t *testing.T) {
	const atOnce = 16
	st := newTestSites(t)
	type change struct {
		args         []string
		field, value string
	}
	describe := change{[]string{"edit", "--description", "mine"}, "description", `"mine"`}
	bound := change{[]string{"edit", "--max-bucket-size", "1048576"}, "max_bytes", "1048576"}
	fix := change{[]string{"repair"}, "allow_msg_ttl", "true"}
	pairs := [][2]change{{describe, bound}, {bound, describe}, {describe, fix}, {fix, describe}}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for n := range max(scaled(100), len(pairs)) {
		pair := pairs[n%len(pairs)]
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			bucket := st.name()
			st.mirror(t, bucket, "demo")
			defer st.drop(t, scenario{}, bucket)
			ctx, cancel := context.WithTimeout(t.Context(), longest)
			defer cancel()
			tt := newTurns(ctx)
			var results [2]result
			var both sync.WaitGroup
			for i, c := range pair {
				p, err := natstest.NewProxy(st.Leaf.Addr())
				if err != nil {
					t.Error(err)
					return
				}
				defer p.Close()
				p.SetHook(tt.hook(i))
				both.Go(func() {
					results[i] = play(t, t.Context(), append(slices.Clone(c.args), bucket, "--force", "--server", p.URL(), "--timeout", longest.String())...)
				})
			}
			both.Wait()
			now := st.config(t, bucket)
			lost := 0
			for i, c := range pair {
				r, there := results[i], string(now[c.field]) == c.value
				if there != (r.code == exitOK) || r.code != exitOK && r.code != exitFailed {
					t.Errorf("%q, write %d: exit code %d, action %q, and %s is %s\n%s", c.args, i, r.code, r.action, c.field, now[c.field], r.stdout)
				}
				if !there {
					lost++
				}
			}
			if lost != 1 {
				t.Errorf("%q and %q: %d changes are lost", pair[0].args, pair[1].args, lost)
			}
		})
	}
	wg.Wait()
}
