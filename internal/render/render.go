// Package render shows the results of internal/mirror: as text for people, in the
// form of `nats kv info`, as JSON for scripts, or in a format of a monitoring
// system. All are made from the same values, so none shows what another does not.
package render

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode"

	pretty "github.com/jedib0t/go-pretty/v6/text"
)

// JSON writes a result as one indented document.
func JSON(w io.Writer, doc any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// Clean makes control characters, and what would change the direction or the
// place of the text around it, visible: names and texts come from the network
// and go to a terminal.
func Clean(text string) string {
	if !strings.ContainsFunc(text, unsafeRune) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unsafeRune(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func unsafeRune(r rune) bool {
	return r == unicode.ReplacementChar || r != ' ' && !unicode.IsGraphic(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
}

// Style is how text is to look; its zero value is plain.
type Style struct {
	ColorScheme string // one of the colors of `nats`, or ""
	Terminal    bool   // colors are for terminals
	Width       int    // of the terminal; 0 when not known
}

// color is the color of a scheme; ok is false when there is none.
func (s Style) color() (c pretty.Color, ok bool) {
	c, ok = map[string]pretty.Color{
		"yellow": pretty.FgYellow, "blue": pretty.FgBlue, "cyan": pretty.FgCyan,
		"green": pretty.FgGreen, "magenta": pretty.FgMagenta, "red": pretty.FgRed,
	}[s.ColorScheme]
	return c, ok && s.Terminal
}

// Color is the color of bars and borders.
func (s Style) Color() pretty.Color {
	if c, ok := s.color(); ok {
		return c
	}
	return pretty.FgWhite
}
