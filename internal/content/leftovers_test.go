package content

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nats-kvmirror/internal/jsapi"
)

// leftoverState is a mirror and the top of its chain, as a plain model: what either
// holds, and which of the mirror's messages have expired.
type leftoverState struct {
	mirror  []*jsapi.MsgMeta
	top     map[uint64]bool
	expired map[uint64]bool
	items   []Item
}

// subjectPool are the keys of generated states: also such as are a wildcard, or become
// another one in JSON.
var subjectPool = []string{"$KV.b.a", "$KV.b.b", "$KV.b.*", "$KV.b.>", "$KV.b.\xff", "$KV.b.\ufffd", "$KV.b.c.d"}

// generateLeftovers makes a state: messages expire, are replaced, are purged without a
// trace, are lost by the mirror, and those at the end have not come to it.
func generateLeftovers(r *rand.Rand) leftoverState {
	s := leftoverState{top: map[uint64]bool{}, expired: map[uint64]bool{}}
	n := uint64(1 + r.IntN(12))
	history := map[string][]uint64{}
	keeps, keepsHere := 1+r.IntN(3), 1+r.IntN(3)
	here := map[string][]uint64{}
	subjects := map[uint64]string{}
	arrived := n - uint64(r.IntN(3))
	for seq := uint64(1); seq <= n; seq++ {
		subject := subjectPool[r.IntN(len(subjectPool))]
		subjects[seq] = subject
		history[subject] = append(history[subject], seq)
		if len(history[subject]) > keeps {
			history[subject] = history[subject][1:]
		}
		if seq <= arrived && r.IntN(12) > 0 {
			here[subject] = append(here[subject], seq)
			if len(here[subject]) > keepsHere {
				here[subject] = here[subject][1:]
			}
		}
	}
	for _, kept := range history {
		for _, seq := range kept {
			switch r.IntN(6) {
			case 0: // purged without a trace
			case 1:
				s.expired[seq] = true
			default:
				s.top[seq] = true
			}
		}
	}
	held := map[uint64]bool{}
	for _, kept := range here {
		for _, seq := range kept {
			held[seq] = true
		}
	}
	for seq := uint64(1); seq <= n; seq++ {
		s.add(seq, subjects[seq], held[seq], seq <= arrived, r)
	}
	return s
}

// add adds a sequence, with what a comparison says of it.
func (s *leftoverState) add(seq uint64, subject string, held, arrived bool, r *rand.Rand) {
	if held {
		s.mirror = append(s.mirror, &jsapi.MsgMeta{Seq: seq, Subject: []byte(subject)})
	}
	item := Item{Seq: seq, Subject: subject}
	switch {
	case held && !s.top[seq] && s.expired[seq]:
		item.Kind, item.Reason = LeftOver, Expired
	case held && !s.top[seq] && r.IntN(20) == 0:
		item.Kind, item.Reason = LeftOver, "a reason of a later version"
	case held && !s.top[seq]:
		item.Kind, item.Reason = LeftOver, Gone
	case !held && s.top[seq] && arrived:
		item.Kind, item.Reason = Missing, Absent
	default:
		return
	}
	s.items = append(s.items, item)
}

// purged is what a server leaves of the mirror after a purge, whose subject goes
// through JSON and is a filter.
func purged(mirror []*jsapi.MsgMeta, p Purge) []*jsapi.MsgMeta {
	var filter string
	if data, err := json.Marshal(p.Subject); err != nil || json.Unmarshal(data, &filter) != nil {
		panic(err)
	}
	return slices.DeleteFunc(slices.Clone(mirror), func(m *jsapi.MsgMeta) bool {
		return m.Seq < p.Before && matches(filter, string(m.Subject))
	})
}

func matches(filter, subject string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range f {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s), token != "*" && token != s[i]:
			return false
		}
	}
	return len(f) == len(s)
}

// lost says what is wrong with a purge: a message that the top holds is gone from the
// mirror, or, without consent, one that has no newer one of its key there.
func (s leftoverState) lost(left []*jsapi.MsgMeta, consent bool) string {
	remains := map[uint64]bool{}
	newest := map[string]uint64{}
	for _, m := range left {
		remains[m.Seq] = true
		newest[string(m.Subject)] = m.Seq
	}
	for _, m := range s.mirror {
		switch {
		case remains[m.Seq]:
		case s.top[m.Seq]:
			return fmt.Sprintf("message %d of %q is alive at the top", m.Seq, m.Subject)
		case !consent && !s.expired[m.Seq] && newest[string(m.Subject)] < m.Seq:
			return fmt.Sprintf("message %d of %q may be the last copy", m.Seq, m.Subject)
		}
	}
	return ""
}

