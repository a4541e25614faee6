package main

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module = "nats-kvmirror/"
	root   = "../.."
)

// goPackage is what `go list -json` says of a package, as far as it counts here.
type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// packages are those of this project, by path without the module's name.
func packages(t *testing.T) map[string]goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]goPackage{}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p goPackage
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(p.ImportPath, module)] = p
	}
	return all
}

// page is docs/architecture.md.
func page(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestImports compares the imports with the table in docs/architecture.md, in both
// directions.
func TestImports(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `((?:cmd|internal)/[a-z/-]+)` \\| (.*) \\|$")
	documented := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(page(t), -1) {
		documented[m[1]] = strings.Fields(strings.ReplaceAll(m[2], "`", ""))
	}
	if len(documented) == 0 {
		t.Fatal("docs/architecture.md has no table of imports")
	}
	all := packages(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var imports []string
		for _, path := range all[name].Imports {
			if other, ours := strings.CutPrefix(path, module); ours {
				imports = append(imports, other)
			}
		}
		if !slices.Equal(imports, documented[name]) {
			t.Errorf("%s imports %v, docs/architecture.md has %v", name, imports, documented[name])
		}
	}
	for name := range documented {
		if _, there := all[name]; !there {
			t.Errorf("docs/architecture.md has %s, which is no package", name)
		}
	}
}

// TestOperationsHaveNoSurface: what internal/mirror is linked with can be used without a
// terminal and without a command line.
func TestOperationsHaveNoSurface(t *testing.T) {
	all := packages(t)
	for _, dep := range all["internal/mirror"].Deps {
		for _, surface := range []string{module + "internal/cli", module + "internal/render", module + "internal/demo", "github.com/choria-io/fisk", "github.com/AlecAivazis/survey", "github.com/jedib0t/go-pretty"} {
			if dep == surface || strings.HasPrefix(dep, surface+"/") {
				t.Errorf("internal/mirror depends on %s", dep)
			}
		}
	}
	for _, path := range all["internal/cli"].Imports {
		if path == module+"internal/jsapi" || path == module+"internal/content" {
			t.Errorf("internal/cli imports %s", path)
		}
	}
}

// TestArchitectureNames: the files and functions that docs/architecture.md names are
// there.
func TestArchitectureNames(t *testing.T) {
	words := map[string]bool{}
	word := regexp.MustCompile(`\w+`)
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		source, err := os.ReadFile(path)
		for _, w := range word.FindAllString(string(source), -1) {
			words[w] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`(?:[A-Za-z]+\\.)*([A-Za-z]+)`").FindAllStringSubmatch(page(t), -1) {
		if name := m[1]; !words[name] {
			t.Errorf("docs/architecture.md names %s, which is in no source", m[0])
		}
	}
	for _, name := range regexp.MustCompile(`\b(?:cmd|internal)/[a-z/_-]+\.go\b`).FindAllString(page(t), -1) {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("docs/architecture.md names %s: %v", name, err)
		}
	}
}
