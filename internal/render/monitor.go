package render

import (
	"fmt"
	"strings"

	"github.com/nats-io/jsm.go/monitor"
	"github.com/nats-io/natscli/columns"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// Formats are the formats of a check: those of [Monitor], and those of [JSON] and
// [Metrics].
func Formats() []string { return []string{"nagios", "json", "prometheus", "text"} }

// nagiosFindings is how many findings of a severity a line for a monitoring
// plugin names; the rest is counted.
const nagiosFindings = 20

// Monitor is the result of a check as nagios or text, as `nats server check` has them.
// A nagios line names only the first findings.
func Monitor(f mirror.Fleet, t check.Thresholds, format string) string {
	r := monitor.Result{Name: "mirrors", Check: "kv_mirrors", NameSpace: "nats_kvmirror", RenderFormat: monitor.NagiosFormat}
	addFindings(&r, f, format)
	status := check.OK
	if f.Status != nil {
		status = *f.Status
	}
	if status == check.OK {
		follow := fmt.Sprintf("%d mirrors follow their origins", len(f.Mirrors))
		if len(f.Mirrors) == 1 {
			follow = "1 mirror follows its origin"
		}
		r.Ok(follow)
	}
	addMetrics(&r, f, t)
	if format == "text" {
		return monitorText(r, status)
	}
	out := r.String()
	if status == check.Unknown {
		out = asUnknown(out)
	}
	return strings.TrimRight(out, "\n") + "\n"
}

// addFindings adds the findings: those about the fleet, and of each mirror.
func addFindings(r *monitor.Result, f mirror.Fleet, format string) {
	lines := map[check.Severity][]string{}
	add := func(subject string, findings []check.Finding) {
		for _, found := range findings {
			line := fmt.Sprintf("%s%s [%s]", subject, Clean(found.Message), found.Code)
			if format == "nagios" {
				line = strings.ReplaceAll(line, "|", `\x7c`) // what follows a | is data
			}
			if found.Severity == check.Unknown {
				line = "unknown: " + line
			}
			lines[found.Severity] = append(lines[found.Severity], line)
		}
	}
	add("", f.Findings)
	for _, m := range f.Mirrors {
		add(Clean(m.Bucket)+": ", m.Findings)
	}
	limit := func(list []string) []string { return list }
	if format == "nagios" {
		limit = firstOnes
	}
	r.Criticals = limit(lines[check.Critical])
	r.Warnings = append(limit(lines[check.Warning]), limit(lines[check.Unknown])...)
}

// addMetrics adds how many mirrors are in which state, and how far behind they are.
func addMetrics(r *monitor.Result, f mirror.Fleet, t check.Thresholds) {
	counts := map[check.Severity]int{}
	var behind uint64
	for _, m := range f.Mirrors {
		counts[m.State]++
		if m.Behind != nil {
			behind = max(behind, *m.Behind)
		}
	}
	r.Pd(
		&monitor.PerfDataItem{Name: "mirrors", Value: float64(len(f.Mirrors)), Help: "Mirrors that were looked at"},
		&monitor.PerfDataItem{Name: "ok", Value: float64(counts[check.OK]), Help: "Mirrors that are fine"},
		&monitor.PerfDataItem{Name: "warning", Value: float64(counts[check.Warning]), Help: "Mirrors with a warning at the worst"},
		&monitor.PerfDataItem{Name: "critical", Value: float64(counts[check.Critical]), Help: "Mirrors that are critical"},
		&monitor.PerfDataItem{Name: "unknown", Value: float64(counts[check.Unknown] + f.Unread), Help: "Mirrors that could not be looked at"},
		&monitor.PerfDataItem{Name: "behind_max", Value: float64(behind), Warn: float64(t.LagWarn), Crit: float64(t.LagCritical), Help: "Messages that the last of the mirrors is behind"},
	)
}

// monitorText is a result for people, in the form of jsm.go, whose own tables ignore
// NATS_TABLE_FORMAT and LLMFORMAT.
func monitorText(r monitor.Result, status check.Severity) string {
	out := fmt.Sprintf("%s: %s\n", r.Name, strings.ToUpper(string(status)))
	detail := NewTable(Style{}, "", "Status", "Message")
	for _, of := range []struct {
		status   string
		messages []string
	}{{"OK", r.OKs}, {"Warning", r.Warnings}, {"Critical", r.Criticals}} {
		for _, message := range of.messages {
			detail.Row(of.status, message)
		}
	}
	if len(r.OKs)+len(r.Warnings)+len(r.Criticals) > 0 {
		out += "\nStatus Detail\n\n" + detail.String() + "\n"
	}
	metrics := NewTable(Style{}, "", "Metric", "Value", "Unit", "Critical Threshold", "Warning Threshold", "Description")
	for _, pd := range r.PerfData {
		metrics.Row(pd.Name, columns.F(pd.Value), pd.Unit, columns.F(pd.Crit), columns.F(pd.Warn), pd.Help)
	}
	return out + "\nCheck Metrics\n\n" + metrics.String() + "\n"
}

func firstOnes(list []string) []string {
	if len(list) <= nagiosFindings {
		return list
	}
	return append(list[:nagiosFindings:nagiosFindings], fmt.Sprintf("and %d more", len(list)-nagiosFindings))
}

// asUnknown makes UNKNOWN of the status: jsm.go's renderer (0.5.1,
// monitor/result.go) sets OK, WARNING or CRITICAL, whatever it was given. Here
// it has set WARNING, because there are unknown findings and no critical ones,
// or OK, when there are no findings at all.
func asUnknown(out string) string {
	for _, set := range []string{"WARNING", "OK"} {
		if rest, ok := strings.CutPrefix(out, set+" "); ok {
			return "UNKNOWN " + rest
		}
	}
	return out
}
