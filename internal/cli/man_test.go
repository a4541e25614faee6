package cli

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/choria-io/fisk"
)

// The man page has every command, flag and variable that is not hidden, and what
// scripts need to know; its macros are all known, so no text was taken for one.
func TestManPage(t *testing.T) {
	t.Setenv("NATS_TIMEOUT", "nonsense") // not even this keeps the page back
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"check", "--help-man"}, Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != exitOK || errs.Len() > 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	page := out.String()
	wants := []string{
		".SH NAME\nnats\\-kvmirror \\- ", ".SH EXIT STATUS\n", ".SH ENVIRONMENT\n", ".SH FILES\n", ".SH EXAMPLES\n", ".I NATS_URL\n", ".I LLMFORMAT\n", ".I XDG_CACHE_HOME\n", ".I ~/.cache/nats\\-kvmirror/\n",
		".SS check [<bucket>] ...\n",
		".SS edit <bucket>\n",
		"\\fB\\-s, \\-\\-server=URL\\fR\nServers to connect to ($NATS_URL).\n",
		"\\fB\\-\\-[no\\-]compress\\fR\n",
		"\\-\\-filter \\(aqsite7.>\\(aq\n",
		"Also called view, status.\n",
	}
	model := newApp(&runtime{}, func(command) {}).Model()
	for _, f := range model.Flags {
		if !f.Hidden {
			wants = append(wants, manFlag(f))
		}
	}
	for _, c := range model.Commands {
		if c.Hidden {
			continue
		}
		wants = append(wants, ".SS "+c.Name)
		for _, f := range c.Flags {
			if !f.Hidden {
				wants = append(wants, manFlag(f))
			}
		}
	}
	for _, want := range wants {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	known := regexp.MustCompile(`^\.(TH|SH|SS|TP|PP|B|BR|I|IR|nf|fi)( |$)`)
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !known.MatchString(line) {
			t.Errorf("the line %q has no place in a man page", line)
		}
	}
	for _, hidden := range []string{"completion", "introspect", "cheat"} {
		if strings.Contains(page, hidden) {
			t.Errorf("%q is in the page", hidden)
		}
	}
}

// manFlag is how a flag begins in the page.
func manFlag(f *fisk.FlagModel) string {
	name := f.Name
	if f.Negatable {
		name = "[no-]" + name
	}
	return roff("--" + name)
}

// The footer, which has the version, has no room for the revision.
func TestManFooter(t *testing.T) {
	var page bytes.Buffer
	b := build{version: "1.2.3", revision: "0123456789ab", modified: true, date: "2026-11-23"}
	if err := writeMan(&page, newApp(&runtime{}, func(command) {}), b); err != nil {
		t.Fatal(err)
	}
	if got, want := page.String(), `.TH NATS\-KVMIRROR 1 "2026-11-23" "nats\-kvmirror 1.2.3" "User Commands"`+"\n"; !strings.HasPrefix(got, want) {
		t.Errorf("it begins with %.120q, want %q", got, want)
	}
}

func TestRoff(t *testing.T) {
	if got, want := roff(".a \\b\n\n'c' -d"), "\\&.a \\eb\n.PP\n\\(aqc\\(aq \\-d"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
