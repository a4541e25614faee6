package content

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// simulation is a mirror and its origin as they change with time: when each message
// comes to which side and goes from there is settled in advance.
type simulation struct {
	random         *rand.Rand
	config         [places]stream.Config
	ahead          [places]time.Duration // how far each clock is ahead
	messages       []simulated           // by sequence, from 1 on
	rtt, latency   time.Duration
	healthy        bool // nothing was planted
	quick          bool // the sequences are compared
	countOnly      bool // and nothing else
	unlisted       bool // the origin's deleted sequences are too many for a list
	begins         time.Time
	found          []accusation
	walked         time.Time // when all messages were read once
	chained        bool      // the origin is a mirror itself
	waited         bool      // the mirror was behind
	skips          time.Time // from when on the mirror takes nothing and its sequence rises
	mirror, origin *simulatedSide
}

// The sides' places in arrays.
const (
	onMirror = iota
	atOrigin
	atTop // the same as the origin, but for what that has lost, where it is a mirror itself
	places
)

// simulated is a message. It is on a side from one time until another.
type simulated struct {
	meta  jsapi.MsgMeta
	key   int
	from  [places]time.Time // zero: never
	until [places]time.Time // zero: for as long as it matters
	cause [places]string    // why it goes: "ttl", "age", "replaced" or "purged"
}

// on says whether a side has the message at a time.
func (m *simulated) on(side int, at time.Time) bool {
	return !m.from[side].IsZero() && !m.from[side].After(at) && (m.until[side].IsZero() || m.until[side].After(at))
}

// alone says that a side has the message, and the other one has not, all the time.
func (m *simulated) alone(side int, from, until time.Time) bool {
	other := 1 - side
	return m.on(side, from) && m.on(side, until) &&
		(m.from[other].IsZero() || m.from[other].After(until) || !m.until[other].IsZero() && !m.until[other].After(from))
}

// accusation is an item and when it was reported.
type accusation struct {
	Item
	at time.Time
}

// end is when a stream removes a message by its own clock, and why: written without
// the code under test.
func (m *simulated) end(c stream.Config) (time.Time, string) {
	stored := time.Unix(0, m.meta.Time)
	ttl := m.meta.Header(jsapi.TTLHeader)
	if !c.AllowMsgTTL {
		ttl = ""
	}
	if ttl == "never" {
		return time.Time{}, ""
	}
	var end time.Time
	why := ""
	if ttl != "" {
		var seconds int
		_, _ = fmt.Sscan(ttl, &seconds)
		end, why = stored.Add(time.Duration(seconds)*time.Second), "ttl"
	}
	if c.MaxAge > 0 && (why == "" || stored.Add(c.MaxAge).Before(end)) {
		end, why = stored.Add(c.MaxAge), "age"
	}
	return end, why
}

// simulate makes a simulation.
func simulate(random *rand.Rand) *simulation {
	s := &simulation{random: random, begins: time.Now(), healthy: true}
	s.rtt, s.latency = s.upTo(300*time.Millisecond), s.upTo(300*time.Millisecond)
	s.configure()
	s.mirror, s.origin = &simulatedSide{s, onMirror}, &simulatedSide{s, atOrigin}
	for i := range 1 + random.IntN(12) {
		m := simulated{key: random.IntN(4)}
		m.meta = jsapi.MsgMeta{Seq: uint64(i + 1), Size: 1, Subject: fmt.Appendf(nil, "$KV.demo.%d", m.key)}
		if ttl := []string{"", "", "", "never", "", "s"}[random.IntN(6)]; ttl == "s" {
			m.meta.ControlHeaders = fmt.Appendf(nil, "Nats-TTL: %d\n", 1+random.IntN(40))
		} else if ttl != "" {
			m.meta.ControlHeaders = []byte("Nats-TTL: never\n")
		}
		s.messages = append(s.messages, m)
	}
	s.live()
	return s
}

// upTo is a random duration.
func (s *simulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(int64(d)))
}

// one says yes in one of n cases.
func (s *simulation) one(n int) bool { return s.random.IntN(n) == 0 }

// plant says yes in one of n cases, and that the pair is not healthy then.
func (s *simulation) plant(n int) bool {
	yes := s.one(n)
	s.healthy = s.healthy && !yes
	return yes
}

