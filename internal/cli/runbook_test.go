package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every command of this program in docs/promote.md is played by a script, and what the
// page says that it says is there.
func TestRunbook(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "promote.md"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "script", "promote_runbook.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	played := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if _, command, ok := strings.Cut(line, appName+" "); ok {
			played[strings.TrimSpace(command)] = true
		}
	}
	n := 0
	for line := range strings.Lines(string(page)) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), appName+" "); ok {
			command, _, _ = strings.Cut(command, " > ")
			if n++; !played[command] {
				t.Errorf("%q is not played", command)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d commands were found", n)
	}
}
