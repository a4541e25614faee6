//go:build shells && unix

package cli

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"

	"nats-kvmirror/internal/natstest"
)

// completer runs a shell that completes its first argument, a command line, and
// returns what it says.
type completer func(t *testing.T, shell, line string, env []string) string

// fish and zsh, which have to be installed (-tags shells), themselves complete a line with their scripts: what this program
// knows, and files, alone and after --flag=.
func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	for name, complete := range map[string]completer{"fish": inFish, "zsh": inZsh} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shell, err := exec.LookPath(name)
			if err != nil {
				t.Fatal(err)
			}
			testShell(t, shell, complete, plainSites(t))
		})
	}
}

func testShell(t *testing.T, shell string, complete completer, sites *natstest.Sites) {
	dir := onPath(t)
	for _, file := range []string{"one.json", "a=b.json"} {
		writeFile(t, dir, file, nil)
	}
	env := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "NATS_URL="+sites.Leaf.URL(), "HOME="+dir, "ZDOTDIR="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir, "NATS_CONTEXT=", "TERM=xterm", "GORACE=atexit_sleep_ms=0")
	for line, want := range map[string]string{
		"ed":                              "edit",
		"ls --colors=re":                  "--colors=red",
		"ls --colors re":                  "red",
		"info pl":                         "plain",
		"check --outfile " + dir + "/on":  dir + "/one.json",
		"check --outfile=" + dir + "/on":  "--outfile=" + dir + "/one.json",
		"check --outfile=" + dir + "/a=b": "--outfile=" + dir + "/a=b.json",
	} {
		inTheEnd(t, line, want, func() string { return complete(t, shell, appName+" "+line, env) })
	}
}

// inFish is the word that fish makes of the last one.
func inFish(t *testing.T, shell, line string, env []string) string {
	t.Helper()
	cmd := exec.Command(shell, "--no-config", "-c", "nats-kvmirror --completion-script-fish | source; complete -C $argv[1]", line)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	word, _, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\t")
	return word
}

// inZsh is the word that zsh makes of the last one. It completes only what stands
// on a terminal's line, so it puts the line there itself.
func inZsh(t *testing.T, shell, line string, env []string) string {
	t.Helper()
	dir := t.TempDir()
	to := filepath.Join(dir, "to")
	writeFile(t, dir, ".zshrc", []byte(`autoload -Uz compinit && compinit -u -D
source <(nats-kvmirror --completion-script-zsh)
zle-line-init() {
	BUFFER=$LINE CURSOR=$#LINE
	zle complete-word
	print -r -- "$BUFFER" > $TO
	exit
}
zle -N zle-line-init
`))
	cmd := exec.Command(shell, "-i", "--no-globalrcs")
	cmd.Env = slices.Concat(env, []string{"ZDOTDIR=" + dir, "LINE=" + line, "TO=" + to})
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	shown, _ := io.ReadAll(tty) // until it ends, which is an error on Linux
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, shown)
	}
	completed, err := os.ReadFile(to)
	if err != nil {
		t.Fatalf("%v: %s", err, shown)
	}
	words := strings.Fields(string(completed))
	return words[len(words)-1]
}