// Whatever the state, and wherever the purge is interrupted, nothing goes that is alive
// at the top of the chain, and without consent nothing that may be the last copy.
func TestPurgesLoseNothing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(10, 3))
	planned, consented := 0, 0
	for i := range 100_000 {
		s := generateLeftovers(r)
		l := &Leftovers{Max: 1 + r.IntN(8), Gone: r.IntN(2) == 0}
		if r.IntN(4) == 0 { // those that were compared for longer come last
			r.Shuffle(len(s.items), func(i, j int) { s.items[i], s.items[j] = s.items[j], s.items[i] })
		}
		for _, item := range s.items {
			l.Add(item)
		}
		if err := l.checkHeld(&list{messages: s.mirror}); err != nil {
			t.Fatal(err)
		}
		purges := l.Purges()
		planned += len(purges)
		if l.Gone {
			consented += len(purges)
		}
		r.Shuffle(len(purges), func(i, j int) { purges[i], purges[j] = purges[j], purges[i] })
		left := s.mirror
		for n, p := range purges {
			left = purged(left, p)
			if why := s.lost(left, l.Gone); why != "" {
				t.Fatalf("case %d, after %d of %v: %s; the top holds %v", i, n+1, purges, why, s.top)
			}
		}
	}
	if consented < 10_000 || planned-consented < 10_000 {
		t.Errorf("%d purges with consent and %d without say little", consented, planned-consented)
	}
}

// What can be purged of a key is told by what is left over of it, and by what else the
// mirror holds.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	const a = "$KV.b.a"
	leftOver := func(reason string, seqs ...uint64) (items []Item) {
		for _, seq := range seqs {
			items = append(items, Item{Kind: LeftOver, Reason: reason, Seq: seq, Subject: a})
		}
		return items
	}
	for _, test := range []struct {
		name    string
		items   []Item
		held    []uint64 // by the mirror, of the same key
		without []Purge  // consent
		with    []Purge
		gone    uint64
		left    []string
	}{
		{"expired", leftOver(Expired, 3), []uint64{3}, []Purge{{a, 4, 1}}, []Purge{{a, 4, 1}}, 0, nil},
		{"gone without a trace", leftOver(Gone, 3), []uint64{3}, nil, []Purge{{a, 4, 1}}, 1, nil},
		{"replaced", leftOver(Gone, 3), []uint64{3, 7}, []Purge{{a, 4, 1}}, []Purge{{a, 4, 1}}, 0, nil},
		{"expired and then gone", slices.Concat(leftOver(Expired, 2), leftOver(Gone, 3)), []uint64{2, 3}, []Purge{{a, 3, 1}}, []Purge{{a, 4, 2}}, 1, nil},
		{"gone and then expired", slices.Concat(leftOver(Gone, 2), leftOver(Expired, 3)), []uint64{2, 3}, nil, []Purge{{a, 4, 2}}, 2, nil},
		{"an older one is not", leftOver(Expired, 3), []uint64{1, 3}, nil, nil, 0, []string{a}},
		{"another is missing", append(leftOver(Expired, 3), Item{Kind: Missing, Seq: 9, Subject: a}), []uint64{3}, nil, nil, 0, []string{a}},
		{"a reason that is not known", leftOver("later", 3), []uint64{3}, nil, []Purge{{a, 4, 1}}, 1, nil},
		{"a kind that is not known", []Item{{Kind: "missing-above", Seq: 3, Subject: a}}, []uint64{3}, nil, nil, 0, nil},
		{"one that is gone comes last", slices.Concat(leftOver(Expired, 2, 4), leftOver(Gone, 3)), []uint64{2, 3, 4}, nil, []Purge{{a, 5, 3}}, 3, nil},
		{"no valid UTF-8", []Item{{Kind: LeftOver, Reason: Expired, Seq: 3, Subject: "$KV.b.\xff"}}, nil, nil, nil, 0, []string{"$KV.b.\xff"}},
		{"a wildcard", []Item{{Kind: LeftOver, Reason: Expired, Seq: 3, Subject: "$KV.b.*"}}, nil, nil, nil, 0, []string{"$KV.b.*"}},
	} {
		for _, consent := range []bool{false, true} {
			l := &Leftovers{Max: 5, Gone: consent}
			for _, i := range test.items {
				l.Add(i)
			}
			messages := &list{}
			for _, seq := range test.held {
				messages.messages = append(messages.messages, &jsapi.MsgMeta{Seq: seq, Subject: []byte(a)})
			}
			if err := l.checkHeld(messages); err != nil {
				t.Fatal(err)
			}
			want := test.without
			if consent {
				want = test.with
			}
			if got := l.Purges(); !slices.Equal(got, want) || l.GoneMessages() != test.gone || !slices.Equal(l.Unpurgeable(), test.left) {
				t.Errorf("%s, with consent %t: purges %v and leaves %q, %d are gone; want %v, %q, %d", test.name, consent, got, l.Unpurgeable(), l.GoneMessages(), want, test.left, test.gone)
			}
			if l.Purgeable() != (len(want) > 0 || test.gone > 0) {
				t.Errorf("%s, with consent %t: purgeable is %t", test.name, consent, l.Purgeable())
			}
			if held := l.StillHeld(want); held != len(want) {
				t.Errorf("%s: %d of %d are held", test.name, held, len(want))
			}
		}
	}
}

