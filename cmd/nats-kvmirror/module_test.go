package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestModule: .ci/module gives a copy of this tree another path, with which it builds,
// knows its version and has the old path nowhere.
func TestModule(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles all packages")
	}
	if runtime.GOOS == "windows" {
		t.Skip(".ci/module is a shell script")
	}
	dir := filepath.Join(t.TempDir(), "tree")
	eachFile(t, root, func(path string, data []byte, mode fs.FileMode) {
		to := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, mode); err != nil {
			t.Fatal(err)
		}
	})
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		// As a release is compiled: without the directory in it, so that it is cached.
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-trimpath", "GOWORK=off", "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
		return strings.TrimSpace(string(out))
	}

	const path = "example.com/some-one/kv.mirror"
	run("bash", ".ci/module", path)
	if got := run("go", "list", "-m"); got != path {
		t.Errorf("the module is %s, want %s", got, path)
	}
	old := regexp.MustCompile(`(^|[^\w/.-])` + regexp.QuoteMeta(module) + `(cmd|internal)/.*|^module ` + strings.TrimSuffix(module, "/") + `$`)
	eachFile(t, dir, func(path string, data []byte, _ fs.FileMode) {
		for line := range strings.Lines(string(data)) {
			if found := old.FindString(strings.TrimSpace(line)); found != "" {
				t.Errorf("%s has the old path: %s", path, found)
			}
		}
	})
	run("go", "vet", "./...")
	run("bash", ".ci/pages", "build", "9.8.7", "2026-11-23T21:45:00Z")
	if got := run("build/nats-kvmirror", "--version"); !strings.HasPrefix(got, "nats-kvmirror 9.8.7 ") {
		t.Errorf("--version is %q", got)
	}
}

// eachFile calls do with each file below dir that may belong to the project.
func eachFile(t *testing.T, dir string, do func(path string, data []byte, mode fs.FileMode)) {
	t.Helper()
	tree := os.DirFS(dir)
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if name := d.Name(); name == ".git" || d.IsDir() && (name == "build" || name == "dist") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := fs.ReadFile(tree, path)
		do(path, data, info.Mode())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
