package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// A wrong command line is answered with how the command is called, and with what was
// probably meant.
func TestWrongLines(t *testing.T) {
	t.Parallel()
	const usage = "usage: nats-kvmirror [<flags>] <command> [<args> ...]"
	const add = "usage: nats-kvmirror add --mirror=ORIGIN [<flags>] [<bucket>]"
	for _, test := range []struct{ line, usage, hint string }{
		{"chek", usage, "did you mean check?"},
		{"chek demo --content", usage, "did you mean check?"},
		{"lsit", usage, "did you mean list?"},
		{"repiar --all", usage, "did you mean repair?"},
		{"frobnicate", usage, "see `nats-kvmirror --help`"},
		{"rm demo", usage, "see `nats-kvmirror --help`"},
		{"add m --mirorr demo", add, "did you mean --mirror?"},
		{"add m --mirror demo --no-alow-msg-ttl", add, "did you mean --no-allow-msg-ttl?"},
		{"add m --mirror demo --js-doman hub", add, "did you mean --js-domain?"},
		{"add m --mirror demo --mirror-tll 5s", add, "see `nats-kvmirror add --help`"},
		{"add", add, "see `nats-kvmirror add --help`"},
		{"edit", "usage: nats-kvmirror edit [<flags>] <bucket>", "see `nats-kvmirror edit --help`"},
		{"repair -x", "usage: nats-kvmirror repair [<flags>] [<bucket> ...]", "see `nats-kvmirror repair --help`"},
		{"info a b", "usage: nats-kvmirror info [<flags>] [<bucket>]", "see `nats-kvmirror info --help`"},
		{"edit m --history many", "", ""},
		{"edit m --storage file", "", "delete the mirror and create it again with `nats-kvmirror add`"},
	} {
		var errs bytes.Buffer
		if code := Run(t.Context(), strings.Fields(test.line), Streams{In: strings.NewReader(""), Out: io.Discard, Err: &errs}); code != exitFailed {
			t.Errorf("%s: exit code %d", test.line, code)
		}
		lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
		want := []string{lines[0]}
		if test.usage != "" {
			want = append(want, test.usage)
		}
		if test.hint != "" {
			want = append(want, "hint: "+test.hint)
		}
		if strings.Join(lines, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", test.line, errs.String(), strings.Join(want, "\n"))
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"check", "check", 0}, {"chek", "check", 1}, {"hceck", "check", 1}, {"chekc", "check", 1}, {"xheck", "check", 1}, {"repair", "recreate", 5}} {
		if got := mistakes(test.a, test.b); got != test.want {
			t.Errorf("%q, %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
