//go:build faults

package compat

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// table is what is shown of the versions, row by row. Cells of what was not
// looked at are empty.
type table struct {
	mu   sync.Mutex
	rows [][]string
}

// header are the columns: the version, what its server does below a current hub,
// and what it is above a current leaf.
func header() []string {
	return []string{"version", "`add`", "`edit`, file", "`edit`, memory", "after a restart", "what is left over goes with", "as the origin's server"}
}

func newTable(versions []versionCase) *table {
	tab := &table{}
	for _, v := range versions {
		row := make([]string, len(header()))
		row[0] = v.version
		tab.rows = append(tab.rows, row)
	}
	return tab
}

// set fills cells of a version's row, from a column on.
func (tab *table) set(version string, from int, cells ...string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	i := slices.IndexFunc(tab.rows, func(r []string) bool { return r[0] == version })
	copy(tab.rows[i][from:], cells)
}

// below fills in what was seen of a version as the mirror's server.
func (tab *table) below(version string, b behaviour) {
	add := "works"
	if !b.AddTTL {
		add = "refused: no per-key TTL"
	}
	tab.set(version, 1, add, b.File.cell(), b.Memory.cell(), b.restarted(), b.removed())
}

// above fills in what was seen of a version as the origin's server.
func (tab *table) above(version string, b behaviour) {
	cell := "works"
	if !b.AddTTL {
		cell = "no per-key TTL, there and on the mirror"
	}
	tab.set(version, 6, cell)
}

// none stands in a cell that has nothing to say.
const none = "–"

// cell says what became of an old mirror.
func (o old) cell() string {
	switch left := slices.Contains(o.After, leftOver); {
	case o.Edit.Exit != 0:
		return "refused"
	case left && !o.Later:
		return "nothing expires"
	case left:
		return "what had expired stays"
	}
	return "works"
}

// restarted says what a restart did for the mirror in a file.
func (b behaviour) restarted() string {
	switch {
	case b.File.Edit.Exit != 0 || !slices.Contains(b.File.After, leftOver):
		return none
	case slices.Contains(b.Restarted, leftOver):
		return "stays"
	}
	return "clean"
}

// removed says what rids the mirror of what is left over, for good where the
// server can do that.
func (b behaviour) removed() string {
	switch {
	case !slices.Contains(b.File.After, leftOver):
		return none
	case b.File.Edit.Exit != 0 && b.AddTTL && b.Recreated != nil && len(b.Recreated) == 0:
		return "`recreate`"
	case b.Pruned == nil || slices.Contains(b.Pruned, leftOver):
		return "not removed"
	case b.File.Edit.Exit != 0:
		return "`prune`, each time"
	case !b.File.Later && b.LaterRestarted:
		return "a restart and `prune`"
	}
	return "`prune`"
}

// line is a row as it stands in docs/versions.md.
func line(cells []string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// String is the table in Markdown.
func (tab *table) String() string {
	var s strings.Builder
	s.WriteString(line(header()))
	s.WriteString(strings.Repeat("|---", len(header())) + "|\n")
	for _, row := range tab.rows {
		s.WriteString(line(row))
	}
	return s.String()
}

// Marks in docs/versions.md around the table.
const (
	begin = "<!-- go test -tags faults ./internal/compat -update -->\n"
	end   = "<!-- end -->\n"
)

// checkPage makes sure that the table of docs/versions.md says what was seen, or writes
// it there.
func (tab *table) checkPage(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "versions.md")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), begin)
	stands, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("docs/versions.md has no place for the table: %q and %q", begin, end)
	}
	switch {
	case all() && *update && !t.Failed():
		if err := os.WriteFile(path, []byte(before+begin+tab.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	case all() && stands != tab.String():
		t.Errorf("the table in docs/versions.md is another; -update writes it:\n%s", stands)
	case !all():
		tab.checkSeen(t, stands)
	}
}

// checkSeen compares the cells that were seen with those of docs/versions.md.
func (tab *table) checkSeen(t *testing.T, stands string) {
	lines := strings.SplitAfter(stands, "\n")
	for _, row := range tab.rows {
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "| "+row[0]+" |") })
		if i < 0 {
			t.Errorf("version %s is not in the table of docs/versions.md", row[0])
			continue
		}
		there := strings.Split(strings.Trim(lines[i], "| \n"), " | ")
		if len(there) != len(row) {
			t.Errorf("the row of version %s in docs/versions.md has %d cells and not %d", row[0], len(there), len(row))
			continue
		}
		for j, cell := range row {
			if cell != "" && there[j] != cell {
				t.Errorf("version %s, %s: seen was %q, docs/versions.md says %q", row[0], header()[j], cell, there[j])
			}
		}
	}
}
