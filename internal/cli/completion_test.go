package cli

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// completed is what the last of the words can become.
func completed(t *testing.T, words ...string) []string {
	t.Helper()
	var out, errs bytes.Buffer
	args := append([]string{"--completion-bash"}, words...)
	if code := Run(t.Context(), args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != exitOK || errs.Len() > 0 {
		t.Errorf("%q: exit code %d, %s", words, code, errs.String())
	}
	return strings.Fields(out.String())
}

// inTheEnd asserts what a line completes to. A slow machine may not read the
// names in the time that a terminal at a keyboard is made to wait.
func inTheEnd(t *testing.T, line, want string, complete func() string) {
	t.Helper()
	got := complete()
	for deadline := time.Now().Add(longest); got != want && time.Now().Before(deadline); got = complete() {
	}
	if got != want {
		t.Errorf("%s completes to %q, want %q", line, got, want)
	}
}

func TestCompletion(t *testing.T) {
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	t.Setenv("NATS_TIMEOUT", "nonsense")
	for _, c := range []struct {
		line string // words, the last of which is completed
		want string
	}{
		{"|", "add edit info ls check repair prune recreate promote demo"},
		{"|e", "edit"},
		{"|--trace|-s|nats://h|pru", "prune"},
		{"|--colors|", "blue cyan double green magenta red rounded yellow"},
		{"|--colors|r", "red rounded"},
		{"|info|--colors=r", "--colors=red --colors=rounded"},
		{"|edit|b|--no-", "--no-compress --no-republish-headers --no-allow-msg-ttl --no-context --no-tlsfirst"},
		{"|edit|b|--comp", "--compress"},
		{"|add|--storage|", "file memory"},
		{"|add|--storage|m", "memory"},
		{"|edit|--stor", ""}, // refused there
		{"|ls|--state|c", "critical"},
		{"|list|--state|c", "critical"}, // an alias
		{"|check|--format|", "nagios json prometheus text"},
		{"|check|--ignore|count|--ign", "--ignore"}, // can be repeated
		{"|check|--format|text|--form", ""},         // cannot
		{"|edit|b|--creds|", ""},                    // a file
		{"|edit|b|-fs|", ""},                        // the server's address
		{"|add|", ""},                               // a name that is not there yet
		{"|edit|--|--comp", ""},                     // an argument
		{"|--nosuch|info|--for", ""},
		{"|info|", ""}, // no server
	} {
		got := completed(t, strings.Split(c.line, "|")[1:]...)
		slices.Sort(got)
		want := strings.Fields(c.want)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s completes to %q, want %q", c.line, got, want)
		}
	}
	if got := completed(t); len(got) == 0 {
		t.Error("no words complete to nothing")
	}
}

// Every flag that takes one of a few values says which.
func TestEveryFlagCompletes(t *testing.T) {
	model := newApp(&runtime{}, func(command) {}).Model()
	for _, c := range model.Commands {
		if c.Hidden {
			continue
		}
		flags := completed(t, c.Name, "--")
		for _, f := range slices.Concat(c.Flags, model.Flags) {
			if slices.Contains(flags, "--"+f.Name) == f.Hidden {
				t.Errorf("%s: --%s is hidden: %v; it is completed: %v", c.Name, f.Name, f.Hidden, !f.Hidden)
			}
		}
	}
}

func TestCompletionOfMirrors(t *testing.T) {
	t.Parallel()
	sites := plainSites(t)
	keyValue(t, sites.Leaf.URL(), jetstream.KeyValueConfig{Bucket: "other", Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}})
	keyValue(t, sites.Leaf.URL(), jetstream.KeyValueConfig{Bucket: "own"})
	// A name that a shell would run.
	mirror := `{"name":"KV_$(touch_x)","storage":"memory","max_msgs_per_subject":1,"mirror":{"name":"KV_demo","external":{"api":"$JS.hub.API","deliver":""}}}`
	reply, err := connectTo(t, sites.Leaf.URL()).Request("$JS.API.STREAM.CREATE.KV_$(touch_x)", []byte(mirror), longest)
	if err != nil || bytes.Contains(reply.Data, []byte(`"error"`)) {
		t.Fatalf("%v %s", err, reply.Data)
	}
	at := []string{"--no-context", "--server", sites.Leaf.URL()}
	for _, c := range []struct{ line, want string }{
		{"info|", "other plain"},
		{"status|p", "plain"},
		{"edit|o", "other"},
		{"info|plain|", ""},
		{"check|plain|", "other"},
		{"repair|--only|ttl-off|-f|", "other plain"},
		{"add|", ""},
		{"info|--js-domain|nosuch|", ""},
		{"info|--js-domain=ksds|--trace|", "other plain"},
		{"check|--domains|nosuch,ksds|", "other plain"},
		{"check|--domains=hub|", ""},
	} {
		inTheEnd(t, c.line, c.want, func() string {
			return strings.Join(completed(t, slices.Concat(at, strings.Split(c.line, "|"))...), " ")
		})
	}
}

