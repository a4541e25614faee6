package fleet

import (
	"fmt"
	"testing"
	"time"

	"nats-kvmirror/internal/natstest"
)

// What can be read side by side is: the number of round trips, one after the
// other, is counted, not timed. How long they take is measured by BenchmarkFleet
// of the command.
func TestRoundTrips(t *testing.T) {
	slow(t)
	t.Parallel()
	servers, err := natstest.NewFleet()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(servers.Stop)
	p := natstest.ProxyTo(t, servers.Leaf)

	type cost struct{ lists, infos, rounds int }
	for _, c := range []struct {
		grow  int // how many mirrors there are
		named int // how many are asked for; 0 is all
		cost
	}{
		// A page of mirrors, and each origin singly. In all of these one stream of
		// a list is read singly as well, for the version.
		{few, 0, cost{1, few + 1, 2}},
		// So too where there are more: in another domain a list takes longer.
		{fewApart, 0, cost{1, fewApart + 1, 2}},
		// The first page of each side, and then the others, the origins' after their
		// names and some of them.
		{600, 0, cost{6, 1 + sampled, 4}},
		// All singly.
		{600, few, cost{0, 2 * few, 2}},
		// The mirrors in two turns.
		{600, few + 2, cost{0, 2 * (few + 2), 3}},
	} {
		if err := servers.Grow(t.Context(), c.grow); err != nil {
			t.Fatal(err)
		}
		var buckets []string
		for i := range c.named {
			buckets = append(buckets, fmt.Sprintf("fleet-%05d", i))
		}
		if c.named > few {
			buckets[few+1] = fmt.Sprintf("fleet-%05d", c.grow-1)
		}
		r := reader(t, p.URL(), "$JS.API", longTimeout)
		p.SetDelay(150 * time.Millisecond) // more than a busy machine keeps a goroutine waiting
		p.Reset()
		var f Fleet
		want := c.named
		if c.named > 0 {
			f, err = r.Named(t.Context(), buckets)
		} else {
			f, err = r.All(t.Context())
			want = c.grow
		}
		traffic := p.Traffic()
		p.SetDelay(0)
		if err != nil || len(f.Mirrors) != want || len(f.Problems) > 0 || len(unreadOnes(f)) > 0 {
			t.Fatalf("%+v: %d mirrors; problems %v, %v", c, len(f.Mirrors), f.Problems, err)
		}
		both := func(subject string) int {
			return traffic.Count("$JS.API."+subject) + traffic.Count("$JS.hub.API."+subject)
		}
		if got := (cost{both("STREAM.LIST"), both("STREAM.INFO.*"), traffic.Rounds()}); got != c.cost {
			t.Errorf("%d of %d mirrors cost %+v, want %+v", want, c.grow, got, c.cost)
		}
	}
}
