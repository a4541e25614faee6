//go:build faults

package compat

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

const serverModule = "github.com/nats-io/nats-server/v2"

// binaries are the programs under test: the command as it is in this tree, and
// nats-servers by version. Servers are installed when they are first wanted, and
// kept for the next run in the user's cache directory.
type binaries struct {
	command string
	cache   string

	mu sync.Mutex // one installation at a time: each keeps all cores busy
}

// build builds the command of this tree and finds the place of the servers.
func build(ctx context.Context, t *testing.T) *binaries {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	readSources(t)
	b := &binaries{
		command: filepath.Join(t.TempDir(), executable("nats-kvmirror")),
		cache:   filepath.Join(cache, "nats-kvmirror-servers"),
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", b.command, "../../cmd/nats-kvmirror")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the command: %v\n%s", err, out)
	}
	return b
}

// readSources opens what the command is built from. Go takes a test for done when
// nothing that it opened has changed, and does not see what `go build` opens.
func readSources(t *testing.T) {
	t.Helper()
	root := filepath.Join("..", "..")
	for _, dir := range []string{"go.mod", "cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			_, err = os.Stat(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// server is the path of a nats-server of a version, as "2.11.6".
func (b *binaries) server(ctx context.Context, t *testing.T, version string) string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	path := filepath.Join(b.cache, "v"+version, executable("nats-server"))
	if isVersion(ctx, path, version) {
		return path
	}
	if err := b.install(ctx, path, version); err != nil {
		t.Fatalf("nats-server %s is not installed in %s and could not be fetched from the Go module proxy, which these tests need once: %v", version, b.cache, err)
	}
	return path
}

// install puts a server at path, in one step at the end: another run of these
// tests may be doing the same.
func (b *binaries) install(ctx context.Context, path, version string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(path), "install-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	cmd := exec.CommandContext(ctx, "go", "install", serverModule+"@v"+version)
	cmd.Dir = temporary
	cmd.Env = append(os.Environ(), "GOBIN="+temporary, "GOWORK=off", "GOOS=", "GOARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, lastLine(out))
	}
	installed := filepath.Join(temporary, executable("nats-server"))
	if !isVersion(ctx, installed, version) {
		return errors.New("what was installed is another version")
	}
	err = os.Rename(installed, path)
	if isVersion(ctx, path, version) {
		return nil // also when another run was first, and its server is in use
	}
	return err
}

// isVersion says whether path is a nats-server of a version.
func isVersion(ctx context.Context, path, version string) bool {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	return err == nil && strings.TrimSpace(string(out)) == "nats-server: v"+version
}

func executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
