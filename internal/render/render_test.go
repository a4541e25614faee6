package render

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	// Text shows local times. time.Local is no good: a timer of nats-server reads
	// it as well.
	if err := os.Setenv("TZ", "UTC"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// human makes text come out in its form for people.
func human(t *testing.T) {
	t.Setenv("TESTING", "")
	t.Setenv("LLMFORMAT", "")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	name += ".golden"
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", name), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(testdata(t, name)) {
		t.Errorf("not as testdata/%s:\n%s", name, got)
	}
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// broken is a writer that cannot be written to.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestClean(t *testing.T) {
	tests := map[string]string{
		"":                       "",
		"plain text":             "plain text",
		"über 日本 🙂 a\u00a0b":     "über 日本 🙂 a\u00a0b",
		`back\slash 'quote' "x"`: `back\slash 'quote' "x"`,
		"a\nb\r\tc\x00":          `a\nb\r\tc\x00`,
		"\x1b[31mred\x1b[0m":     `\x1b[31mred\x1b[0m`,
		"\u009b31m\u0085":        `\u009b31m\u0085`,
		"\x7f":                   `\x7f`,
		"a\u202eb\u2066c\u200fd": `a\u202eb\u2066c\u200fd`,
		"a\u2028b\u2029c":        `a\u2028b\u2029c`,
		"a\u200bb\ufeff\u00ad":   `a\u200bb\ufeff\u00ad`,
		"bad \xff utf-8":         `bad \ufffd utf-8`,
		"\U000e0041":             `\U000e0041`,
	}
	for in, want := range tests {
		if got := Clean(in); got != want {
			t.Errorf("%q becomes %s, want %s", in, got, want)
		}
	}
}

// unsafe finds what may do something to a terminal or to the text around it.
func unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "plain", "a\nb", "\x1b[31m", "\u202e", "\u2028", "\xff\xfe", "日本", "\U000e0041", "'", `\'`, "\u00a0\u3000", "\ufffd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := Clean(in)
		if strings.ContainsFunc(out, unsafe) || !utf8.ValidString(out) {
			t.Errorf("%q becomes %q", in, out)
		}
		if printable := !strings.ContainsFunc(in, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }); printable && out != in {
			t.Errorf("%q is all printable, and becomes %q", in, out)
		}
	})
}
