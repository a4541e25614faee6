package render

import (
	"fmt"
	"io"
	"strings"

	pretty "github.com/jedib0t/go-pretty/v6/text"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// Findings writes the result of a check for people: what is wrong, the worst first,
// mirrors with the same finding together, and what fixes it, to be pasted.
func Findings(w io.Writer, f mirror.Fleet, fix Fixer, style Style) error {
	status := statusOf(f)
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", colored(strings.ToUpper(string(status)), status, style), wrapped(tally(f, status, inDomains(f)), style))
	for _, g := range groups(f) {
		severity := fmt.Sprintf("%-*s", len(indent), strings.ToUpper(string(g.Severity)))
		fmt.Fprintf(&b, "\n%s%s\n", colored(severity, g.Severity, style), wrapped(g.String(), style))
		if len(g.of) > 1 {
			fmt.Fprintf(&b, "%s%s\n", indent, wrapped(names(g.of), style))
		}
		for _, line := range fix(g.Finding, g.of) {
			fmt.Fprintf(&b, "%sfix: %s\n", indent, Clean(line))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// statusOf is the worst that was found.
func statusOf(f mirror.Fleet) check.Severity {
	if f.Status == nil {
		return check.OK
	}
	return *f.Status
}

// indent is what stands before each line below a severity.
const indent = "          "

// wrapped is a text that begins behind an indent, in lines that are no longer than the
// terminal is wide.
func wrapped(text string, style Style) string {
	if !style.Terminal || style.Width <= 2*len(indent) {
		return text
	}
	var b strings.Builder
	at := len(indent)
	for i, word := range strings.Split(text, " ") {
		n := pretty.StringWidth(word)
		switch {
		case i == 0:
		case at+1+n > style.Width:
			b.WriteString("\n" + indent)
			at = len(indent)
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// inDomains says where mirrors were looked for, where the servers name domains.
func inDomains(f mirror.Fleet) string {
	var named []string
	for _, d := range f.Domains {
		if d.Domain != "" {
			named = append(named, Clean(d.Domain))
		}
	}
	switch len(named) {
	case 0:
		return ""
	case 1:
		return " in domain " + named[0]
	}
	return " in domains " + strings.Join(named, ", ")
}
