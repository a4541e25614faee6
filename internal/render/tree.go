package render

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"nats-kvmirror/internal/mirror"
)

// nodeKey identifies a node.
func nodeKey(n mirror.Node) string { return n.APIPrefix + " " + n.Bucket }

// nodeLabel is a node for people.
func nodeLabel(n mirror.Node) string {
	ttl := ""
	switch {
	case n.PerKeyTTL == nil:
		ttl = ", not read"
	case *n.PerKeyTTL:
		ttl = ", per-key TTL"
	}
	return fmt.Sprintf("%s (%s%s)", Clean(n.Bucket), place(n.APIPrefix), ttl)
}

// graph is all chains of mirrors together: each origin's mirrors, and the origins
// that mirror nothing, both sorted.
type graph struct {
	nodes   map[string]mirror.Node
	mirrors map[string][]string
	roots   []string
}

func newGraph(members []mirror.Member) graph {
	g := graph{nodes: map[string]mirror.Node{}, mirrors: map[string][]string{}}
	mirrors := map[string]bool{}
	for _, m := range members {
		for i, n := range m.Chain {
			key := nodeKey(n)
			if old, ok := g.nodes[key]; !ok || old.PerKeyTTL == nil {
				g.nodes[key] = n
			}
			if i == 0 {
				continue
			}
			below := nodeKey(m.Chain[i-1])
			if !slices.Contains(g.mirrors[key], below) {
				g.mirrors[key] = append(g.mirrors[key], below)
			}
			mirrors[below] = true
		}
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
func Tree(w io.Writer, members []mirror.Member) error {
	g := newGraph(members)
	var b strings.Builder
	drawn := map[string]bool{}
	// Buckets that mirror each other in a circle have no root; they come last.
	for _, key := range append(g.roots, sortedKeys(g.nodes)...) {
		if drawn[key] {
			continue
		}
		drawn[key] = true
		fmt.Fprintln(&b, nodeLabel(g.nodes[key]))
		g.draw(&b, key, "", drawn)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// draw draws what is below a node and was not drawn before.
func (g graph) draw(b *strings.Builder, key, indent string, drawn map[string]bool) {
	below := g.mirrors[key]
	for i, name := range below {
		branch, further := "├─ ", "│  "
		if i == len(below)-1 {
			branch, further = "└─ ", "   "
		}
		again := ""
		if drawn[name] {
			again = ", in a circle"
		}
		fmt.Fprintln(b, indent+branch+nodeLabel(g.nodes[name])+again)
		if again == "" {
			drawn[name] = true
			g.draw(b, name, indent+further, drawn)
		}
	}
}

// Dot writes the origins and their mirrors for Graphviz, arrows in the direction of the messages.
func Dot(w io.Writer, members []mirror.Member) error {
	g := newGraph(members)
	var b strings.Builder
	b.WriteString("digraph mirrors {\n  rankdir=LR;\n  node [shape=box];\n")
	for _, key := range sortedKeys(g.nodes) {
		fmt.Fprintf(&b, "  %s [label=%s];\n", dotQuote(key), dotQuote(nodeLabel(g.nodes[key])))
	}
	for _, origin := range sortedKeys(g.nodes) {
		for _, below := range g.mirrors[origin] {
			fmt.Fprintf(&b, "  %s -> %s;\n", dotQuote(origin), dotQuote(below))
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func sortedKeys(nodes map[string]mirror.Node) []string { return slices.Sorted(maps.Keys(nodes)) }

// dotQuote quotes a string as DOT does: only the quote itself is special.
func dotQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(Clean(s)) + `"`
}
