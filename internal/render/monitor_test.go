package render

import (
	"fmt"
	"strings"
	"testing"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// checked is a fleet in a state.
func checked(s check.Severity) mirror.Fleet {
	f := mirror.Fleet{Action: mirror.Checked, Status: &s}
	all := members()
	switch s {
	case check.OK:
		f.Mirrors = all[3:]
	case check.Warning:
		f.Mirrors = all[2:]
	case check.Unknown:
		f.Mirrors = all[1:]
		f.Findings = []check.Finding{{Code: "unreadable", Severity: check.Unknown, Message: "streams 257 to 300 of 300"}}
	case check.Critical:
		f.Mirrors = all
		f.Findings = []check.Finding{{Code: "count", Severity: check.Critical, Message: "there are 4 mirrors and 5 were expected"}}
	}
	return f
}

var statuses = map[check.Severity]string{check.OK: "OK", check.Warning: "WARNING", check.Critical: "CRITICAL", check.Unknown: "UNKNOWN"}

// said is the status that a result says in its format.
func said(t *testing.T, format, out string) (status string) {
	t.Helper()
	switch format {
	case "nagios":
		if strings.Count(out, "\n") != 1 {
			t.Errorf("it is not one line: %q", out)
		}
		status, _, _ = strings.Cut(out, " ")
	case "text":
		line, _, _ := strings.Cut(out, "\n")
		_, status, _ = strings.Cut(line, ": ")
	}
	return status
}

func TestMonitor(t *testing.T) {
	human(t)
	for _, format := range []string{"nagios", "text"} {
		for s, want := range statuses {
			t.Run(format+"/"+want, func(t *testing.T) {
				out := Monitor(checked(s), check.DefaultThresholds(), format)
				harmless(t, out)
				if got := said(t, format, out); got != want {
					t.Errorf("it says %q, want %q:\n%s", got, want, out)
				}
				if s == check.Unknown || s == check.Critical {
					golden(t, "monitor-"+format+"-"+strings.ToLower(want), out)
				}
			})
		}
	}
}

// The text's tables are as those of all commands.
func TestMonitorForModels(t *testing.T) {
	human(t)
	t.Setenv("LLMFORMAT", "1")
	golden(t, "monitor-text-md", Monitor(checked(check.Critical), check.DefaultThresholds(), "text"))
}

// Nothing to look at, and nothing found, is said to be what the status says and
// never taken for health.
func TestMonitorWithoutFindings(t *testing.T) {
	for _, format := range []string{"nagios", "text"} {
		for s, want := range statuses {
			if s == check.Warning || s == check.Critical {
				continue // they come from findings alone
			}
			out := Monitor(mirror.Fleet{Status: &s}, check.Thresholds{}, format)
			if got := said(t, format, out); got != want {
				t.Errorf("%s: it says %q, want %q:\n%s", format, got, want, out)
			}
		}
	}
}

// What follows the first | of a nagios line is data, so no message has one.
func TestMonitorHasOneBar(t *testing.T) {
	if out := Monitor(checked(check.Warning), check.DefaultThresholds(), "nagios"); strings.Count(out, "|") != 1 {
		t.Errorf("more than one bar in %q", out)
	}
}

// A long line is cut, and what was cut is counted; other formats have it all.
func TestMonitorOfMany(t *testing.T) {
	status := check.Critical
	f := mirror.Fleet{Status: &status}
	for i := range 100 {
		f.Mirrors = append(f.Mirrors, mirror.Member{Bucket: fmt.Sprintf("m%02d", i), State: check.Critical, Findings: []check.Finding{{Code: "stalled", Severity: check.Critical, Message: "no progress"}}})
	}
	out := Monitor(f, check.DefaultThresholds(), "nagios")
	if n := strings.Count(out, "[stalled]"); n != nagiosFindings || !strings.Contains(out, "and 80 more") || !strings.Contains(out, "critical=100") {
		t.Errorf("%d findings in %q", n, out)
	}
	if n := strings.Count(Monitor(f, check.DefaultThresholds(), "text"), "[stalled]"); n != 100 {
		t.Errorf("%d findings as text, want 100", n)
	}
}