// What came after a purge is not what it was about.
func TestStillHeld(t *testing.T) {
	t.Parallel()
	l := &Leftovers{Max: 1}
	for _, i := range []Item{{Kind: LeftOver, Reason: Expired, Seq: 5, Subject: "a"}, {Kind: LeftOver, Reason: Expired, Seq: 6, Subject: "b"}} {
		l.Add(i)
	}
	if !l.Full() || l.StillHeld([]Purge{{"a", 5, 1}, {"b", 9, 1}}) != 0 || l.StillHeld([]Purge{{"a", 6, 1}}) != 1 {
		t.Errorf("%+v", l)
	}
}

// One purge without a subject is sent where it removes nothing but what may be purged, and
// more than one key.
func TestRequests(t *testing.T) {
	t.Parallel()
	item := func(seq uint64, subject, reason string) Item {
		return Item{Kind: LeftOver, Reason: reason, Seq: seq, Subject: subject}
	}
	a, b, c := item(1, "a", Expired), item(2, "b", Expired), item(7, "c", Expired)
	gone := item(2, "b", Gone)
	keys := func(purges ...Purge) []Purge { return purges }
	for _, test := range []struct {
		name  string
		items []Item
		older Older
		with  bool
		want  []Purge
	}{
		{"all that is older", []Item{a, b, c}, Older{5, 2}, false, keys(Purge{"c", 8, 1}, Purge{"", 5, 2})},
		{"a message more", []Item{a, b, c}, Older{5, 3}, false, keys(Purge{"a", 2, 1}, Purge{"b", 3, 1}, Purge{"c", 8, 1})},
		{"not known", []Item{a, b}, Older{}, false, keys(Purge{"a", 2, 1}, Purge{"b", 3, 1})},
		{"a single key", []Item{a, c}, Older{5, 1}, false, keys(Purge{"a", 2, 1}, Purge{"c", 8, 1})},
		{"gone", []Item{a, gone, c}, Older{8, 3}, false, keys(Purge{"a", 2, 1}, Purge{"c", 8, 1})},
		{"gone, with consent", []Item{a, gone, c}, Older{8, 3}, true, keys(Purge{"", 8, 3})},
		{"unpurgeable", []Item{a, b, item(3, "*", Expired)}, Older{5, 3}, true, keys(Purge{"a", 2, 1}, Purge{"b", 3, 1})},
		{"the key has one missing", []Item{a, b, {Kind: Missing, Seq: 9, Subject: "b"}, c}, Older{8, 3}, true, keys(Purge{"a", 2, 1}, Purge{"c", 8, 1})},
		{"only explained up to there", []Item{a, b, item(6, "b", Gone)}, Older{5, 2}, false, keys(Purge{"a", 2, 1}, Purge{"b", 3, 1})},
		{"a key on both sides of it", []Item{a, b, item(6, "b", Expired)}, Older{5, 2}, false, keys(Purge{"a", 2, 1}, Purge{"b", 7, 2})},
		{"one that the origin has lost", []Item{a, b, {Kind: MissingAbove, Seq: 3, Subject: "d"}}, Older{5, 3}, true, keys(Purge{"a", 2, 1}, Purge{"b", 3, 1})},
	} {
		l := &Leftovers{Max: 9, Gone: test.with}
		for _, i := range test.items {
			l.Add(i)
		}
		if got := l.Requests(l.Purges(), test.older); !slices.Equal(got, test.want) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}