// configure makes both configurations, with differences that are chosen or not.
func (s *simulation) configure() {
	origin := stream.Config{Name: "KV_demo", AllowMsgTTL: !s.one(6), MaxMsgsPerSubject: []int64{1, 1, 2, 5}[s.random.IntN(4)], AllowDirect: s.one(2)}
	if s.one(3) {
		origin.MaxAge = time.Duration(1+s.random.IntN(40)) * time.Second
	}
	mirror := origin
	mirror.Mirror = &stream.Source{Name: "KV_demo"}
	chosen := ""
	for _, change := range []struct {
		field string
		apply func()
	}{
		{"allow_msg_ttl", func() { mirror.AllowMsgTTL = !origin.AllowMsgTTL }},
		{"max_age", func() { mirror.MaxAge = time.Duration(s.random.IntN(40)) * time.Second }},
		{"max_msgs_per_subject", func() { mirror.MaxMsgsPerSubject = 1 + s.random.Int64N(5) }},
	} {
		if !s.one(8) {
			continue
		}
		change.apply()
		if s.plant(2) {
			continue // nobody chose it
		}
		chosen += change.field + ","
	}
	mirror.Metadata = map[string]string{"nats-kvmirror.chosen": chosen}
	if s.one(10) {
		mirror.Mirror.OptStartSeq = 1 + s.random.Uint64N(8)
	}
	if s.one(10) {
		mirror.Mirror.FilterSubject = "$KV.demo.1"
	}
	s.config = [places]stream.Config{mirror, origin, origin}
	s.chained = s.one(4)
	s.ahead[atOrigin] = s.upTo(4*time.Second) - 2*time.Second
	s.ahead[onMirror] = s.ahead[atOrigin] + s.upTo(time.Second) - 500*time.Millisecond
	s.ahead[atTop] = s.ahead[atOrigin]
	if s.plant(12) {
		s.ahead[onMirror] += []time.Duration{-90 * time.Second, -8 * time.Second, 8 * time.Second, 90 * time.Second}[s.random.IntN(4)]
	}
}

// takes says whether the mirror takes a message.
func (s *simulation) takes(m *simulated) bool {
	source := s.config[onMirror].Mirror
	return m.meta.Seq >= source.OptStartSeq && (source.FilterSubject == "" || source.FilterSubject == string(m.meta.Subject))
}

