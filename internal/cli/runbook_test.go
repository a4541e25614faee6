package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Of the blocks of docs/promote.md that are not run as they are, as those that need nats
// as well, each command of this program is played by a script all the same.
func TestRunbook(t *testing.T) {
	t.Parallel()
	all, err := documented()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "testdata", "script", "promote_runbook.txtar"))
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
	for _, b := range all {
		if !b.notRun || !strings.HasPrefix(b.at, "promote.md:") {
			continue
		}
		for line := range strings.Lines(b.text) {
			if command, ok := strings.CutPrefix(strings.TrimSpace(line), appName+" "); ok {
				if n++; !played[command] {
					t.Errorf("%s: %q is not played", b.at, command)
				}
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d commands were found", n)
	}
}
