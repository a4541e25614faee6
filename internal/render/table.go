package render

import (
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	pretty "github.com/jedib0t/go-pretty/v6/text"
)

// Table is a table in the style of `nats`. NATS_TABLE_FORMAT (csv, tsv, md) and
// LLMFORMAT=1 change its form, as they do there.
type Table struct{ w table.Writer }

// NewTable begins a table.
func NewTable(style Style, title string, header ...any) *Table {
	w := table.NewWriter()
	w.SuppressTrailingSpaces()
	look := table.StyleRounded
	if style.ColorScheme == "double" {
		look = table.StyleDouble
	}
	if c, ok := style.color(); ok {
		look.Color.Border = pretty.Colors{c}
		look.Color.Separator = pretty.Colors{c}
	}
	w.SetStyle(look)
	w.Style().Title.Align = pretty.AlignCenter
	w.Style().Format.Header = pretty.FormatDefault
	w.Style().Format.Footer = pretty.FormatDefault
	if style.Terminal && style.Width > 0 {
		w.Style().Size.WidthMax = style.Width
	}
	w.SetTitle("%s", title)
	w.AppendHeader(header)
	return &Table{w}
}

// Row adds a row.
func (t *Table) Row(cells ...any) { t.w.AppendRow(cells) }

// String is the table in the format that the environment asks for.
func (t *Table) String() string {
	switch tableFormat() {
	case "md":
		return t.w.RenderMarkdown()
	case "csv":
		return t.w.RenderCSV()
	case "tsv":
		return t.w.RenderTSV()
	}
	return t.w.Render()
}

// tableFormat is the form of tables that the environment asks for: md, csv, tsv,
// or "" for one that is drawn.
func tableFormat() string {
	format := strings.ToLower(os.Getenv("NATS_TABLE_FORMAT"))
	switch {
	case os.Getenv("LLMFORMAT") == "1", format == "markdown":
		return "md"
	case format == "md", format == "csv", format == "tsv":
		return format
	}
	return ""
}

// Write writes the table and ends its last line.
func (t *Table) Write(w io.Writer) error {
	_, err := io.WriteString(w, t.String()+"\n")
	return err
}
