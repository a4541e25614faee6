package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestContainerBuild runs the build of the Dockerfile, as it stands there, and looks
// whether the program can be alone in an image.
func TestContainerBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles all packages")
	}
	if runtime.GOOS == "windows" {
		t.Skip("the build is a line of a shell")
	}
	data, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^RUN (.*\bgo build .* )-o /out/ (.*)$`).FindStringSubmatch(string(data))
	if line == nil {
		t.Fatal("the Dockerfile builds nothing into /out/")
	}
	out := t.TempDir()
	cmd := exec.Command("sh", "-c", line[1]+`-o "$OUT/" `+line[2])
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "OUT="+out, "TARGETOS=", "TARGETARCH=", "GOFLAGS=", "VERSION=9.8.7", "REVISION=0123456789abcdef")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	program := filepath.Join(out, "nats-kvmirror")
	version := exec.Command(program, "--version")
	version.Env = []string{} // as in an image: not even a home
	got, err := version.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(got), "nats-kvmirror 9.8.7 (0123456789ab) ") {
		t.Errorf("--version is %q, %v", got, err)
	}
	if runtime.GOOS == "linux" {
		wantStatic(t, program)
	}
}

// wantStatic asserts that a program needs no library and no loader.
func wantStatic(t *testing.T, program string) {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			t.Error("the program needs a loader, which scratch does not have")
		}
	}
}

// TestContainerGo: the Dockerfile builds with the version of Go that go.mod asks for.
func TestContainerGo(t *testing.T) {
	version := func(file, pattern string) string {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(regexp.MustCompile(pattern).FindStringSubmatch(string(data))[1:], "")
	}
	want := version("go.mod", `(?m)^go (\d+\.\d+)`)
	if got := version("Dockerfile", `(?m)^FROM .*golang:(\d+\.\d+) AS build$`); got != want {
		t.Errorf("the Dockerfile has Go %s, go.mod %s", got, want)
	}
}
