package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// A cluster of which some servers do not answer lists some of the streams as
// missing: they are said, and nothing of them is taken for known.
func TestPartlyRead(t *testing.T) {
	t.Parallel()
	sites, _ := plainMirrors(t, 2)
	if code, _, errs := runText(t, t.Context(), "repair", "m1", "--force", "--server", sites.Leaf.URL()); code != 0 {
		t.Fatal(errs)
	}
	shim(t, sites.Leaf.URL(), func(subject string, reply map[string]any) {
		streams, _ := reply["streams"].([]any)
		if subject != "STREAM.LIST" || len(streams) == 0 {
			return
		}
		reply["streams"], reply["missing"] = streams[1:], []string{"KV_m0"}
	})
	at := []string{"--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API"}
	const unread = `stream "KV_m0" at "FAKE.API": its servers do not answer`

	for format, want := range map[string]string{
		"nagios":     "UNKNOWN 2 mirrors: 1 unknown, 1 ok; unknown: " + unread + " [unreadable] | mirrors=1 ok=1 warning=0 critical=0 unknown=1 ",
		"json":       `"status": "unknown"`,
		"prometheus": `nats_kvmirror_check_success{domain="ksds"} 0`,
		"text":       "UNKNOWN: 2 mirrors in domain ksds: 1 unknown, 1 ok\n",
	} {
		if code, out, _ := runText(t, t.Context(), append(at, "check", "--format", format)...); code != 3 || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, and %q is not in %q", format, code, want, out)
		}
	}
	// The one that is not there may be there.
	o := runFleet(t, t.Context(), append(at, "check", "--expect", "2")...)
	o.mustBe(t, 3, mirror.Checked, "")
	for _, f := range o.fleet.Findings {
		if f.Severity != check.Unknown {
			t.Errorf("%s is %s: %s", f.Code, f.Severity, f.Message)
		}
	}
	if len(o.fleet.Findings) != 2 || len(o.fleet.Problems) != 1 || o.fleet.Problems[0] != unread {
		t.Errorf("findings %+v, problems %q", o.fleet.Findings, o.fleet.Problems)
	}
	if code, _, _ := runText(t, t.Context(), append(at, "check", "m1")...); code != 0 {
		t.Errorf("the other one alone: exit code %d", code)
	}

	code, out, errs := runText(t, t.Context(), append(at, "ls", "-n")...)
	if code != 1 || out != "m1\n" || !strings.Contains(errs, "warning: not read: "+unread) {
		t.Errorf("ls: exit code %d, %q, %q", code, out, errs)
	}
	if listed := runFleet(t, t.Context(), append(at, "ls")...); listed.code != 1 || listed.fleet.Unread != 1 || len(listed.fleet.Problems) != 1 || len(listed.fleet.Mirrors) != 1 {
		t.Errorf("ls: exit code %d, %d mirrors, problems %q", listed.code, len(listed.fleet.Mirrors), listed.fleet.Problems)
	}

	repaired := runFleet(t, t.Context(), append(at, "repair", "--all", "--force")...)
	if repaired.code != 1 || repaired.fleet.Error == nil || !strings.Contains(repaired.fleet.Error.Message, unread) {
		t.Errorf("repair: exit code %d, %+v", repaired.code, repaired.fleet.Error)
	}
	if hasTTL(t, sites.Leaf.URL(), "m0") {
		t.Error("repair changed what it could not read")
	}
}

// Where the servers of the only stream do not answer it is not said that there is no
// mirror: that is not known.
func TestNothingRead(t *testing.T) {
	t.Parallel()
	sites, _ := plainMirrors(t, 1)
	shim(t, sites.Leaf.URL(), func(subject string, reply map[string]any) {
		if streams, _ := reply["streams"].([]any); subject == "STREAM.LIST" && len(streams) > 0 {
			reply["streams"], reply["missing"] = []any{}, []string{"KV_m0"}
		}
	})
	at := []string{"--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API"}
	code, out, _ := runText(t, t.Context(), append(at, "check")...)
	if code != 3 || !strings.Contains(out, " unknown=1 ") || strings.Contains(out, "no mirror was found") {
		t.Errorf("check: exit code %d, %q", code, out)
	}
	code, out, errs := runText(t, t.Context(), append(at, "ls")...)
	if code != 1 || out != "No mirrors could be read\n" || !strings.Contains(errs, `stream "KV_m0"`) {
		t.Errorf("ls: exit code %d, %q, %q", code, out, errs)
	}
}

// brokenPipe is a stdout that takes nothing.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// A result that nobody could read is no success.
func TestResultNotWritten(t *testing.T) {
	t.Parallel()
	sites, _ := plainMirrors(t, 1)
	for _, test := range []struct {
		args []string
		code int
	}{
		{[]string{"check"}, 3},
		{[]string{"check", "--json"}, 3},
		{[]string{"ls"}, 1},
		{[]string{"ls", "-n"}, 1},
		{[]string{"ls", "--tree"}, 1},
		{[]string{"ls", "--json"}, 1},
		{[]string{"repair", "--all", "--force"}, 1},
	} {
		var errs bytes.Buffer
		args := append(test.args, "--server", sites.Leaf.URL(), "--no-context")
		if code := Run(t.Context(), args, Streams{In: strings.NewReader(""), Out: brokenPipe{}, Err: &errs}); code != test.code || !strings.Contains(errs.String(), "broken pipe") {
			t.Errorf("%q: exit code %d, want %d: %s", test.args, code, test.code, errs.String())
		}
	}
	if hasTTL(t, sites.Leaf.URL(), "m0") {
		t.Error("the plan could not be shown, and was carried out")
	}
}

// An interrupt while the mirrors are read.
func TestFleetInterrupted(t *testing.T) {
	t.Parallel()
	_, p := plainMirrors(t, 1)
	for _, test := range []struct {
		args   []string
		code   int
		status string
	}{
		{[]string{"check"}, 3, string(check.Unknown)},
		{[]string{"ls"}, 1, ""},
		{[]string{"repair", "--all", "--force"}, 1, ""},
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		p.SetHook(func(m natstest.Message) natstest.Verdict {
			if m.Direction == natstest.ToServer && strings.Contains(m.Subject, "STREAM.LIST") {
				interrupt()
				return natstest.Drop
			}
			return natstest.Pass
		})
		o := runFleet(t, ctx, append(test.args, "--server", p.URL())...)
		o.mustBe(t, test.code, mirror.Failed, mirror.ErrInterrupted)
		if o.fleet.Status != nil && string(*o.fleet.Status) != test.status || o.fleet.Status == nil && test.status != "" {
			t.Errorf("%q: status %v, want %q", test.args, o.fleet.Status, test.status)
		}
		interrupt()
	}
	if n := p.Traffic().Count("$JS.API.STREAM.UPDATE.>"); n > 0 {
		t.Errorf("%d writes", n)
	}
}
