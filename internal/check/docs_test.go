package check

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/findings.md")

// docs/findings.md is made from the table.
func TestDocs(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "findings.md")
	want := findingsPage()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Error("docs/findings.md is out of date; go test ./internal/check -run TestDocs -update writes it")
	}
}

func findingsPage() string {
	var b strings.Builder
	b.WriteString(`# Findings

<!-- Made by go test ./internal/check -run TestDocs -update -->

Codes are stable: scripts and ` + "`--ignore`" + ` rely on them. The remedy says what fixes the
finding:

- ` + "`repair`" + `: an update of the mirror's settings,
- ` + "`prune`" + `: removing the messages that are left over on the mirror,
- ` + "`recreate`" + `: deleting the mirror and creating it again,
- ` + "`none`" + `: nothing that can be done to the mirror; follow the advice.

Where the usual remedy does not help, the finding itself names another one: server 2.11.0
cannot turn per-key TTL on, for example, so that the remedy of ` + "`ttl-off`" + ` is ` + "`recreate`" + ` there.

| code | meaning | remedy | advice |
|---|---|---|---|
`)
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", k.Code, k.Meaning, k.Remedy, k.Advice)
	}
	return b.String()
}
