package render

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Node is a bucket in the topology.
type Node struct {
	Bucket    string
	APIPrefix string
	PerKeyTTL *bool // nil when it was not read
}

// key tells nodes apart.
func (n Node) key() string { return n.APIPrefix + " " + n.Bucket }

// label is a node for people.
func (n Node) label() string {
	ttl := ""
	switch {
	case n.PerKeyTTL == nil:
		ttl = ", not read"
	case *n.PerKeyTTL:
		ttl = ", per-key TTL"
	}
	return fmt.Sprintf("%s (%s%s)", Clean(n.Bucket), place(n.APIPrefix), ttl)
}

// Edge says that a bucket mirrors another.
type Edge struct{ Mirror, Origin Node }

// graph is a topology: each origin's mirrors, and the origins that mirror
// nothing, both sorted.
type graph struct {
	nodes   map[string]Node
	mirrors map[string][]string
	roots   []string
}

func newGraph(edges []Edge) graph {
	g := graph{nodes: map[string]Node{}, mirrors: map[string][]string{}}
	mirrors := map[string]bool{}
	for _, e := range edges {
		for _, n := range []Node{e.Origin, e.Mirror} {
			if old, ok := g.nodes[n.key()]; !ok || old.PerKeyTTL == nil {
				g.nodes[n.key()] = n
			}
		}
		below := g.mirrors[e.Origin.key()]
		if !slices.Contains(below, e.Mirror.key()) {
			g.mirrors[e.Origin.key()] = append(below, e.Mirror.key())
		}
		mirrors[e.Mirror.key()] = true
	}
	for key := range g.nodes {
		slices.SortFunc(g.mirrors[key], g.compare)
		if !mirrors[key] {
			g.roots = append(g.roots, key)
		}
	}
	slices.SortFunc(g.roots, g.compare)
	return g
}

func (g graph) compare(a, b string) int {
	return cmp.Or(cmp.Compare(g.nodes[a].Bucket, g.nodes[b].Bucket), cmp.Compare(a, b))
}

// Tree draws the origins with their mirrors below them, chains included.
func Tree(w io.Writer, edges []Edge) error {
	g := newGraph(edges)
	var b strings.Builder
	drawn := map[string]bool{}
	// Buckets that mirror each other in a circle have no root; they come last.
	for _, key := range append(g.roots, sortedKeys(g.nodes)...) {
		if drawn[key] {
			continue
		}
		drawn[key] = true
		fmt.Fprintln(&b, g.nodes[key].label())
		g.draw(&b, key, "", drawn)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// draw draws what is below a node and was not drawn before.
func (g graph) draw(b *strings.Builder, key, indent string, drawn map[string]bool) {
	below := g.mirrors[key]
	for i, mirror := range below {
		branch, further := "├─ ", "│  "
		if i == len(below)-1 {
			branch, further = "└─ ", "   "
		}
		again := ""
		if drawn[mirror] {
			again = ", in a circle"
		}
		fmt.Fprintln(b, indent+branch+g.nodes[mirror].label()+again)
		if again == "" {
			drawn[mirror] = true
			g.draw(b, mirror, indent+further, drawn)
		}
	}
}

// Dot writes the topology for Graphviz, arrows in the direction of the messages.
func Dot(w io.Writer, edges []Edge) error {
	g := newGraph(edges)
	var b strings.Builder
	b.WriteString("digraph mirrors {\n  rankdir=LR;\n  node [shape=box];\n")
	for _, key := range sortedKeys(g.nodes) {
		fmt.Fprintf(&b, "  %s [label=%s];\n", dotQuote(key), dotQuote(g.nodes[key].label()))
	}
	for _, origin := range sortedKeys(g.nodes) {
		for _, mirror := range g.mirrors[origin] {
			fmt.Fprintf(&b, "  %s -> %s;\n", dotQuote(origin), dotQuote(mirror))
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func sortedKeys(nodes map[string]Node) []string {
	var keys []string
	for key := range nodes {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// dotQuote quotes a string as DOT does: only the quote itself is special.
func dotQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(Clean(s)) + `"`
}
