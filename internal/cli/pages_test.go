package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/choria-io/fisk"
)

// pages are the documents and their text.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := documents()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(data)
	}
	return texts
}

// The README is what a newcomer has the time to read.
func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	readme := pages(t)[filepath.Join(root, "README.md")]
	if lines, words := strings.Count(readme, "\n"), len(strings.Fields(readme)); lines > 150 || words > 1100 {
		t.Errorf("the README has %d lines and %d words, and may have 150 and 1,100", lines, words)
	}
}

var (
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noAnchor  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	elsewhere = regexp.MustCompile(`^[a-z]+:`)
)

// Every relative link leads to a file that exists, and to a heading that it has.
func TestLinks(t *testing.T) {
	t.Parallel()
	for file, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if elsewhere.MatchString(m[1]) {
				continue
			}
			name, anchor, _ := strings.Cut(m[1], "#")
			to := file
			if name != "" {
				to = filepath.Join(filepath.Dir(file), name)
			}
			data, err := os.ReadFile(to)
			if err != nil {
				t.Errorf("%s: %v", filepath.Base(file), err)
			} else if anchor != "" && !anchors(string(data))[anchor] {
				t.Errorf("%s: %s has no heading %q", filepath.Base(file), name, anchor)
			}
		}
	}
}

// anchors are those of the headings of a page, as GitHub makes them.
func anchors(page string) map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(page, -1) {
		all[strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}

var (
	recipe = regexp.MustCompile("(?ms)^ *```(?:yaml|hcl|cfg|ini|python)\n(.*?)^ *```$")
	aFlag  = regexp.MustCompile(`--[a-z][a-z-]+`)
)

// The blocks that no shell runs, as those of Kubernetes, name flags that there are.
func TestFlagsInRecipes(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	add := func(group *fisk.FlagGroupModel) {
		for _, f := range group.Flags {
			known["--"+f.Name], known["--no-"+f.Name] = true, f.Negatable
		}
	}
	model := newApp(&runtime{}, func(command) {}).Model()
	add(model.FlagGroupModel)
	for _, c := range model.Commands {
		add(c.FlagGroupModel)
	}
	found := 0
	for file, text := range pages(t) {
		for _, block := range recipe.FindAllStringSubmatch(text, -1) {
			for _, flag := range aFlag.FindAllString(block[1], -1) {
				if found++; !known[flag] {
					t.Errorf("%s: there is no flag %s", filepath.Base(file), flag)
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d flags were found", found)
	}
}