// A server that says nothing keeps nobody from typing.
func TestCompletionDoesNotHang(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if got := suggest(ctx, []string{"--no-context", "--timeout", "1h", "--server", "nats://" + silent.Addr().String(), "info", ""}); got != nil || ctx.Err() != nil {
		t.Errorf("%v after a minute: %v", got, ctx.Err())
	}
}

// The scripts are printed whatever the environment, and hand the words on.
func TestCompletionScripts(t *testing.T) {
	t.Setenv("NATS_TIMEOUT", "nonsense")
	for shell, wants := range map[string][]string{
		"bash": {"complete -o default -F _nats_kvmirror nats-kvmirror\n", `--completion-bash "${words[@]}" 2>/dev/null`},
		"zsh":  {"#compdef nats-kvmirror\n", "compdef _nats_kvmirror nats-kvmirror\n", `--completion-fish "${(@Q)words[2,CURRENT]}" 2>/dev/null`, "compset -P '--[^=]##='"},
		"fish": {"complete -c nats-kvmirror -f -a '(__nats_kvmirror_complete)'\n", `--completion-fish $words[2..-1] "$current" 2>/dev/null`, `printf '%s\n' "$flag$path"`},
	} {
		var out bytes.Buffer
		if code := Run(t.Context(), []string{"--completion-script-" + shell}, Streams{In: strings.NewReader(""), Out: &out, Err: io.Discard}); code != exitOK {
			t.Errorf("%s: exit code %d", shell, code)
		}
		for _, want := range wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in the script for %s:\n%s", want, shell, out.String())
			}
		}
	}
	var out bytes.Buffer
	if Run(t.Context(), []string{"--completion-fish", "ed"}, Streams{In: strings.NewReader(""), Out: &out, Err: io.Discard}); out.String() != "edit\tChanges a mirror, whatever tool made it\n" {
		t.Errorf("fish and zsh are told %q", out.String())
	}
}

// onPath is a directory for the PATH of a shell, with this program in it.
func onPath(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, appName)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// bash itself calls the function of its script, with the words as it splits them.
func TestCompletionInBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	sites := plainSites(t)
	dir := onPath(t)
	complete := func(words ...string) string {
		const script = `source <(nats-kvmirror --completion-script-bash)
complete -p nats-kvmirror
COMP_WORDS=(nats-kvmirror "$@") COMP_CWORD=$#
_nats_kvmirror
printf '[%s]\n' "${COMPREPLY[@]}"`
		cmd := exec.Command(bash, append([]string{"--norc", "-c", script, "bash"}, words...)...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "NATS_URL="+sites.Leaf.URL(), "XDG_CONFIG_HOME="+dir, "NATS_CONTEXT=", "GORACE=atexit_sleep_ms=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimPrefix(string(out), "complete -o default -F _nats_kvmirror nats-kvmirror\n")
	}
	leaf := strings.SplitN(sites.Leaf.URL(), ":", 3)
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"ed"}, "[edit]\n"},
		{[]string{"ls", "--state", ""}, "[ok]\n[warning]\n[critical]\n[unknown]\n"},
		{[]string{"ls", "--colors", "=", "r"}, "[red]\n[rounded]\n"},
		{[]string{"ls", "--colors", "="}, "[blue]\n[cyan]\n[double]\n[green]\n[magenta]\n[red]\n[rounded]\n[yellow]\n"},
		{[]string{"info", ""}, "[plain]\n"},
		{[]string{"--server", leaf[0], ":", leaf[1], ":", leaf[2], "info", "pl"}, "[plain]\n"},
		{[]string{"--server", "=", leaf[0], ":", leaf[1], ":", leaf[2], "edit", ""}, "[plain]\n"},
		{[]string{"--server", "nats", ":", "//127.0.0.1", ":", "1", "edit", ""}, "[]\n"},
	} {
		inTheEnd(t, strings.Join(c.words, "|"), c.want, func() string { return complete(c.words...) })
	}
}
