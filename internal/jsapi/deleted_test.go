package jsapi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/stream"
)

// A list counts only where it is complete, rises and lies between first and last.
func TestSequencesOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		first, last, msgs uint64
		deleted           string
		ok                bool
	}{
		{0, 0, 0, "null", true},
		{6, 5, 0, "[]", true},
		{1, 5, 5, "null", true},
		{2, 6, 2, "[3,4,5]", true},
		{2, 6, 3, "[3,4,5]", false}, // one too many
		{2, 6, 1, "[3,4,5]", false}, // one too few
		{2, 6, 3, "[4,3]", false},
		{2, 6, 3, "[4,4]", false},
		{2, 6, 3, "[2,4]", false},
		{2, 6, 3, "[4,6]", true},
		{2, 6, 3, "[4,9]", false},
		{2, 6, 5, "[-1]", false},
		{6, 2, 1, "null", false},
		{0, 5, 6, "null", false},
		{4, 5, 0, "[4,5]", false},
		{4, 9, 0, "null", false},
		{1, 1<<64 - 1, 0, "null", false},
	} {
		data := fmt.Appendf(nil, `{"state":{"deleted":%s}}`, test.deleted)
		_, err := sequencesOf(stream.State{FirstSeq: test.first, LastSeq: test.last, Msgs: test.msgs}, data)
		if (err == nil) != test.ok || err != nil && !errors.Is(err, ErrNoSequences) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// Sets are compared as their sequences are.
func TestWithout(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	some := func() (*Sequences, []uint64) {
		s := &Sequences{first: 1 + random.Uint64N(5)}
		s.last = s.first - 1
		var has []uint64
		if random.IntN(8) > 0 {
			s.last += 1 + random.Uint64N(12)
		}
		for seq := s.first; seq <= s.last; seq++ {
			if seq > s.first && random.IntN(2) == 0 {
				s.deleted = append(s.deleted, seq)
			} else {
				has = append(has, seq)
			}
		}
		return s, has
	}
	for range 20_000 {
		a, here := some()
		b, there := some()
		to := random.Uint64N(20)
		var want, got []uint64
		count := uint64(0)
		for _, seq := range here {
			if seq <= to {
				count++
				if !slices.Contains(there, seq) {
					want = append(want, seq)
				}
			}
		}
		ranges := a.Without(b, to)
		for _, r := range ranges {
			for seq := r.From; seq <= r.To; seq++ {
				got = append(got, seq)
			}
		}
		var next, previous uint64
		for _, seq := range here {
			if seq <= to {
				previous = seq
			}
			if seq >= to && next == 0 {
				next = seq
			}
		}
		if a.Has(to) != slices.Contains(here, to) || a.Next(to) != next || a.Previous(to) != previous {
			t.Fatalf("%+v at %d: next %d, want %d; previous %d, want %d", a, to, a.Next(to), next, a.Previous(to), previous)
		}
		if !slices.Equal(got, want) || a.Count(to) != count {
			t.Fatalf("%+v without %+v up to %d: %v, want %v; %d, want %d", a, b, to, ranges, want, a.Count(to), count)
		}
	}
}

// What a server lists is what it holds. A stream of too many deletions is not asked.
func TestSequences(t *testing.T) {
	t.Parallel()
	s := start(t, alone)
	api := connect(t, s.URL(), time.Minute).At("$JS.API")
	for _, storage := range []jetstream.StorageType{jetstream.FileStorage, jetstream.MemoryStorage} {
		name := strings.ToUpper(storage.String())
		js := newStream(t, dial(t, s.URL()), jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Storage: storage, MaxMsgsPerSubject: 1})
		sequences := func() (*stream.Info, *Sequences, error) {
			i, err := api.Stream(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			return api.Sequences(t.Context(), name, i.State)
		}
		if _, set, err := sequences(); err != nil || set.Count(1<<60) != 0 {
			t.Fatal(set, err)
		}
		for i := range 500 {
			if _, err := js.js.Publish(t.Context(), fmt.Sprintf("%s.%d", name, i%100+i/300), nil); err != nil {
				t.Fatal(err)
			}
		}
		i, set, err := sequences()
		if err != nil {
			t.Fatal(err)
		}
		w, err := api.Walk(t.Context(), WalkOptions{Stream: name, To: 500})
		if err != nil {
			t.Fatal(err)
		}
		for r := range set.Ranges() {
			for seq := r.From; seq <= r.To; seq++ {
				if m, err := w.Next(); err != nil || m.Seq != seq {
					t.Fatalf("%v: %+v, %v; want %d", storage, m, err, seq)
				}
			}
		}
		w.Close()
		if set.Count(500) != i.State.Msgs || set.First() != i.State.FirstSeq || set.Last() != 500 {
			t.Errorf("%+v, %+v", set, i.State)
		}
		if err := js.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, set, err := sequences(); err != nil || set.Count(1<<60) != 0 || set.First() != 501 {
			t.Error(set, err)
		}
		if _, _, err := api.Sequences(t.Context(), name, stream.State{LastSeq: 1_000_000, Deleted: 3_000_000}); !errors.Is(err, ErrNoSequences) {
			t.Error(err)
		}
	}
}
