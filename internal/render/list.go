package render

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	pretty "github.com/jedib0t/go-pretty/v6/text"
	"github.com/nats-io/natscli/columns"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// List writes a table of the mirrors. On a narrow terminal it has fewer columns, and
// long names are shortened.
func List(w io.Writer, members []mirror.Member, style Style) error {
	if tableFormat() != "" {
		style = Style{} // no colors in what programs read, terminal or not
	}
	all := listColumns(members)
	if style.Terminal && style.Width > 0 {
		all = fitted(all, style.Width)
	}
	var heads []any
	for _, c := range all {
		heads = append(heads, c.head)
	}
	t := NewTable(style, "Key-Value Mirrors", heads...)
	for i, m := range members {
		var row []any
		for _, c := range all {
			cell := c.cells[i]
			if c.head == stateHead {
				cell = colored(cell, m.State, style)
			}
			row = append(row, cell)
		}
		t.Row(row...)
	}
	return t.Write(w)
}

const stateHead = "State"

// column is a column of the list of mirrors.
type column struct {
	head  string
	cells []string
	// least is how far it may be shortened; 0 means not at all.
	least int
	// first says which columns are left out first; 0 means never.
	first int
}

// listColumns are all columns of a list of mirrors.
func listColumns(members []mirror.Member) []column {
	list := []column{
		{head: "Bucket", least: 20}, {head: stateHead, least: 22}, {head: "Domain", least: 8}, {head: "Origin", least: 14}, {head: "TTL", first: 4}, {head: "Origin TTL", first: 3},
		{head: "Values", first: 2}, {head: "Size", first: 1}, {head: "Behind", first: 6}, {head: "Last Seen", first: 5},
	}
	several := slices.ContainsFunc(members, func(m mirror.Member) bool { return m.Several })
	for _, m := range members {
		for i, cell := range []string{
			Clean(m.Bucket), state(m), Clean(m.Domain), originOf(m), columns.F(m.PerKeyTTL), known(m.Origin.PerKeyTTL),
			columns.F(m.Values), humanize.IBytes(m.Bytes), behindOf(m), lastSeen(m),
		} {
			list[i].cells = append(list[i].cells, cell)
		}
	}
	return slices.DeleteFunc(list, func(c column) bool { return c.head == "Domain" && !several })
}

// width is that of the longest cell.
func (c column) width() int {
	n := pretty.StringWidth(c.head)
	for _, cell := range c.cells {
		n = max(n, pretty.StringWidth(cell))
	}
	return n
}

// shorten makes the cells of a column at most so wide: the end of a state is cut off, and
// the middle of a name, since both its ends tell mirrors apart.
func (c column) shorten(width int) column {
	for i, cell := range c.cells {
		runes := []rune(cell)
		switch {
		case pretty.StringWidth(cell) <= width:
		case c.head == stateHead:
			c.cells[i] = pretty.Trim(cell, width-1) + "…"
		default:
			end := (width - 1) / 2
			c.cells[i] = pretty.Trim(cell, width-1-end) + "…" + string(runes[len(runes)-end:])
		}
	}
	return c
}

// fitted are the columns that a table of a width has room for: those that matter less are
// left out until the others can be shortened to fit.
func fitted(all []column, width int) []column {
	const frame = 3 // of each cell
	need := func(widthOf func(column) int) int {
		n := 1
		for _, c := range all {
			n += widthOf(c) + frame
		}
		return n
	}
	least := func(c column) int {
		if c.least == 0 {
			return c.width()
		}
		return min(c.width(), c.least)
	}
	for need(least) > width {
		i := -1
		for k, c := range all {
			if c.first > 0 && (i < 0 || c.first < all[i].first) {
				i = k
			}
		}
		if i < 0 {
			break
		}
		all = slices.Delete(all, i, i+1)
	}
	// What room is left goes to the state first, and then to the columns as they stand.
	spare := max(width-need(least), 0)
	for _, isState := range []bool{true, false} {
		for i, c := range all {
			if c.least > 0 && (c.head == stateHead) == isState {
				more := min(spare, c.width()-least(c))
				spare -= more
				all[i] = c.shorten(least(c) + more)
			}
		}
	}
	return all
}

func originOf(m mirror.Member) string {
	return Clean(m.Origin.Bucket) + " (" + place(m.Origin.Domain, m.Origin.APIPrefix) + ")"
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

// state is the worst finding's severity and the codes of all that are not OK.
func state(m mirror.Member) string {
	var codes []string
	for _, f := range m.Findings {
		if f.Severity != check.OK {
			codes = append(codes, f.Code)
		}
	}
	if len(codes) == 0 {
		return string(m.State)
	}
	return string(m.State) + ": " + strings.Join(codes, ", ")
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
