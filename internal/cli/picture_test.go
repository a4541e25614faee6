package cli

import (
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The picture of the demo is drawn on a grid of characters, in pixels.
const (
	pictureFont   = 14
	pictureColumn = 8.4
	pictureLine   = 18
	pictureMargin = 20
)

// wantPicture asserts that docs/demo.svg shows what a demo wrote; -update writes it.
func wantPicture(t *testing.T, out string) {
	t.Helper()
	file := filepath.Join(root, "docs", "demo.svg")
	picture := drawPicture(excerpt(out))
	if err := xml.Unmarshal([]byte(picture), new(struct{})); err != nil {
		t.Errorf("the picture is no XML: %v", err)
	}
	if *update {
		if err := os.WriteFile(file, []byte(picture), 0o644); err != nil {
			t.Error(err)
		}
		return
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != picture {
		t.Errorf("%s does not show what the demo writes (%v): go test ./internal/cli -run TestDemo$ -update writes it", file, err)
	}
}

// excerptKinds are the lines of a demo that the picture shows: what is typed, how it ends,
// and the last table. None of them has a time in it.
var excerptKinds = []*regexp.Regexp{
	regexp.MustCompile(`^(hub|leaf)\$ nats`),
	regexp.MustCompile(`^(The origin is empty|plain follows its origin)`),
	regexp.MustCompile(`^Differences|^[-+] `),
	regexp.MustCompile(`^[╭│├╰]`),
}

// excerpt are the lines of the picture, with an empty one where the kind changes.
func excerpt(out string) []string {
	// Of the tables, only the last one.
	last := max(0, strings.LastIndex(out, "╭"))
	out = regexp.MustCompile(`(?m)^[╭│├╰].*\n`).ReplaceAllString(out[:last], "") + out[last:]
	var lines []string
	before := -1
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		kind := slices.IndexFunc(excerptKinds, func(r *regexp.Regexp) bool { return r.MatchString(line) })
		if kind < 0 {
			continue
		}
		if before >= 0 && kind != before {
			lines = append(lines, "")
		}
		lines, before = append(lines, line), kind
	}
	return lines
}

// picture is drawn line by line.
type picture struct{ texts, borders strings.Builder }

// drawPicture draws lines as a terminal shows them.
func drawPicture(lines []string) string {
	var p picture
	columns := 0
	for i, line := range lines {
		columns = max(columns, utf8.RuneCountInString(line))
		p.line(line, pictureMargin+i*pictureLine)
	}
	width, height := math.Ceil(float64(columns)*pictureColumn)+2*pictureMargin, len(lines)*pictureLine+2*pictureMargin
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 %[1]v %[2]d" width="%[1]v" height="%[2]d">
<title>What nats-kvmirror demo shows</title>
<style>
text { font: %[3]dpx ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d5dbe3; white-space: pre }
.hub { fill: #e3b341 } .leaf { fill: #56b6c2 } .typed { fill: #fff } .old { fill: #ff7b72 } .new { fill: #7ee787 } .told { fill: #fff; font-weight: bold }
path { stroke: #6b7685; fill: none }
</style>
<rect width="100%%" height="100%%" rx="8" fill="#161b22"/>
%[4]s<path d="%[5]s"/>
</svg>
`, width, height, pictureFont, &p.texts, &p.borders)
}

// pictureParts are the beginnings of lines that have a color of their own.
var pictureParts = regexp.MustCompile(`^(?:(?P<hub>hub\$)|(?P<leaf>leaf\$)|(?P<old>- .*)|(?P<new>\+ .*)|(?P<told>(?:The|plain) .*))`)

// line draws a line whose upper edge is at y.
func (p *picture) line(line string, y int) {
	rest, class := "", ""
	if m := pictureParts.FindStringSubmatch(line); m != nil {
		line, rest = m[0], line[len(m[0]):]
		class = pictureParts.SubexpNames()[slices.Index(m[1:], m[0])+1]
	}
	p.runs(line, class, 0, y)
	p.runs(rest, "typed", utf8.RuneCountInString(line), y)
}

// pictureRun is a run of text, or one character of a table's border.
var pictureRun = regexp.MustCompile(`[─-╿]|[^ ─-╿]+(?: [^ ─-╿]+)*`)

// runs draws the runs of a text that begins at a column. Each is put into its place and
// given its width, because fonts differ; borders are lines, because some fonts lack them.
func (p *picture) runs(text, class string, column, y int) {
	for _, at := range pictureRun.FindAllStringIndex(text, -1) {
		run := text[at[0]:at[1]]
		x := pictureMargin + float64(column+utf8.RuneCountInString(text[:at[0]]))*pictureColumn
		if first, _ := utf8.DecodeRuneInString(run); boxArms[first] != "" {
			p.border(boxArms[first], x, y)
			continue
		}
		fmt.Fprintf(&p.texts, `<text class="%s" x="%.1f" y="%d" textLength="%.1f">`, class, x, y+pictureFont, float64(utf8.RuneCountInString(run))*pictureColumn)
		if err := xml.EscapeText(&p.texts, []byte(run)); err != nil {
			panic(err) // a strings.Builder takes everything
		}
		p.texts.WriteString("</text>\n")
	}
}

// boxArms are the lines that a character of a border consists of: to the left, right, top
// and bottom.
var boxArms = map[rune]string{'─': "lr", '│': "tb", '╭': "rb", '╮': "lb", '╰': "rt", '╯': "lt", '├': "rtb", '┤': "ltb", '┬': "lrb", '┴': "lrt", '┼': "lrtb"}

// border draws the arms from the middle of a character outwards.
func (p *picture) border(arms string, x float64, y int) {
	const column, line = pictureColumn / 2, pictureLine / 2
	to := map[rune]string{'l': fmt.Sprintf("h-%.1f", column), 'r': fmt.Sprintf("h%.1f", column), 't': fmt.Sprintf("v-%d", line), 'b': fmt.Sprintf("v%d", line)}
	for _, arm := range arms {
		fmt.Fprintf(&p.borders, "M%.1f %d%s", x+column, y+line, to[arm])
	}
}
