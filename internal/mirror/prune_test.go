package mirror

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What is gone without a trace needs consent, and what was named is what counts, also
// while more is left over all the time.
func TestPruneGone(t *testing.T) {
	t.Parallel()
	l := newLostLab(t, 5)
	purge := func(key string) {
		api(t, l.hub, "STREAM.PURGE.KV_demo", map[string]any{"filter": "$KV.demo." + key}, nil)
	}
	purge("k1")
	purge("k2")
	plan, err := l.client.PlanPrune(t.Context(), PruneRequest{Buckets: []string{"m"}})
	if mirrors, _ := plan.Jobs(); !errors.Is(err, ErrIncomplete) || mirrors != 0 || plan.GoneMessages() != 2 || plan.Mirrors[0].Purge.Gone != 2 {
		t.Fatalf("%v, %d mirrors, %+v", err, mirrors, plan.Mirrors[0].Purge)
	}
	if _, err := plan.Apply(t.Context()); !errors.Is(err, ErrIncomplete) || l.is(t).State.Msgs != 5 {
		t.Fatalf("%v, and the mirror holds %d messages", err, l.is(t).State.Msgs)
	}
	more := 0
	busy := l.connect(t, l.Leaf.URL(), Observer{Begin: func(task Task, _ string) (func(done, of uint64), func(ok bool)) {
		if task == TaskPurge {
			key := fmt.Sprint("more", more)
			more++
			l.put(t, "demo."+key)
			l.isAt(t, uint64(5+more))
			purge(key)
		}
		return func(uint64, uint64) {}, func(bool) {}
	}})
	plan, err = busy.PlanPrune(t.Context(), PruneRequest{Buckets: []string{"m"}})
	if !errors.Is(err, ErrIncomplete) || plan.AcceptGone() != nil {
		t.Fatal(err)
	}
	r, err := plan.Apply(t.Context())
	if m := r.Mirrors[0]; !errors.Is(err, ErrIncomplete) || m.Action != Updated || m.Err != nil || m.Purge.Purged != uint64(1+maxPruneRounds) || !strings.Contains(m.Note, "1 message is left over since") {
		t.Errorf("%v, %+v, %+v", err, m, m.Purge)
	}
}

// A key that is no valid UTF-8 is left alone: JSON would make another one of it, which
// lives.
func TestPruneInvalidUTF8(t *testing.T) {
	t.Parallel()
	l := newLostLab(t, 0)
	l.put(t, "demo.\ufffd")
	l.put(t, "demo.\xff")
	l.isAt(t, 2)
	api(t, l.hub, "STREAM.MSG.DELETE.KV_demo", map[string]any{"seq": 2}, nil)
	plan, err := l.client.PlanPrune(t.Context(), PruneRequest{Buckets: []string{"m"}, Gone: true})
	if mirrors, _ := plan.Jobs(); !errors.Is(err, ErrIncomplete) || mirrors != 0 || plan.Mirrors[0].Purge == nil || plan.Mirrors[0].Purge.UnpurgeableKeys != 1 {
		t.Errorf("%v, %d mirrors, %+v", err, mirrors, plan.Mirrors[0].Purge)
	}
	if _, err := plan.Apply(t.Context()); err == nil || l.is(t).State.Msgs != 2 {
		t.Errorf("%v, and the mirror holds %d messages", err, l.is(t).State.Msgs)
	}
}
