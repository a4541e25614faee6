//go:build unix

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// host makes the plugin known to the host that stands for nats, and returns what
// its environment needs.
func host(t *testing.T) []string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(program, filepath.Join(dir, appName)); err != nil {
		t.Fatal(err)
	}
	describe := exec.Command(program, "--fisk-introspect")
	describe.Args[0] = appName
	model, err := describe.Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "model.json")
	if err := os.WriteFile(file, model, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"PLUGIN_MODEL=" + file, "PATH=" + dir + ":" + os.Getenv("PATH")}
}
