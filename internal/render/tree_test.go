package render

import (
	"strings"
	"testing"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// chain is a mirror with what is above it.
func chain(nodes ...mirror.Node) mirror.Member {
	return mirror.Member{Bucket: nodes[0].Bucket, State: check.OK, Chain: nodes}
}

// topologies are what trees are drawn of.
func topologies() map[string][]mirror.Member {
	hub := func(bucket string, ttl *bool) mirror.Node {
		return mirror.Node{Domain: "hub", Bucket: bucket, APIPrefix: "$JS.hub.API", PerKeyTTL: ttl}
	}
	here := func(bucket string, ttl *bool) mirror.Node {
		return mirror.Node{Bucket: bucket, APIPrefix: "$JS.API", PerKeyTTL: ttl}
	}
	yes, no := new(true), new(false)
	return map[string][]mirror.Member{
		"several": {
			chain(here("b", yes), hub("demo", yes)),
			chain(here("a", no), hub("demo", yes)),
			chain(here("z", yes), mirror.Node{Bucket: "other", APIPrefix: "JS.A.API"}),
		},
		// The upper links are in the chain of each mirror below.
		"chain": {
			chain(here("third", yes), here("second", no), here("first", yes), hub("demo", yes)),
			chain(here("second", no), here("first", yes), hub("demo", yes)),
			chain(here("first", yes), hub("demo", yes)),
			chain(here("beside", yes), here("first", yes)),
		},
		"read later": {chain(here("a", yes), hub("demo", nil)), chain(here("b", yes), hub("demo", yes))},
		"circle":     {chain(here("a", yes), here("b", yes)), chain(here("b", yes), here("a", yes)), chain(here("c", yes), here("a", yes))},
		"itself":     {chain(here("a", yes), here("a", yes))},
		"nothing":    {{Bucket: "without a chain"}},
		"nasty":      {chain(mirror.Node{Bucket: nasty, APIPrefix: nasty, PerKeyTTL: yes}, mirror.Node{Bucket: `back\slash`, APIPrefix: "p"})},
		// A bucket that is read behind two prefixes is one, and a name in two domains is two.
		"domains": {
			chain(mirror.Node{Domain: "ksds", Bucket: "m", APIPrefix: "$JS.API", PerKeyTTL: yes}, hub("m", yes)),
			chain(mirror.Node{Domain: "leaf2", Bucket: "m", APIPrefix: "$JS.leaf2.API", PerKeyTTL: yes}, mirror.Node{Domain: "ksds", Bucket: "m", APIPrefix: "$JS.ksds.API", PerKeyTTL: yes}, hub("m", yes)),
		},
		"same and same": {chain(here("demo", yes), hub("demo", yes))},
	}
}

func TestTreeAndDot(t *testing.T) {
	for name, members := range topologies() {
		t.Run(name, func(t *testing.T) {
			var tree, dot strings.Builder
			if err := Tree(&tree, members, Style{}); err != nil {
				t.Fatal(err)
			}
			if err := Dot(&dot, members); err != nil {
				t.Fatal(err)
			}
			harmless(t, tree.String()+dot.String())
			// Each bucket is drawn once, however many chains it is in.
			buckets := map[string]bool{}
			for _, m := range members {
				for _, n := range m.Chain {
					buckets[nodeKey(n)] = true
				}
			}
			drawn := 0
			for line := range strings.Lines(tree.String()) {
				if !strings.Contains(line, "in a circle") {
					drawn++
				}
			}
			if drawn != len(buckets) {
				t.Errorf("%d buckets are drawn, want %d:\n%s", drawn, len(buckets), tree.String())
			}
			golden(t, "tree-"+strings.ReplaceAll(name, " ", "-"), tree.String()+"\n"+dot.String())
		})
	}
}

// The order in which mirrors were read does not show.
func TestTreeIsSorted(t *testing.T) {
	draw := func(members []mirror.Member) string {
		var b strings.Builder
		if err := Tree(&b, members, Style{}); err != nil {
			t.Fatal(err)
		}
		if err := Dot(&b, members); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, members := range topologies() {
		want := draw(members)
		for i := range members {
			turned := append(append([]mirror.Member{}, members[i:]...), members[:i]...)
			if got := draw(turned); got != want {
				t.Errorf("%s, starting at %d:\n%s\nand not\n%s", name, i, got, want)
			}
		}
	}
}
