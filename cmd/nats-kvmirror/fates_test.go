package main

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/lab"
	"nats-kvmirror/internal/render"
)

var (
	fates     = flag.Int("fates", rounds, "how many writes of TestRandomFates go wrong")
	fatesSeed = flag.Uint64("fates-seed", 1, "what TestRandomFates begins its dice with")
)

// written is a command that writes, and how it is found out, from the server
// itself, what became of the write.
type written struct {
	name   string
	weight int // of so many runs in twenty
	// prepare makes what the run needs.
	prepare func(t *testing.T, st *scene, bucket string)
	args    func(bucket string) []string
	// writes are parts of the subjects of the requests that write.
	writes []string
	done   render.Action
	// applied says whether what is there is what the command is for.
	applied func(before, after truth) bool
	// halfway is what the message of a failure says when something was changed
	// all the same, by what is there.
	halfway func(before, after truth, r result) string
}

// allWrites are the commands that write.
func allWrites() []written {
	none := func(*testing.T, *scene, string) {}
	plain := func(t *testing.T, st *scene, bucket string) { st.mirror(t, bucket, "demo") }
	hasTTL := func(_, after truth) bool { return after.there && after.Config.TTL }
	nothing := func(before, after truth, _ result) string { return "" }
	return []written{
		{
			"add", 4, none,
			func(b string) []string { return []string{"add", b, "--mirror", "demo", "--mirror-domain", "hub"} },
			[]string{"STREAM.CREATE"}, render.Created, hasTTL, nothing,
		},
		{
			"edit", 4, plain,
			func(b string) []string { return []string{"edit", b, "--force"} },
			[]string{"STREAM.UPDATE"}, render.Updated, hasTTL, nothing,
		},
		{
			"edit, taking away", 2, func(t *testing.T, st *scene, bucket string) {
				plain(t, st, bucket)
				st.change(t, bucket, st.config(t, bucket), "description")
			},
			func(b string) []string { return []string{"edit", b, "--description", "", "--force"} },
			[]string{"STREAM.UPDATE"}, render.Updated,
			func(_, after truth) bool { return after.there && after.Config.Description == "" }, nothing,
		},
		{
			"sync", 4, plain,
			func(b string) []string { return []string{"sync", b, "--force"} },
			[]string{"STREAM.UPDATE"}, render.Updated, hasTTL, nothing,
		},
		{
			"sync --content", 2, func(t *testing.T, st *scene, bucket string) { st.leftOver(t, bucket) },
			func(b string) []string { return []string{"sync", b, "--content", "--force"} },
			[]string{"STREAM.PURGE"}, render.Updated,
			func(_, after truth) bool { return after.State.Msgs == 1 },
			func(_, after truth, _ result) string {
				if after.State.Msgs == 1 {
					return "1 message purged"
				}
				return ""
			},
		},
		{
			"sync --recreate", 2, func(t *testing.T, st *scene, bucket string) { st.origin(t, bucket); st.mirror(t, bucket, bucket) },
			func(b string) []string { return []string{"sync", "--recreate", b, "--force"} },
			[]string{"STREAM.DELETE", "STREAM.CREATE"}, render.Recreated,
			func(before, after truth) bool {
				return after.there && !after.Created.Equal(before.Created) && after.Config.TTL
			},
			func(before, after truth, _ result) string {
				switch {
				case !after.there:
					return "was deleted"
				case !after.Created.Equal(before.Created):
					return "was created again"
				}
				return ""
			},
		},
		{
			"promote", 2, func(t *testing.T, st *scene, bucket string) {
				st.origin(t, bucket)
				st.mirror(t, bucket, bucket)
				askAPI(t, st.hub, "STREAM.DELETE.KV_"+bucket, nil, &struct{}{})
			},
			func(b string) []string { return []string{"promote", b, "--force"} },
			[]string{"STREAM.UPDATE"}, render.Promoted,
			func(_, after truth) bool { return after.there && after.Mirror == nil }, nothing,
		},
	}
}

// dice are what chance does to the messages of one run.
type dice struct {
	st     *scene
	writes []string
	late   sync.WaitGroup // writes that arrive late

	mu      sync.Mutex
	rand    *rand.Rand
	timeout time.Duration
	strikes int // the how manieth write is struck
	seen    int // writes so far
	losing  int // of a hundred reads after the write, so many are lost
	lost    map[string]bool
	sent    map[string]int // how often each write was sent, by subject and body
}

func newDice(st *scene, writes []string, seed, run uint64, timeout time.Duration) *dice {
	r := rand.New(rand.NewPCG(seed, run))
	return &dice{
		st: st, writes: writes, rand: r, timeout: timeout, strikes: 1 + r.IntN(len(writes)),
		losing: []int{0, 0, 30, 60, 100}[r.IntN(5)], lost: map[string]bool{}, sent: map[string]int{},
	}
}

