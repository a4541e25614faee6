package content

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"nats-kvmirror/internal/jsapi"
)

// list are messages in memory. Like a walk, it returns the same pointer each time.
type list struct {
	messages []*jsapi.MsgMeta
	current  jsapi.MsgMeta
	fail     error // at the end
}

func (l *list) Next() (*jsapi.MsgMeta, error) {
	if len(l.messages) == 0 {
		if l.fail != nil {
			return nil, l.fail
		}
		return nil, io.EOF
	}
	l.current, l.messages = *l.messages[0], l.messages[1:]
	return &l.current, nil
}

// FuzzMerge compares the merge with maps: every sequence of either side is
// visited once, in order, with the message of each side.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{1, 1, 1}, []byte{1, 1, 1})
	f.Add([]byte{}, []byte{3, 200})
	f.Add([]byte{9, 1}, []byte{})
	f.Add([]byte{1, 2, 3, 4}, []byte{2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		// The steps between the sequences; a step of 0 is the largest.
		side := func(steps []byte) (*list, map[uint64]int) {
			l, at, seq := &list{}, map[uint64]int{}, uint64(0)
			for i, step := range steps {
				if step == 0 {
					seq += 256
				}
				seq += uint64(step)
				l.messages = append(l.messages, &jsapi.MsgMeta{Seq: seq, Size: i})
				at[seq] = i
			}
			return l, at
		}
		mirror, here := side(a)
		origin, there := side(b)
		var want []uint64
		for seq := range here {
			want = append(want, seq)
		}
		for seq := range there {
			if _, ok := here[seq]; !ok {
				want = append(want, seq)
			}
		}
		slices.Sort(want)
		var got []uint64
		err := merge(mirror, origin, func(p pair) error {
			seq := p.seq()
			got = append(got, seq)
			for _, s := range []struct {
				message *jsapi.MsgMeta
				at      map[uint64]int
			}{{p.mirror, here}, {p.origin, there}} {
				if i, ok := s.at[seq]; ok != (s.message != nil) || ok && (s.message.Seq != seq || s.message.Size != i) {
					t.Errorf("at %d: %+v", seq, s.message)
				}
			}
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	})
}

// A failure of either side, and of visit, ends the merge.
func TestMergeFails(t *testing.T) {
	failure := errors.New("failure")
	messages := func(n int, fail error) *list {
		l := &list{fail: fail}
		for i := range n {
			l.messages = append(l.messages, &jsapi.MsgMeta{Seq: uint64(i + 1)})
		}
		return l
	}
	for _, test := range []struct {
		name           string
		mirror, origin *list
		stop           uint64
		visits         uint64
	}{
		{"the mirror at once", messages(0, failure), messages(3, nil), 0, 0},
		{"the origin at once", messages(3, nil), messages(0, failure), 0, 0},
		{"the mirror", messages(2, failure), messages(9, nil), 0, 2},
		{"the origin", messages(9, nil), messages(2, failure), 0, 2},
		{"visit", messages(9, nil), messages(9, nil), 4, 4},
	} {
		var visits uint64
		err := merge(test.mirror, test.origin, func(p pair) error {
			if visits++; p.seq() == test.stop {
				return failure
			}
			return nil
		})
		if !errors.Is(err, failure) || visits != test.visits {
			t.Errorf("%s: %v after %d visits", test.name, err, visits)
		}
	}
}

// FuzzSeqSet: what was added is found again, and nothing else, and the ranges
// cover it and no more than they must.
func FuzzSeqSet(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 1, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 128, 32, 78, 0, 0, 31, 78, 0, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var seqs []uint64
		var seq uint64
		set := &seqSet{}
		for ; len(data) >= 4; data = data[4:] {
			seq += uint64(max(binary.LittleEndian.Uint32(data), 1))
			seqs = append(seqs, seq)
			set.add(seq)
		}
		if set.n != len(seqs) {
			t.Errorf("%d of %d", set.n, len(seqs))
		}
		ranges, r := set.parts(), 0
		for i, seq := range seqs {
			for r < len(ranges) && ranges[r].To < seq {
				r++
			}
			if r == len(ranges) || seq < ranges[r].From {
				t.Fatalf("%d is in no range of %v", seq, ranges)
			}
			if apart := i > 0 && seq-seqs[i-1] >= farApart; (seq == ranges[r].From) != (i == 0 || apart) {
				t.Errorf("%d and those before are covered by %v", seq, ranges)
			}
		}
		in, around := map[uint64]bool{}, []uint64{}
		some := set.reader()
		for i, seq := range seqs {
			in[seq] = true
			around = append(around, seq-1, seq, seq+1)
			if i%2 == 1 && !some.has(seq) { // those between are skipped
				t.Errorf("%d is not found", seq)
			}
		}
		slices.Sort(around)
		all := set.reader()
		for _, seq := range slices.Compact(around) {
			if seq > 0 && all.has(seq) != in[seq] {
				t.Errorf("has %d is not %v", seq, in[seq])
			}
		}
	})
}
