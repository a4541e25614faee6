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
		status, _, _ = strings.Cut(out, ":")
	}
	return status
}

// asText is a result in a format.
func asText(t *testing.T, f mirror.Fleet, format string) string {
	t.Helper()
	var b strings.Builder
	err := Nagios(&b, f, check.DefaultThresholds())
	if format == "text" {
		b.Reset()
		err = Findings(&b, f, fixer, Style{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMonitor(t *testing.T) {
	human(t)
	for _, format := range []string{"nagios", "text"} {
		for s, want := range statuses {
			t.Run(format+"/"+want, func(t *testing.T) {
				out := asText(t, checked(s), format)
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

// Nothing to look at, and nothing found, is said to be what the status says and
// never taken for health.
func TestMonitorWithoutFindings(t *testing.T) {
	for _, format := range []string{"nagios", "text"} {
		for s, want := range statuses {
			if s == check.Warning || s == check.Critical {
				continue // they come from findings alone
			}
			out := asText(t, mirror.Fleet{Status: &s}, format)
			if got := said(t, format, out); got != want {
				t.Errorf("%s: it says %q, want %q:\n%s", format, got, want, out)
			}
		}
	}
}

// What follows the first | of a nagios line is data, so no message has one.
func TestMonitorHasOneBar(t *testing.T) {
	if out := asText(t, checked(check.Warning), "nagios"); strings.Count(out, "|") != 1 {
		t.Errorf("more than one bar in %q", out)
	}
}

// A long line is cut, and what was cut is counted; other formats have it all.
func TestMonitorOfMany(t *testing.T) {
	status := check.Critical
	f := mirror.Fleet{Status: &status}
	for i := range 100 {
		f.Mirrors = append(f.Mirrors, mirror.Member{Bucket: fmt.Sprintf("m%02d", i), State: check.Critical, Findings: []check.Finding{{Code: "stalled", Severity: check.Critical, Message: fmt.Sprintf("no progress since %d", i)}}})
	}
	out := asText(t, f, "nagios")
	if n := strings.Count(out, "[stalled]"); n != nagiosFindings || strings.Count(out, "and 80 more") != 1 || !strings.Contains(out, "critical=100") {
		t.Errorf("%d findings in %q", n, out)
	}
	if n := strings.Count(asText(t, f, "text"), "[stalled]"); n != 100 {
		t.Errorf("%d findings as text, want 100", n)
	}
}

// Mirrors with the same finding stand together, and some of them are named.
func TestMonitorOfEqualOnes(t *testing.T) {
	status := check.Critical
	f := mirror.Fleet{Status: &status, Domains: []mirror.Domain{{Domain: "east"}, {Domain: "west"}}}
	for i := range 40 {
		f.Mirrors = append(f.Mirrors, mirror.Member{
			Domain: []string{"east", "west"}[i%2], Several: true, Bucket: fmt.Sprintf("m%02d", i), State: check.Critical,
			Findings: []check.Finding{{Code: "stalled", Severity: check.Critical, Message: "no progress", Remedy: check.Recreate, Fix: []string{"recreate", fmt.Sprintf("m%02d", i)}}},
		})
	}
	for _, format := range []string{"nagios", "text"} {
		out := asText(t, f, format)
		if n := strings.Count(out, "no progress"); n != 1 || !strings.Contains(out, "40 mirrors: no progress [stalled]") || !strings.Contains(out, "m01 (west), m02 (east), ") || !strings.Contains(out, " … and 32 more") {
			t.Errorf("%s: %q", format, out)
		}
	}
}
