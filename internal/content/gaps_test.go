package content

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// What a walk left out tells the sequences of a stream for as long as no other message
// of it goes, and nothing after that.
func TestGaps(t *testing.T) {
	t.Parallel()
	created := time.Unix(1, 0)
	known := 0
	for seed := range uint64(20_000) {
		r := rand.New(rand.NewPCG(seed, 1))
		first, held := 1+r.Uint64N(5), []uint64{}
		to := first + 1 + r.Uint64N(12)
		for seq := first; seq <= to; seq++ {
			if r.IntN(3) > 0 {
				held = append(held, seq)
			}
		}
		var g Gaps
		for _, seq := range held {
			g.add(seq)
		}
		g.end(&stream.Info{Created: created}, to)

		walked, last := slices.Clone(held), to+r.Uint64N(4)
		for seq := to + 1; seq <= last; seq++ {
			held = append(held, seq)
		}
		for range r.IntN(3) { // from the front, as a rule, as messages expire
			if n := len(held); n > 0 {
				at := min(r.IntN(n), r.IntN(n), r.IntN(n))
				held = slices.Delete(held, at, at+1)
			}
		}
		now := &stream.Info{Created: created, State: stream.State{Msgs: uint64(len(held)), FirstSeq: last + 1, LastSeq: last}}
		if len(held) > 0 {
			now.State.FirstSeq = held[0]
		}
		s, err := g.sequences(now)
		if err == nil {
			known++
			var got []uint64
			for r := range s.Ranges() {
				for seq := r.From; seq <= r.To; seq++ {
					got = append(got, seq)
				}
			}
			if !slices.Equal(got, held) {
				t.Fatalf("seed %d: walked %v to %d, and now %v: got %v", seed, walked, to, held, got)
			}
		} else if !errors.Is(err, jsapi.ErrNoSequences) || last == to && len(walked) > 0 && slices.Equal(held, walked) {
			t.Fatalf("seed %d: walked %v to %d, and now %v: %v", seed, walked, to, held, err)
		}
		now.Created = created.Add(1)
		if _, err := g.sequences(now); !errors.Is(err, jsapi.ErrNoSequences) {
			t.Fatalf("seed %d: another stream: %v", seed, err)
		}
	}
	if known < 5_000 {
		t.Errorf("only %d were known", known)
	}
}

// More gaps than are held in memory are not known at all.
func TestGapsAreLimited(t *testing.T) {
	t.Parallel()
	var g Gaps
	g.add(1)
	g.add(maxGaps + 3)
	g.add(maxGaps + 4)
	g.end(&stream.Info{Created: time.Unix(1, 0)}, maxGaps+4)
	if _, err := g.sequences(&stream.Info{Created: time.Unix(1, 0), State: stream.State{Msgs: 3, FirstSeq: 1, LastSeq: maxGaps + 4}}); !errors.Is(err, jsapi.ErrNoSequences) {
		t.Errorf("got %v", err)
	}
}
