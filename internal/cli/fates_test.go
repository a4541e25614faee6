package cli

import (
	"flag"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/natstest"
	"nats-kvmirror/internal/render"
)

var (
	fates     = flag.Int("fates", losses, "how many writes of TestRandomFates lose their answer; a quarter as many more go wrong in other ways")
	every     = flag.Bool("every", false, "tell every kind of nonsense, and send both signals in both ways at each step, rather than half of them")
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
	// suffix is what stands after the bucket's name in that of the one that is
	// written, where that is another.
	suffix string
	// writes are parts of the subjects of the requests that write, and steps is how
	// many of these there are; 0 means one of each.
	writes []string
	steps  int
	done   render.Action
	// applied says whether what is there is what the command is for.
	applied func(before, after truth) bool
	// halfway is what the message of a failure says when something was changed
	// all the same, by what is there.
	halfway func(before, after truth, r result) string
	// resumes says that a second run finishes what a first one has begun.
	resumes bool
}

// target is the bucket that is written.
func (w written) target(bucket string) string { return bucket + w.suffix }

// allWrites are the commands that write.
func allWrites(st *scene) []written {
	none := func(*testing.T, *scene, string) {}
	plain := func(t *testing.T, st *scene, bucket string) { st.mirror(t, bucket, "demo") }
	own := func(t *testing.T, st *scene, bucket string) { st.origin(t, bucket); st.mirror(t, bucket, bucket) }
	orphaned := func(t *testing.T, st *scene, bucket string) {
		own(t, st, bucket)
		askAPI(t, st.hub, "STREAM.DELETE.KV_"+bucket, nil, &struct{}{})
	}
	hasTTL := func(_, after truth) bool { return after.there && after.Config.TTL }
	nothing := func(before, after truth, _ result) string { return "" }
	add := func(b string, more ...string) []string {
		return slices.Concat([]string{"add", b, "--mirror", "demo"}, st.toOrigin(b), more)
	}
	return []written{
		{
			name: "add", weight: 3, prepare: none,
			args:   func(b string) []string { return add(b) },
			writes: []string{"STREAM.CREATE"}, done: render.Created, applied: hasTTL, halfway: nothing,
		},
		{
			name: "add --wait", weight: 2, prepare: none,
			args:   func(b string) []string { return add(b, "--wait", "1m") },
			writes: []string{"STREAM.CREATE"}, done: render.Created,
			applied: func(before, after truth) bool { return hasTTL(before, after) && after.State.Last == 2 },
			halfway: func(_, after truth, _ result) string {
				if after.there {
					return "was created"
				}
				return ""
			},
		},
		{
			name: "edit", weight: 3, prepare: plain,
			args:   func(b string) []string { return []string{"edit", b, "--force"} },
			writes: []string{"STREAM.UPDATE"}, done: render.Updated, applied: hasTTL, halfway: nothing,
		},
		{
			name: "edit, taking away", weight: 1,
			prepare: func(t *testing.T, st *scene, bucket string) {
				plain(t, st, bucket)
				st.change(t, bucket, st.config(t, bucket), "description")
			},
			args:   func(b string) []string { return []string{"edit", b, "--description", "", "--force"} },
			writes: []string{"STREAM.UPDATE"}, done: render.Updated,
			applied: func(_, after truth) bool { return after.there && after.Config.Description == "" }, halfway: nothing,
		},
		{
			name: "sync", weight: 3, prepare: plain,
			args:   func(b string) []string { return []string{"sync", b, "--force"} },
			writes: []string{"STREAM.UPDATE"}, done: render.Updated, applied: hasTTL, halfway: nothing,
		},
		{
			name: "sync --content", weight: 2,
			prepare: func(t *testing.T, st *scene, bucket string) { st.leftOver(t, bucket) },
			args:    func(b string) []string { return []string{"sync", b, "--content", "--force"} },
			writes:  []string{"STREAM.PURGE"}, done: render.Updated,
			applied: func(_, after truth) bool { return after.State.Msgs == 1 },
			halfway: func(_, after truth, _ result) string {
				if after.State.Msgs == 1 {
					return "1 message purged"
				}
				return ""
			},
		},
		{
			name: "sync --recreate", weight: 2, prepare: own,
			args:   func(b string) []string { return []string{"sync", "--recreate", b, "--force"} },
			writes: []string{"STREAM.DELETE", "STREAM.CREATE"}, done: render.Recreated,
			applied: func(before, after truth) bool {
				return after.there && !after.Created.Equal(before.Created) && after.Config.TTL
			},
			halfway: func(before, after truth, _ result) string {
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
			// What it begins with is what sync --recreate leaves when it is killed
			// between the deletion and the creation.
			name: "sync --recreate --config", weight: 1,
			prepare: func(t *testing.T, st *scene, bucket string) {
				own(t, st, bucket)
				if err := os.WriteFile(st.saved(bucket), mustMarshal(t, st.config(t, bucket)), 0o600); err != nil {
					t.Fatal(err)
				}
				askAPI(t, st.leaf, "STREAM.DELETE.KV_"+bucket, nil, &struct{}{})
			},
			args:   func(b string) []string { return []string{"sync", "--recreate", b, "--config", st.saved(b)} },
			writes: []string{"STREAM.CREATE"}, done: render.Recreated,
			applied: func(_, after truth) bool { return after.there && after.Mirror != nil && after.State.Last == 2 },
			halfway: func(_, after truth, _ result) string {
				if after.there {
					return "was created again"
				}
				return ""
			},
		},
		{
			name: "promote", weight: 1, prepare: orphaned,
			args:   func(b string) []string { return []string{"promote", b, "--force"} },
			writes: []string{"STREAM.UPDATE"}, done: render.Promoted,
			applied: func(_, after truth) bool { return after.there && after.Mirror == nil }, halfway: nothing,
		},
		{
			// Created, detached, and finished when it is proved.
			name: "promote --into", weight: 2, prepare: orphaned, suffix: "copy",
			args:   func(b string) []string { return []string{"promote", b, "--into", b + "copy", "--force"} },
			writes: []string{"STREAM.CREATE", "STREAM.UPDATE"}, steps: 3, done: render.Promoted,
			applied: func(_, after truth) bool {
				return after.there && after.Mirror == nil && after.Config.Metadata[kvcfg.CopiedFrom] != "" && after.State.Msgs == 2 &&
					len(after.Config.Subjects) == 1 && strings.HasPrefix(after.Config.Subjects[0], "$KV.")
			},
			halfway: func(_, after truth, r result) string {
				switch {
				case !after.there || after.Config.Metadata[kvcfg.CopyOf] == "":
					return ""
				case strings.Contains(r.says(), "did not keep its mark"):
					return "was created, but" // and is no copy that a second run knows, if that is true
				}
				return "is not finished"
			},
			resumes: true,
		},
	}
}

// again runs a command once more when nothing is amiss: it finishes what was begun.
func (w written) again(t *testing.T, st *scene, bucket string, wrong func(format string, a ...any)) {
	if !w.resumes {
		return
	}
	r := play(t, t.Context(), append(w.args(bucket), "--server", st.Leaf.URL())...)
	if is := look(t, st.leaf, w.target(bucket)); r.code != exitOK || !w.applied(is, is) {
		wrong("a second run: exit code %d, %q, and what is there is %+v", r.code, r.says(), is)
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
	lose    bool // the answer of the write that is struck, which is done
	strikes int  // the how manieth write is struck
	seen    int  // writes so far
	losing  int  // of a hundred reads after the write, so many are lost
	lost    map[string]bool
	sent    map[string]int // how often each write was sent, by subject and body

	struck  time.Time
	looks   int                  // requests since the answer that is lost was given up
	also    int                  // messages that were lost beside that answer
	asked   map[string]time.Time // when an answer was asked for that has not come
	slowest time.Duration        // how long another answer has taken
}

func newDice(st *scene, w written, seed, run uint64, timeout time.Duration, lose bool) *dice {
	r := rand.New(rand.NewPCG(seed, run))
	losing := []int{0, 0, 30, 60, 100}
	if lose {
		losing = append(losing, 0, 0, 0)
	}
	return &dice{
		st: st, writes: w.writes, rand: r, timeout: timeout, lose: lose, strikes: 1 + r.IntN(max(w.steps, len(w.writes))),
		losing: losing[r.IntN(len(losing))], lost: map[string]bool{}, sent: map[string]int{}, asked: map[string]time.Time{},
	}
}

// hook decides about a message.
func (d *dice) hook(m natstest.Message) natstest.Verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.Direction == natstest.ToClient {
		if at, ok := d.asked[m.Subject]; ok {
			d.slowest = max(d.slowest, time.Since(at))
			delete(d.asked, m.Subject)
		}
		if d.lost[m.Subject] {
			return natstest.Drop
		}
		return natstest.Pass
	}
	if m.Reply == "" || !strings.Contains(m.Subject, ".API.") {
		return natstest.Pass
	}
	if slices.ContainsFunc(d.writes, func(w string) bool { return strings.Contains(m.Subject, w) }) {
		d.sent[m.Subject+" "+string(m.Payload)]++
		if d.seen++; d.seen == d.strikes {
			d.struck = time.Now()
			return d.strike(m)
		}
	}
	if !d.struck.IsZero() && time.Since(d.struck) > d.timeout/2 {
		d.looks++
	}
	d.asked[m.Reply] = time.Now()
	// Reads before the write are seldom lost: then there is nothing to know.
	losing := 1
	switch {
	case d.seen >= d.strikes:
		losing = d.losing
	case d.lose:
		losing = 0
	}
	if d.rand.IntN(100) >= losing {
		return natstest.Pass
	}
	d.also++
	if d.rand.IntN(2) == 0 {
		return natstest.Drop
	}
	d.lost[m.Reply] = true
	return natstest.Pass
}

// strike is what becomes of the write.
func (d *dice) strike(m natstest.Message) natstest.Verdict {
	face := d.rand.IntN(4)
	switch {
	case d.lose:
		d.lost[m.Reply] = true
	case face == 0:
		return natstest.Drop
	case face == 1:
		return natstest.Cut
	case face == 2:
		after, answered := time.Duration(d.rand.Int64N(int64(3*d.timeout))), d.rand.IntN(2) == 0
		d.late.Go(func() { d.deliver(m, after, answered) })
		return natstest.Drop
	} // else it is done, and all goes well
	return natstest.Pass
}

// lostAnswer says that a write was done and its answer was lost.
func (d *dice) lostAnswer() bool { return d.lose && !d.struck.IsZero() }

// lastRead is what a write is given beyond the timeout to show its outcome (internal/jsapi).
const lastRead = 800 * time.Millisecond

// slow says that the servers took so long to answer other requests, or that the run
// came so late to put them, that it could not see in time what it had written.
func (d *dice) slow() bool {
	slowest := d.slowest
	for _, at := range d.asked {
		slowest = max(slowest, time.Since(at))
	}
	return slowest > lastRead/4 || d.looks == 0
}

// deliver brings a write to the server late.
func (d *dice) deliver(m natstest.Message, after time.Duration, answered bool) {
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
// reads that follow: what the command says of the write is true. Where nothing is
// lost but the answer, it knows that the write is done.
func TestRandomFates(t *testing.T) {
	st := newScene(t)
	type job struct {
		w    written
		lose bool
	}
	var jobs []job
	wanted := 0
	for _, w := range allWrites(st) {
		lost := *fates * w.weight / 20
		wanted += lost
		for i := range lost + lost/4 {
			jobs = append(jobs, job{w, i < lost})
		}
	}
	rand.New(rand.NewPCG(*fatesSeed, 0)).Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })

	var mu sync.Mutex
	verdicts := map[bool]map[string]map[int]int{false: {}, true: {}} // by whether an answer was lost, and by command
	lost, alone, known := 0, map[string]int{}, map[string]int{}
	var wg sync.WaitGroup
	slots := make(chan struct{}, lossesAtOnce)
	for i, j := range jobs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r, d := runFate(t, st, j.w, uint64(i+1), j.lose)
			for again := 0; again < 10 && d.lose && !d.lostAnswer(); again++ {
				r, d = runFate(t, st, j.w, uint64(i+1), j.lose) // a slow machine did not come so far
			}
			mu.Lock()
			defer mu.Unlock()
			if d.lostAnswer() {
				lost++
				if d.also == 0 {
					alone[j.w.name]++
					if r.code == exitOK {
						known[j.w.name]++
					}
				}
			}
			v := verdicts[d.lose]
			if v[j.w.name] == nil {
				v[j.w.name] = map[int]int{}
			}
			v[j.w.name][r.code]++
		})
	}
	wg.Wait()
	all := map[int]int{} // of one command there may be few, and a slow machine does little in time
	for _, lose := range []bool{true, false} {
		for _, w := range allWrites(st) {
			v := verdicts[lose][w.name]
			t.Logf("answer lost %-5t %-24s done %3d, failed %3d, unknown %3d", lose, w.name, v[exitOK], v[exitFailed], v[exitUnknown])
			for code, n := range v {
				all[code] += n
			}
		}
	}
	t.Logf("%d of %d writes lost their answer; where nothing else was lost, by command: %v, and known to be done: %v", lost, wanted, alone, known)
	for name, n := range alone {
		// A slow machine knows some of them in time, and who does not look none.
		if n >= 10 && known[name] == 0 {
			t.Errorf("%s: nothing but the answer was lost %d times, and never was it known that the write was done", name, n)
		}
	}
	if lost < wanted/2 {
		t.Errorf("%d writes lost their answer, want %d", lost, wanted)
	}
	if all[exitOK] == 0 || all[exitUnknown] == 0 {
		t.Errorf("the dice have shown too little: %v", all)
	}
}

