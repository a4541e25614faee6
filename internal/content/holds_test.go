package content

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	pairs = flag.Int("pairs", 100_000, "how many generated pairs are compared")
	seed  = flag.Uint64("seed", 1, "the seed of the generated pairs")
)

// Pairs of streams of all kinds are compared while messages arrive, expire and are
// purged. A pair is never called identical while a message is on one side alone and
// not by design; no message is reported that is where it should be; and a pair that
// nothing is wrong with is identical.
func TestHolds(t *testing.T) {
	n := *pairs
	if testing.Short() {
		n /= 10
	}
	bubbles := runtime.GOMAXPROCS(0)
	for b := range bubbles {
		t.Run(fmt.Sprint(b), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				failures := 0
				for i := b; i < n && failures < 5; i += bubbles {
					s := simulate(rand.New(rand.NewPCG(*seed, uint64(i))))
					s.quick, s.countOnly = i/bubbles%3 == 0, i/bubbles%6 == 0
					s.unlisted = i/bubbles%2 == 1
					if wrong := s.compare(t.Context()); wrong != "" {
						failures++
						t.Errorf("pair %d: %s\n%s", i, wrong, s)
					}
				}
			})
		})
	}
}

// compare compares a pair and returns what is wrong with the result.
func (s *simulation) compare(ctx context.Context) string {
	begin := time.Now()
	sides := &sides{mirror: s.mirror, origin: s.origin}
	if s.chained {
		sides.top = &simulatedSide{s, atTop}
	}
	c := &Comparer{simulated: sides, Quick: s.quick, Found: func(i Item) error {
		s.found = append(s.found, accusation{i, time.Now()})
		return nil
	}, Progress: func(uint64, uint64) { s.walked = time.Now() }}
	if s.countOnly {
		c.Count = &Count{Most: 1 + len(s.messages)}
	}
	r, err := c.Compare(ctx)
	end := time.Now()
	if s.countOnly && errors.Is(err, ErrNotListed) {
		return "" // nothing of it counts
	}
	if err != nil {
		return err.Error()
	}
	for _, a := range s.found {
		if m := &s.messages[a.Seq-1]; !s.wrong(m, a) {
			return fmt.Sprintf("%s %s at %d: falsely accused of %s at %v", a.Kind, a.Reason, a.Seq, a.Reason, a.at.Sub(s.begins))
		}
	}
	if r.Verdict == SameSequences && (!s.quick || r.Method != BySequences) || r.Verdict == Identical && r.Method != ByWalk {
		return fmt.Sprintf("%s by %s", r.Verdict, r.Method)
	}
	same := r.Verdict == Identical || r.Verdict == SameSequences
	if same {
		for i := range s.messages {
			m := &s.messages[i]
			for side := range 2 {
				if m.meta.Seq <= r.Through && m.alone(side, begin, end) && !s.perhapsByDesign(m, side, begin) && !s.perhapsByDesign(m, side, s.walked) && !s.perhapsByDesign(m, side, end) {
					return fmt.Sprintf("%s, and %d is on side %d alone: %+v", r.Verdict, m.meta.Seq, side, r)
				}
			}
		}
	}
	if skew := s.ahead[onMirror] - s.ahead[atOrigin]; (r.Skew - skew).Abs() > s.rtt+time.Millisecond {
		return fmt.Sprintf("the mirror's clock is %v ahead: %+v", skew, r)
	}
	if s.countOnly {
		return "" // and it does not wait for what is about to go
	}
	if m := s.unreported(begin, end, r); m != nil {
		return fmt.Sprintf("%d is not reported: %+v", m.meta.Seq, r)
	}
	if r.Unresolved > 0 && r.Behind == 0 {
		return fmt.Sprintf("unresolved: %+v", r)
	}
	if s.healthy && len(s.found) == 0 && !same && r.Uncertain == 0 {
		return fmt.Sprintf("healthy, and %+v", r)
	}
	return ""
}

