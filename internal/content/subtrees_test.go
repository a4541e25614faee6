package content

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Purges of subtrees remove what those of the keys would, and nothing else, in as many
// requests or fewer.
func TestSubtrees(t *testing.T) {
	t.Parallel()
	joinedAny := false
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		held := map[string]bool{} // whether what is held of the subject is left over
		for range 100 + r.IntN(900) {
			tokens := []string{"$KV", "demo"}
			for range 1 + r.IntN(4) {
				tokens = append(tokens, fmt.Sprint(r.IntN(5)))
			}
			held[strings.Join(tokens, ".")] = true
		}
		var purges []Purge
		keep := r.IntN(4) // in so many subtrees something stands
		for subject := range held {
			if rest := strings.TrimPrefix(subject, "$KV.demo."); keep > 0 && rest[0] < byte('0'+keep) && r.IntN(20) == 0 {
				held[subject] = false
				continue
			}
			purges = append(purges, Purge{subject, 1 + r.Uint64N(1000), 1})
		}
		slices.SortFunc(purges, func(a, b Purge) int { return strings.Compare(a.Subject, b.Subject) })
		matches := func(filter, subject string) bool {
			parent, isTree := strings.CutSuffix(filter, ">")
			return subject == filter || isTree && strings.HasPrefix(subject, parent)
		}
		joined := Subtrees(purges, func(filter string, of []Purge) bool {
			n := 0
			for subject := range held {
				if matches(filter, subject) {
					n++
				}
			}
			return n == len(of)
		})
		for subject, leftOver := range held {
			removed := uint64(0)
			for _, p := range joined {
				if matches(p.Subject, subject) {
					removed = max(removed, p.Before)
				}
			}
			i := slices.IndexFunc(purges, func(p Purge) bool { return p.Subject == subject })
			if leftOver && removed < purges[i].Before || !leftOver && removed > 0 {
				t.Fatalf("seed %d: %q is purged below %d; left over: %v", seed, subject, removed, leftOver)
			}
		}
		joinedAny = joinedAny || len(joined) < len(purges)
	}
	if !joinedAny {
		t.Error("nothing was ever purged together")
	}
}
