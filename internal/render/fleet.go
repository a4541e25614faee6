package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	pretty "github.com/jedib0t/go-pretty/v6/text"
	"github.com/nats-io/natscli/columns"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
)

// List writes a table of the mirrors.
func List(w io.Writer, members []mirror.Member, style Style) error {
	if tableFormat() != "" {
		style = Style{} // no colors in what programs read, terminal or not
	}
	t := NewTable(style, "Key-Value Mirrors", "Bucket", "Origin", "TTL", "Origin TTL", "Values", "Size", "Behind", "Last Seen", "State")
	for _, m := range members {
		t.Row(
			Clean(m.Bucket), originOf(m), m.PerKeyTTL, known(m.Origin.PerKeyTTL), columns.F(m.Values), humanize.IBytes(m.Bytes),
			behindOf(m), lastSeen(m), state(m, style),
		)
	}
	return t.Write(w)
}

func originOf(m mirror.Member) string {
	return Clean(m.Origin.Bucket) + " (" + place(m.Origin.APIPrefix) + ")"
}

// place is the domain of a prefix, or the prefix.
func place(prefix string) string {
	if domain, ok := kvcfg.DomainOf(prefix); ok {
		return Clean(domain)
	}
	return Clean(prefix)
}

func known(b *bool) string {
	if b == nil {
		return "unknown"
	}
	return columns.F(*b)
}

func behindOf(m mirror.Member) string {
	if m.Behind == nil {
		return "unknown"
	}
	return columns.F(*m.Behind)
}

func lastSeen(m mirror.Member) string {
	if m.Active == nil {
		return "never"
	}
	return columns.F(time.Duration(*m.Active))
}

// state is the worst finding's severity and the codes of all that are not OK, in
// its color.
func state(m mirror.Member, style Style) string {
	text := string(m.State)
	var codes []string
	for _, f := range m.Findings {
		if f.Severity != check.OK {
			codes = append(codes, f.Code)
		}
	}
	if len(codes) > 0 {
		text += ": " + strings.Join(codes, ", ")
	}
	return colored(text, m.State, style)
}

// colored is text in the color of a severity, on a terminal.
func colored(text string, s check.Severity, style Style) string {
	if !style.Terminal {
		return text
	}
	switch s {
	case check.Critical:
		return pretty.FgRed.Sprint(text)
	case check.Warning, check.Unknown:
		return pretty.FgYellow.Sprint(text)
	}
	return text
}

// MemberChanges writes what is to be done to mirrors, each with its differences,
// and what that does not fix.
func MemberChanges(w io.Writer, members []mirror.Member) error {
	var b strings.Builder
	for _, m := range members {
		if len(m.Changes) == 0 && len(m.Findings) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s, mirror of %s:\n", Clean(m.Bucket), originOf(m))
		for _, c := range m.Changes {
			fmt.Fprintf(&b, "- %s: %s\n+ %s: %s\n", c.Field, Value(c.Field, c.From), c.Field, Value(c.Field, c.To))
		}
		for _, f := range m.Findings {
			if f.Remedy == check.Repair && len(m.Changes) > 0 || f.Severity == check.OK {
				continue
			}
			b.WriteString(finding(f))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