// unreported is a message that was wrong for long enough to be reported, and was not; nil
// when there is none.
func (s *simulation) unreported(begin, end time.Time, r Result) *simulated {
	if r.Verdict == Unverified {
		return nil
	}
	for i := range s.messages {
		m := &s.messages[i]
		for side, kind := range []Kind{LeftOver, Missing} {
			wrong := m.meta.Seq <= r.Through && r.Behind == 0 && r.Uncertain == 0
			last := s.walked.Add(5 * time.Second) // they are rechecked by then
			if s.waited {
				last = later(end, begin.Add(8*time.Second))
			}
			wrong = wrong && m.alone(side, begin, last) && !s.written(m.key, begin, last) && !s.perhapsByDesign(m, side, begin) && !s.perhapsByDesign(m, side, s.walked)
			if due, why := m.end(s.config[onMirror]); why != "" && kind == Missing {
				// What the mirror may have removed by itself is only waited for.
				wrong = wrong && last.Add(s.ahead[onMirror]+2*time.Second).Before(due)
			}
			if due, why := m.end(s.config[atOrigin]); why != "" && due.After(begin.Add(s.ahead[atOrigin])) {
				wrong = wrong && last.Add(s.ahead[atOrigin]+2*time.Second).Before(due)
			}
			for at := begin.Add(2 * time.Second); wrong && at.Before(last); at = at.Add(time.Second) {
				wrong = s.wrong(m, accusation{Item{Kind: kind}, at}) && !s.perhapsByDesign(m, side, at)
			}
			if wrong && !slices.ContainsFunc(s.found, func(a accusation) bool { return a.Seq == m.meta.Seq }) {
				return m
			}
		}
	}
	return nil
}

// written says that a key is written within a time: what was there may then be replaced
// soon, which is waited for.
func (s *simulation) written(key int, from, until time.Time) bool {
	return slices.ContainsFunc(s.messages, func(m simulated) bool {
		return m.key == key && m.from[atOrigin].After(from) && m.from[atOrigin].Before(until)
	})
}

// wrong is the plain definition of what may be reported of a message: it has been on
// one side alone, not by design, and it is not about to go.
func (s *simulation) wrong(m *simulated, a accusation) bool {
	side := onMirror
	if a.Kind == Missing {
		side = atOrigin
	}
	// It was read shortly before, and once more 2.5 s earlier.
	read := a.at.Add(-time.Second)
	meant := read
	if s.quick {
		meant = a.at // what is by design is read at the end as well, and not at first
	}
	if !m.alone(side, read.Add(-time.Second), read) || s.byDesign(m, side, read.Add(-time.Second), 0) && s.byDesign(m, side, meant, 0) {
		return false
	}
	before, now := m.on(atTop, read), m.on(atTop, a.at)
	switch {
	case a.Kind == MissingAbove:
		return s.chained && (before || now)
	case s.chained && side == onMirror && before && now, s.chained && side == atOrigin && !before && !now:
		return false // what the top has is not left over, and what it has not is not missing
	}
	here, hereWhy := m.end(s.config[onMirror])
	there, thereWhy := m.end(s.config[atOrigin])
	clock := a.at.Add(s.ahead[atOrigin])
	const precise = 100 * time.Millisecond // of what is read at a border
	lasts := thereWhy == "" || there.After(clock)
	kept := thereWhy != "" && there.Add(Grace).Before(clock.Add(precise))
	if side == onMirror {
		// Gone before its time, or left after it.
		return lasts && s.goneEarly(m, read, a.at) || kept
	}
	if kept {
		return true // the origin keeps what has expired
	}
	removed := m.cause[onMirror] == "ttl" || m.cause[onMirror] == "age"
	if !removed {
		return lasts
	}
	shorter := hereWhy != "" && (thereWhy == "" || here.Before(there))
	return shorter || there.Sub(clock) > Grace-precise
}

// goneEarly says that a message did not come to its end at the origin, and that what
// replaced it there is on the mirror as well, or will never be.
func (s *simulation) goneEarly(m *simulated, read, reported time.Time) bool {
	newer, reached, coming := int64(0), s.reached(reported), false
	for i := range s.messages {
		switch n := &s.messages[i]; {
		case n.key != m.key || n.meta.Seq <= m.meta.Seq:
		case n.on(onMirror, read):
			newer++
		case n.meta.Seq > reached && n.on(atOrigin, read) && n.on(atOrigin, reported) && s.takes(n):
			coming = true
		}
	}
	replaced := newer >= s.config[atOrigin].MaxMsgsPerSubject
	return replaced || !coming && (m.cause[atOrigin] == "purged" || m.cause[atOrigin] == "replaced")
}

