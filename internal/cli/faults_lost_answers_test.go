//go:build faults

package cli

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/natstest"
)

// randomFaults are what chance does to the messages of one run.
type randomFaults struct {
	st     *testSites
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

func newRandomFaults(st *testSites, w scenario, seed, run uint64, timeout time.Duration, lose bool) *randomFaults {
	r := rand.New(rand.NewPCG(seed, run))
	losing := []int{0, 0, 30, 60, 100}
	if lose {
		losing = append(losing, 0, 0, 0)
	}
	return &randomFaults{
		st: st, writes: w.writes, rand: r, timeout: timeout, lose: lose, strikes: 1 + r.IntN(max(w.steps, len(w.writes))),
		losing: losing[r.IntN(len(losing))], lost: map[string]bool{}, sent: map[string]int{}, asked: map[string]time.Time{},
	}
}

// hook decides about a message.
func (d *randomFaults) hook(m natstest.Message) natstest.Verdict {
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
func (d *randomFaults) strike(m natstest.Message) natstest.Verdict {
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
func (d *randomFaults) lostAnswer() bool { return d.lose && !d.struck.IsZero() }

// lastRead is what a write is given beyond the timeout to show its outcome (internal/jsapi).
const lastRead = 800 * time.Millisecond

// slow says that the servers took so long to answer other requests, or that the run
// came so late to put them, that it could not see in time what it had written.
func (d *randomFaults) slow() bool {
	slowest := d.slowest
	for _, at := range d.asked {
		slowest = max(slowest, time.Since(at))
	}
	return slowest > lastRead/4 || d.looks == 0
}

// deliver brings a write to the server late.
func (d *randomFaults) deliver(m natstest.Message, after time.Duration, answered bool) {
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
func TestFaultsLostAnswers(t *testing.T) {
	st := newTestSites(t)
	type job struct {
		w    scenario
		lose bool
	}
	var jobs []job
	wanted := 0
	for _, w := range writeScenarios(st) {
		lost := scaled(1000 * w.weight / 20)
		wanted += lost
		for i := range lost + lost/4 {
			jobs = append(jobs, job{w, i < lost})
		}
	}
	rand.New(rand.NewPCG(*seed, 0)).Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })

	var mu sync.Mutex
	verdicts := map[bool]map[string]map[int]int{false: {}, true: {}} // by whether an answer was lost, and by command
	lost, alone, known := 0, map[string]int{}, map[string]int{}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, j := range jobs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r, d := runLostAnswer(t, st, j.w, uint64(i+1), j.lose)
			for again := 0; again < 10 && d.lose && !d.lostAnswer(); again++ {
				r, d = runLostAnswer(t, st, j.w, uint64(i+1), j.lose) // a slow machine did not come so far
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
		for _, w := range writeScenarios(st) {
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
		t.Errorf("the randomFaults have shown too little: %v", all)
	}
}

// runLostAnswer runs a command once under randomFaults and compares what it says with what is
// there.
func runLostAnswer(t *testing.T, st *testSites, w scenario, run uint64, lose bool) (result, *randomFaults) {
	const timeout = brief
	d := newRandomFaults(st, w, *seed, run, timeout, lose)
	bucket := st.name()
	w.prepare(t, st, bucket)
	defer st.drop(t, w, bucket)
	before := readStream(t, st.leaf, w.target(bucket))
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
	after := readStream(t, st.leaf, w.target(bucket))

	d.mu.Lock()
	defer d.mu.Unlock()
	wrong := func(format string, a ...any) {
		t.Errorf("%s, run %d: exit code %d, action %q: "+format+"\n%s", append(append([]any{w.name, run, r.code, r.action}, a...), r.stderr)...)
	}
	w.verify(before, after, r, wrong)
	if d.lostAnswer() && d.also == 0 && r.code != exitOK && !d.slow() {
		wrong("nothing was lost but the answer of write %d: it ended %v after that, and asked %d times", d.strikes, ended.Sub(d.struck), d.looks)
	}
	for write, n := range d.sent {
		if n > 1 && !strings.Contains(write, "-probe-") {
			wrong("%q was sent %d times", write, n)
		}
	}
	w.rerun(t, st, bucket, wrong)
	return r, d
}