// runFate runs a command once under dice and compares what it says with what is
// there.
func runFate(t *testing.T, st *scene, w written, run uint64, lose bool) (result, *dice) {
	const timeout = brief
	d := newDice(st, w, *fatesSeed, run, timeout, lose)
	bucket := st.name()
	w.prepare(t, st, bucket)
	defer st.drop(t, w, bucket)
	before := look(t, st.leaf, w.target(bucket))
	p, err := natstest.NewProxy(st.Leaf.Addr())
	if err != nil {
		t.Error(err)
		return result{}, d
	}
	defer p.Close()
	p.SetHook(d.hook)
	r := play(t, t.Context(), append(w.args(bucket), "--server", p.URL(), "--timeout", timeout.String())...)
	ended := time.Now()
	p.Close() // the hook is not called any more
	d.late.Wait()
	after := look(t, st.leaf, w.target(bucket))

	d.mu.Lock()
	defer d.mu.Unlock()
	wrong := func(format string, a ...any) {
		t.Errorf("%s, run %d: exit code %d, action %q: "+format+"\n%s", append(append([]any{w.name, run, r.code, r.action}, a...), r.stderr)...)
	}
	w.judge(before, after, r, wrong)
	if d.lostAnswer() && d.also == 0 && r.code != exitOK && !d.slow() {
		wrong("nothing was lost but the answer of write %d: it ended %v after that, and asked %d times", d.strikes, ended.Sub(d.struck), d.looks)
	}
	for write, n := range d.sent {
		if n > 1 {
			wrong("%q was sent %d times", write, n)
		}
	}
	w.again(t, st, bucket, wrong)
	return r, d
}

// judge compares what a run says with what is there.
func (w written) judge(before, after truth, r result, wrong func(format string, a ...any)) {
	if len(w.writes) == 0 {
		if !reflect.DeepEqual(after.Config, before.Config) || !after.Created.Equal(before.Created) || after.State.Msgs != before.State.Msgs {
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
		if r.action != render.Unknown || r.failure == nil || r.failure.Kind != kindUnknownOutcome || len(r.members) == 1 && r.members[0].Action != render.Unknown {
			wrong("it is not said to be unknown")
		}
	default:
		wrong("no such exit code")
	}
}