// hook decides about a message.
func (d *dice) hook(m lab.Message) lab.Verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.Direction == lab.ToClient {
		if d.lost[m.Subject] {
			return lab.Drop
		}
		return lab.Pass
	}
	if m.Reply == "" || !strings.Contains(m.Subject, ".API.") {
		return lab.Pass
	}
	if slices.ContainsFunc(d.writes, func(w string) bool { return strings.Contains(m.Subject, w) }) {
		d.sent[m.Subject+" "+string(m.Payload)]++
		if d.seen++; d.seen == d.strikes {
			return d.strike(m)
		}
		return lab.Pass
	}
	// Reads before the write are seldom lost: then there is nothing to know.
	losing := 1
	if d.seen >= d.strikes {
		losing = d.losing
	}
	if d.rand.IntN(100) >= losing {
		return lab.Pass
	}
	if d.rand.IntN(2) == 0 {
		return lab.Drop
	}
	d.lost[m.Reply] = true
	return lab.Pass
}

// strike is what becomes of the write.
func (d *dice) strike(m lab.Message) lab.Verdict {
	switch d.rand.IntN(6) {
	case 0:
		return lab.Drop
	case 1:
		return lab.Cut
	case 2:
		after, answered := time.Duration(d.rand.Int64N(int64(3*d.timeout))), d.rand.IntN(2) == 0
		d.late.Go(func() { d.deliver(m, after, answered) })
		return lab.Drop
	case 3: // it is done, and all goes well
		return lab.Pass
	}
	d.lost[m.Reply] = true
	return lab.Pass
}

// deliver brings a write to the server late.
func (d *dice) deliver(m lab.Message, after time.Duration, answered bool) {
	time.Sleep(after)
	late := &nats.Msg{Subject: m.Subject, Data: m.Payload}
	if len(m.Header) > 0 {
		if h, err := nats.DecodeHeadersMsg(m.Header); err == nil {
			late.Header = h
		}
	}
	answer, err := d.st.leaf.RequestMsg(late, longest)
	if err == nil && answered {
		_ = d.st.leaf.Publish(m.Reply, answer.Data)
	}
}

// Whatever is lost on the way, of the write itself, of its answer, and of the
// reads that follow: what the command says of the write is true.
func TestRandomFates(t *testing.T) {
	const atOnce = 48 // they mostly wait
	st := newScene(t)
	var jobs []written
	for _, w := range allWrites() {
		for range *fates * w.weight / 20 {
			jobs = append(jobs, w)
		}
	}
	rand.New(rand.NewPCG(*fatesSeed, 0)).Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })

	var mu sync.Mutex
	verdicts := map[string]map[int]int{}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, w := range jobs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r := runFate(t, st, w, uint64(i+1))
			mu.Lock()
			defer mu.Unlock()
			if verdicts[w.name] == nil {
				verdicts[w.name] = map[int]int{}
			}
			verdicts[w.name][r.code]++
		})
	}
	wg.Wait()
	all := map[int]int{} // of one command there may be few, and a slow machine does little in time
	for _, w := range allWrites() {
		v := verdicts[w.name]
		t.Logf("%-16s done %3d, failed %3d, unknown %3d", w.name, v[exitOK], v[exitFailed], v[exitUnknown])
		for code, n := range v {
			all[code] += n
		}
	}
	if all[exitOK] == 0 || all[exitUnknown] == 0 {
		t.Errorf("the dice have shown too little: %v", all)
	}
}

// runFate runs a command once under dice and compares what it says with what is
// there.
func runFate(t *testing.T, st *scene, w written, run uint64) result {
	const timeout = brief
	bucket := st.name()
	w.prepare(t, st, bucket)
	defer st.drop(t, bucket)
	before := look(t, st.leaf, bucket)
	p, err := lab.NewProxy(st.Leaf.Addr())
	if err != nil {
		t.Error(err)
		return result{}
	}
	defer p.Close()
	d := newDice(st, w.writes, *fatesSeed, run, timeout)
	p.SetHook(d.hook)
	r := play(t, t.Context(), append(w.args(bucket), "--server", p.URL(), "--timeout", timeout.String())...)
	d.late.Wait()
	after := look(t, st.leaf, bucket)

	wrong := func(format string, a ...any) {
		t.Errorf("%s, run %d: exit code %d, action %q: "+format+"\n%s", append(append([]any{w.name, run, r.code, r.action}, a...), r.stderr)...)
	}
	w.judge(before, after, r, wrong)
	for write, n := range d.sent {
		if n > 1 {
			wrong("%q was sent %d times", write, n)
		}
	}
	return r
}

// judge compares what a run says with what is there.
func (w written) judge(before, after truth, r result, wrong func(format string, a ...any)) {
	if len(w.writes) == 0 {
		if after.Config != before.Config || !after.Created.Equal(before.Created) || after.State.Msgs != before.State.Msgs {
			wrong("what is there is %+v, and was %+v", after, before)
		}
		return
	}
	applied := w.applied(before, after)
	switch r.code {
	case exitOK:
		if r.action != w.done || !applied {
			wrong("what is there is %+v", after)
		}
	case exitFailed:
		half := w.halfway(before, after, r)
		switch {
		case r.action != render.Failed:
			wrong("a failure that is none")
		case half != "" && !strings.Contains(r.says(), half):
			wrong("%q is not said, and what is there is %+v", half, after)
		case half == "" && (applied || after.there != before.there):
			wrong("what is there is %+v, and was %+v", after, before)
		}
	case exitUnknown:
		if r.action != render.Unknown || r.failure == nil || r.failure.Kind != kindUnknownOutcome {
			wrong("it is not said to be unknown")
		}
	default:
		wrong("no such exit code")
	}
}