// reached is the mirror's last sequence at a time.
func (s *simulation) reached(at time.Time) (seq uint64) {
	for i := range s.messages {
		if m := &s.messages[i]; !m.from[onMirror].IsZero() && !m.from[onMirror].After(at) {
			seq = m.meta.Seq
		}
	}
	return seq
}

// perhapsByDesign is byDesign as far as can be known at the end of a message's life.
func (s *simulation) perhapsByDesign(m *simulated, side int, at time.Time) bool {
	return s.byDesign(m, side, at, 0) || s.byDesign(m, side, at, 2*time.Second)
}

// byDesign says that a side alone may have a message, as a filter, a start or a choice
// has it; slack is how much may be missing to the end of a message.
func (s *simulation) byDesign(m *simulated, side int, at time.Time, slack time.Duration) bool {
	chose := func(field string) bool {
		return slices.Contains(strings.Split(s.config[onMirror].Metadata["nats-kvmirror.chosen"], ","), field)
	}
	if !s.takes(m) {
		return side == atOrigin
	}
	other := 1 - side
	meant := s.config[atOrigin] // what the mirror is meant to be like
	if chose("allow_msg_ttl") {
		meant.AllowMsgTTL = s.config[onMirror].AllowMsgTTL
	}
	if chose("max_age") {
		meant.MaxAge = s.config[onMirror].MaxAge
	}
	due, dueWhy := m.end(meant)
	there, thereWhy := m.end(s.config[atOrigin])
	mirrorTime, originTime := at.Add(s.ahead[onMirror]), at.Add(s.ahead[atOrigin])
	if side == atOrigin && dueWhy != "" && (thereWhy == "" || due.Before(there)) && due.Before(mirrorTime.Add(slack)) {
		return true
	}
	if side == onMirror && thereWhy != "" && there.Before(originTime.Add(slack)) {
		// It has ended at the origin: the mirror is to keep it, or to remove it as well.
		return (dueWhy == "" || there.Before(due)) && (dueWhy == "" || mirrorTime.Before(due.Add(Grace).Add(slack)))
	}
	if !chose("max_msgs_per_subject") || s.config[side].MaxMsgsPerSubject <= s.config[other].MaxMsgsPerSubject {
		return false
	}
	newer, reached := int64(0), s.reached(at)
	for i := range s.messages {
		if n := &s.messages[i]; n.key == m.key && n.meta.Seq > m.meta.Seq && n.meta.Seq <= reached && n.on(side, at) {
			newer++
		}
	}
	return slack > 0 && m.cause[other] == "replaced" || newer >= s.config[other].MaxMsgsPerSubject
}

// String shows a pair.
func (s *simulation) String() string {
	var b strings.Builder
	for side, name := range []string{"mirror", "origin"} {
		c := s.config[side]
		fmt.Fprintf(&b, "%s: ttl %v, age %v, history %d, ahead %v, chosen %q, source %+v\n", name, c.AllowMsgTTL, c.MaxAge, c.MaxMsgsPerSubject, s.ahead[side], c.Metadata, c.Mirror)
	}
	fmt.Fprintf(&b, "rtt %v, latency %v, healthy %v\n", s.rtt, s.latency, s.healthy)
	since := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Sub(s.begins).Round(time.Millisecond).String()
	}
	for i := range s.messages {
		m := &s.messages[i]
		fmt.Fprintf(&b, "%d key %d ttl %q: origin %s to %s %s, mirror %s to %s %s\n", m.meta.Seq, m.key, m.meta.Header("Nats-TTL"),
			since(m.from[atOrigin]), since(m.until[atOrigin]), m.cause[atOrigin], since(m.from[onMirror]), since(m.until[onMirror]), m.cause[onMirror])
	}
	return b.String()
}
