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

// nodeKey identifies a node: by its domain where that is known, since one bucket may be
// read behind several prefixes.
func nodeKey(n mirror.Node) string { return place(n.Domain, n.APIPrefix) + " " + n.Bucket }

// nodeLabel is a node for people.
func nodeLabel(n mirror.Node) string {
	ttl := ""
	switch {
	case n.PerKeyTTL == nil:
		ttl = ", not read"
	case *n.PerKeyTTL:
		ttl = ", per-key TTL"
	}
	return fmt.Sprintf("%s (%s%s)", Clean(n.Bucket), place(n.Domain, n.APIPrefix), ttl)
}

// graph is all chains of mirrors together: each origin's mirrors, and the origins
// that mirror nothing, both sorted.
type graph struct {
	nodes   map[string]mirror.Node
	members map[string]mirror.Member // the nodes that were looked at as mirrors
	mirrors map[string][]string
	roots   []string
}

func newGraph(members []mirror.Member) graph {
	g := graph{nodes: map[string]mirror.Node{}, members: map[string]mirror.Member{}, mirrors: map[string][]string{}}
	mirrors := map[string]bool{}
	for _, m := range members {
		for i, n := range m.Chain {
			key := nodeKey(n)
			if old, ok := g.nodes[key]; !ok || old.PerKeyTTL == nil {
				g.nodes[key] = n
			}
			if i == 0 {
				g.members[key] = m
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

// line is a node in a tree, with its state if it is a mirror that was looked at.
func (g graph) line(key string, style Style) string {
	m, ok := g.members[key]
	if !ok {
		return nodeLabel(g.nodes[key])
	}
	return nodeLabel(g.nodes[key]) + " " + colored(state(m), m.State, style)
}

func (g graph) compare(a, b string) int {
	return cmp.Or(cmp.Compare(g.nodes[a].Bucket, g.nodes[b].Bucket), cmp.Compare(a, b))
}

// Tree draws the origins with their mirrors below them, and their states, chains included.
func Tree(w io.Writer, members []mirror.Member, style Style) error {
	g := newGraph(members)
	var b strings.Builder
	drawn := map[string]bool{}
	// Buckets that mirror each other in a circle have no root; they come last.
	for _, key := range append(g.roots, sortedKeys(g.nodes)...) {
		if drawn[key] {
			continue
		}
		drawn[key] = true
		fmt.Fprintln(&b, g.line(key, style))
		g.draw(&b, key, "", drawn, style)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// draw draws what is below a node and was not drawn before.
func (g graph) draw(b *strings.Builder, key, indent string, drawn map[string]bool, style Style) {
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
		fmt.Fprintln(b, indent+branch+g.line(name, style)+again)
		if again == "" {
			drawn[name] = true
			g.draw(b, name, indent+further, drawn, style)
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
