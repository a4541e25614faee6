package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// block is a shell block of a document: one that is indented, or fenced without another
// language.
type block struct {
	at     string // file and line
	text   string
	notRun bool // it is marked so, with the reason
}

var (
	root      = filepath.Join("..", "..")
	notRun    = regexp.MustCompile(`^<!-- not run: .+ -->$`)
	fence     = regexp.MustCompile("^ *```(.*)$")
	docInFile = regexp.MustCompile(`(?m)^(?:\[[^]]+\] )*doc (\d) '([^']+)'`)
)

// documents are the README and the pages below docs.
func documents() ([]string, error) {
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	return append(pages, filepath.Join(root, "README.md")), err
}

// documented are the shell blocks of all documents.
func documented() ([]block, error) {
	files, err := documents()
	var all []block
	for _, file := range files {
		data, readErr := os.ReadFile(file)
		if readErr != nil {
			return nil, readErr
		}
		all = append(all, shellBlocks(filepath.Base(file), string(data))...)
	}
	return all, err
}

// shellBlocks are those of a page of Markdown.
func shellBlocks(file, page string) []block {
	var all []block
	lines := strings.Split(page, "\n")
	before, blank := "", true // the last line that is not empty, and whether one is since
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		b := block{at: fmt.Sprintf("%s:%d", file, i+1), notRun: notRun.MatchString(strings.TrimSpace(before))}
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil:
			for i++; i < len(lines) && !fence.MatchString(lines[i]); i++ {
				b.text += lines[i] + "\n"
			}
			if language := strings.TrimSpace(m[1]); language == "" || language == "bash" || language == "sh" || language == "console" {
				all = append(all, b)
			}
		case blank && strings.HasPrefix(line, "    ") && !notRun.MatchString(strings.TrimSpace(line)):
			indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
			for ; i < len(lines) && (strings.HasPrefix(lines[i], "    ") || lines[i] == ""); i++ {
				b.text += strings.TrimPrefix(lines[i], indent) + "\n"
			}
			i--
			all = append(all, b)
			before, blank = "", true
			continue
		}
		if blank = line == ""; !blank {
			before = line
		}
	}
	return all
}

// commands are the block as a shell takes it: where some lines have a prompt, the others
// are what was printed.
func (b block) commands() string {
	var typed []string
	for line := range strings.Lines(b.text) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			typed = append(typed, command)
		}
	}
	if typed == nil {
		return b.text
	}
	return strings.Join(typed, "")
}

// blockWith is the one block with a text in it.
func blockWith(all []block, text string) (block, error) {
	var found []block
	for _, b := range all {
		if strings.Contains(b.text, text) {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		return block{}, fmt.Errorf("%d blocks of the documents have %q in them", len(found), text)
	}
	return found[0], nil
}

// doc N TEXT runs the block of the documents that has TEXT in it, and compares the exit
// code.
func cmdDoc(ts *testscript.TestScript, _ bool, args []string) {
	all, err := documented()
	noErr(ts, err)
	b, err := blockWith(all, args[1])
	noErr(ts, err)
	cmdCode(ts, false, []string{args[0], "sh", "-e", "-c", b.commands()})
}

// Every shell block of the documents is run by a script, where it has to succeed and
// where it has to fail, or says why it is not.
func TestShellBlocksAreRun(t *testing.T) {
	t.Parallel()
	all, err := documented()
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob(filepath.Join(root, "testdata", "script", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	type runs struct{ succeeds, fails bool }
	run := map[string]runs{}
	for _, script := range scripts {
		data, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range docInFile.FindAllStringSubmatch(string(data), -1) {
			b, err := blockWith(all, m[2])
			if err != nil {
				t.Errorf("%s: %v", filepath.Base(script), err)
				continue
			}
			was := run[b.at]
			run[b.at] = runs{was.succeeds || m[1] == "0", was.fails || m[1] != "0"}
		}
	}
	for _, b := range all {
		switch r := run[b.at]; {
		case b.notRun && r != runs{}:
			t.Errorf("%s: it is marked as not run, and is", b.at)
		case !b.notRun && (!r.succeeds || !r.fails):
			t.Errorf("%s: run where it succeeds: %t, where it fails: %t; see testdata/script/README.md\n%s", b.at, r.succeeds, r.fails, b.text)
		}
	}
}

func TestShellBlocks(t *testing.T) {
	t.Parallel()
	const page = "Text\n    goes on.\n\n    one \"$A\"\n    two\n\nText.\n\n<!-- not run: why -->\n\n    three\n\n```yaml\nfour: 4\n```\n\n" +
		"```\n$ five # why\nprinted\n$ six\n```\n- item\n\n      seven\n- item\n\n    <!-- not run: why -->\n\n    ```bash\n    eight\n    ```\n"
	var got []string
	for _, b := range shellBlocks("page", page) {
		got = append(got, fmt.Sprintf("%s %t %q", b.at, b.notRun, b.commands()))
	}
	want := []string{`page:4 false "one \"$A\"\ntwo\n\n"`, `page:11 true "three\n\n"`, `page:17 false "five # why\nsix\n"`, `page:24 false "seven\n"`, `page:29 true "    eight\n"`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