// live settles when each message comes and goes.
func (s *simulation) live() {
	stored := s.begins.Add(-time.Minute)
	hot := s.one(6) // one key is written again and again while the sides are compared
	for i := range s.messages {
		m := &s.messages[i]
		if hot && i >= 2 {
			m.key, m.meta.Subject = s.messages[0].key, s.messages[0].meta.Subject
			stored = later(stored, s.begins.Add(-2*time.Second)).Add(s.upTo(1500 * time.Millisecond))
		} else {
			stored = stored.Add(s.upTo(15 * time.Second))
		}
		m.meta.Time = stored.Add(s.ahead[atOrigin]).UnixNano()
		m.from[atTop] = stored
	}
	s.leave(atTop)
	for i := range s.messages {
		m := &s.messages[i]
		m.from[atOrigin], m.until[atOrigin], m.cause[atOrigin] = m.from[atTop], m.until[atTop], m.cause[atTop]
		s.purge(m, atOrigin)
	}
	var stops, back time.Time
	if s.plant(12) {
		stops = s.begins.Add(s.upTo(time.Minute) - 40*time.Second)
		if s.one(2) {
			s.skips = stops
		}
	} else if s.plant(12) {
		back = s.begins.Add(-s.upTo(20 * time.Second))
	}
	var last time.Time
	for i := range s.messages {
		m := &s.messages[i]
		at := m.from[atOrigin]
		if at.Before(back) {
			at = back
		}
		last = later(last.Add(time.Microsecond), at.Add(s.latency))
		if s.takes(m) && m.on(atOrigin, at) && (stops.IsZero() || at.Before(stops)) && !s.plant(40) {
			m.from[onMirror] = last
		}
	}
	s.leave(onMirror)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// leave settles when the messages go from a side: they expire, are purged, and are
// replaced by newer ones.
func (s *simulation) leave(side int) {
	keeps := s.plant(15)
	for i := range s.messages {
		m := &s.messages[i]
		if m.from[side].IsZero() {
			continue
		}
		if end, why := m.end(s.config[side]); why != "" && !keeps {
			delay := s.upTo(1500 * time.Millisecond)
			if s.one(20) {
				delay += s.upTo(Grace - 2*time.Second)
			}
			m.until[side], m.cause[side] = later(m.from[side], end.Add(-s.ahead[side])).Add(delay), why
		}
		if side == onMirror {
			s.purge(m, side)
		}
		held := int64(0)
		for j := i; j >= 0; j-- {
			if o := &s.messages[j]; o.key == m.key && o.on(side, m.from[side]) {
				if held++; held > s.config[side].MaxMsgsPerSubject {
					o.until[side], o.cause[side] = m.from[side], "replaced"
				}
			}
		}
	}
}

// purge purges a message from a side, sometimes.
func (s *simulation) purge(m *simulated, side int) {
	at := s.begins.Add(s.upTo(60*time.Second) - 45*time.Second)
	if s.plant(40) && at.After(m.from[side]) && (m.until[side].IsZero() || at.Before(m.until[side])) {
		m.until[side], m.cause[side] = at, "purged"
	}
}

// simulatedSide is one side of a simulation.
type simulatedSide struct {
	*simulation
	side int
}

func (s *simulatedSide) info(context.Context) (*stream.Info, error) {
	time.Sleep(s.rtt / 2)
	i := s.infoAt(time.Now())
	time.Sleep(s.rtt / 2)
	return i, nil
}

func (s *simulatedSide) sequences(context.Context, stream.State) (*stream.Info, *jsapi.Sequences, error) {
	if s.unlisted && s.side == atOrigin {
		return nil, nil, jsapi.ErrNoSequences
	}
	time.Sleep(s.rtt / 2)
	now := time.Now()
	i := s.infoAt(now)
	var deleted []uint64
	for seq := i.State.FirstSeq; seq <= i.State.LastSeq; seq++ {
		if !s.messages[seq-1].on(s.side, now) {
			deleted = append(deleted, seq)
		}
	}
	time.Sleep(s.rtt / 2)
	l, err := jsapi.NewSequences(i.State, deleted)
	return i, l, err
}

func (s *simulatedSide) get(_ context.Context, seq uint64, _ int) (*jsapi.MsgMeta, error) {
	time.Sleep(s.rtt / 2)
	now := time.Now()
	time.Sleep(s.rtt / 2)
	if m := &s.messages[seq-1]; m.on(s.side, now) {
		return &m.meta, nil
	}
	return nil, jsapi.ErrNotFound
}

func (s *simulatedSide) limited() bool { return false }

func (s *simulatedSide) infoAt(now time.Time) *stream.Info {
	i := &stream.Info{Config: s.config[s.side], TimeStamp: now.Add(s.ahead[s.side])}
	for j := range s.messages {
		m := &s.messages[j]
		if from := m.from[s.side]; !from.IsZero() && !from.After(now) {
			i.State.LastSeq = m.meta.Seq
		}
		if m.on(s.side, now) {
			if i.State.Msgs++; i.State.Msgs == 1 {
				i.State.FirstSeq, i.State.FirstTime = m.meta.Seq, time.Unix(0, m.meta.Time)
			}
			i.State.LastTime = time.Unix(0, m.meta.Time)
		}
	}
	if s.side == onMirror && !s.skips.IsZero() && !now.Before(s.skips) {
		// It comes to what is there, and cannot store that.
		for j := range s.messages {
			if m := &s.messages[j]; m.meta.Seq > i.State.LastSeq && s.takes(m) && m.on(atOrigin, now) {
				i.State.LastSeq = m.meta.Seq - 1
				break
			}
		}
	}
	if i.State.Msgs == 0 {
		i.State.FirstSeq = i.State.LastSeq + 1
	}
	return i
}

func (s *simulatedSide) caughtUp(_ context.Context, mirror *stream.Info, to uint64) bool {
	if mirror.State.LastSeq >= to {
		return true
	}
	time.Sleep(s.rtt)
	for i := range s.messages {
		if m := &s.messages[i]; m.meta.Seq > mirror.State.LastSeq && m.on(s.side, time.Now()) && s.takes(m) {
			s.waited = true
			return false
		}
	}
	return true
}

func (s *simulatedSide) walk(_ context.Context, o jsapi.WalkOptions) (walk, error) {
	time.Sleep(s.rtt)
	return &simulatedWalk{side: s, options: o, at: o.From}, nil
}

// simulatedWalk reads a side as time goes by.
type simulatedWalk struct {
	side    *simulatedSide
	options jsapi.WalkOptions
	at      uint64
	current jsapi.MsgMeta
}

func (w *simulatedWalk) Next() (*jsapi.MsgMeta, error) {
	for ; (w.options.ToEnd || w.at <= w.options.To) && w.at <= uint64(len(w.side.messages)); w.at++ {
		m := &w.side.messages[w.at-1]
		if m.on(w.side.side, time.Now()) && (w.side.side == onMirror || len(w.options.Filters) == 0 || w.options.Filters[0] == string(m.meta.Subject)) {
			w.at++
			w.current = m.meta
			if w.side.one(8) {
				time.Sleep(w.side.upTo(20 * time.Millisecond))
			}
			return &w.current, nil
		}
	}
	return nil, io.EOF
}

func (w *simulatedWalk) Close() {}
