package render

import (
	"strings"
	"testing"
)

// topologies are what trees are drawn of.
func topologies() map[string][]Edge {
	hub := func(bucket string, ttl *bool) Node { return Node{bucket, "$JS.hub.API", ttl} }
	here := func(bucket string, ttl *bool) Node { return Node{bucket, "$JS.API", ttl} }
	yes, no := new(true), new(false)
	return map[string][]Edge{
		"several": {
			{here("b", yes), hub("demo", yes)},
			{here("a", no), hub("demo", yes)},
			{here("z", yes), Node{"other", "JS.A.API", nil}},
		},
		// The same edge is told of by each mirror that is below it.
		"chain": {
			{here("third", yes), here("second", no)},
			{here("second", no), here("first", yes)},
			{here("first", yes), hub("demo", yes)},
			{here("second", no), here("first", yes)},
			{here("first", yes), hub("demo", yes)},
			{here("beside", yes), here("first", yes)},
		},
		"read later":    {{here("a", yes), hub("demo", nil)}, {here("b", yes), hub("demo", yes)}},
		"circle":        {{here("a", yes), here("b", yes)}, {here("b", yes), here("a", yes)}, {here("c", yes), here("a", yes)}},
		"itself":        {{here("a", yes), here("a", yes)}},
		"nothing":       {},
		"nasty":         {{Node{nasty, nasty, yes}, Node{`back\slash`, "p", nil}}},
		"same and same": {{here("demo", yes), hub("demo", yes)}},
	}
}

func TestTreeAndDot(t *testing.T) {
	for name, edges := range topologies() {
		t.Run(name, func(t *testing.T) {
			var tree, dot strings.Builder
			if err := Tree(&tree, edges); err != nil {
				t.Fatal(err)
			}
			if err := Dot(&dot, edges); err != nil {
				t.Fatal(err)
			}
			harmless(t, tree.String()+dot.String())
			// Each bucket is drawn once, wherever it stands.
			buckets := map[string]bool{}
			for _, e := range edges {
				buckets[e.Mirror.key()], buckets[e.Origin.key()] = true, true
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
	draw := func(edges []Edge) string {
		var b strings.Builder
		if err := Tree(&b, edges); err != nil {
			t.Fatal(err)
		}
		if err := Dot(&b, edges); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, edges := range topologies() {
		want := draw(edges)
		for i := range edges {
			turned := append(append([]Edge{}, edges[i:]...), edges[:i]...)
			if got := draw(turned); got != want {
				t.Errorf("%s, begun at %d:\n%s\nand not\n%s", name, i, got, want)
			}
		}
	}
}
