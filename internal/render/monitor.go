package render

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/jsm.go/monitor"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// Formats are the formats of a check: text is that of [Findings], the others are those of
// [Monitor].
func Formats() []string { return []string{"nagios", "json", "prometheus", "text"} }

// Monitor is the result of a check in a format of monitoring systems, as
// `nats server check` has them. A nagios line names only the first findings.
func Monitor(f mirror.Fleet, t check.Thresholds, format string) string {
	status := check.OK
	if f.Status != nil {
		status = *f.Status
	}
	if format == "nagios" {
		return nagios(f, status, t)
	}
	r := monitor.Result{Name: "mirrors", Check: "kv_mirrors", NameSpace: "nats_kvmirror", RenderFormat: renderFormat(format)}
	addFindings(&r, f)
	if status == check.OK {
		follow := fmt.Sprintf("%d mirrors follow their origins", len(f.Mirrors))
		if len(f.Mirrors) == 1 {
			follow = "1 mirror follows its origin"
		}
		r.Ok(follow)
	}
	addMetrics(&r, f, t)
	out := r.String()
	if status == check.Unknown {
		out = asUnknown(out, format)
	}
	return strings.TrimRight(out, "\n") + "\n"
}

// addFindings adds the findings: those about the fleet, and of each mirror.
func addFindings(r *monitor.Result, f mirror.Fleet) {
	lines := map[check.Severity][]string{}
	add := func(subject string, findings []check.Finding) {
		for _, found := range findings {
			line := fmt.Sprintf("%s%s [%s]", subject, Clean(found.Message), found.Code)
			if found.Severity == check.Unknown {
				line = "unknown: " + line
			}
			lines[found.Severity] = append(lines[found.Severity], line)
		}
	}
	add("", f.Findings)
	for _, m := range f.Mirrors {
		add(Clean(m.Name())+": ", m.Findings)
	}
	r.Criticals = lines[check.Critical]
	r.Warnings = append(lines[check.Warning], lines[check.Unknown]...)
}

// addMetrics adds how many mirrors are in which state, and how far behind they are.
func addMetrics(r *monitor.Result, f mirror.Fleet, t check.Thresholds) {
	n := numbersOf(f)
	r.Pd(
		&monitor.PerfDataItem{Name: "mirrors", Value: float64(len(f.Mirrors)), Help: "Mirrors that were looked at"},
		&monitor.PerfDataItem{Name: "ok", Value: float64(n.in[check.OK]), Help: "Mirrors that are fine"},
		&monitor.PerfDataItem{Name: "warning", Value: float64(n.in[check.Warning]), Help: "Mirrors with a warning at the worst"},
		&monitor.PerfDataItem{Name: "critical", Value: float64(n.in[check.Critical]), Help: "Mirrors that are critical"},
		&monitor.PerfDataItem{Name: "unknown", Value: float64(n.in[check.Unknown]), Help: "Mirrors that could not be looked at"},
		&monitor.PerfDataItem{Name: "behind_max", Value: float64(n.behind), Warn: float64(t.LagWarn), Crit: float64(t.LagCritical), Help: "Messages that the last of the mirrors is behind"},
	)
}

func renderFormat(format string) monitor.RenderFormat {
	if format == "json" {
		return monitor.JSONFormat
	}
	return monitor.PrometheusFormat
}

// asUnknown makes UNKNOWN of the status: jsm.go's renderer (0.5.1,
// monitor/result.go) sets OK, WARNING or CRITICAL, whatever it was given. Here
// it has set WARNING, because there are unknown findings and no critical ones,
// or OK, when there are no findings at all.
func asUnknown(out, format string) string {
	for _, set := range []struct{ status, code string }{{"WARNING", "1"}, {"OK", "0"}} {
		switch format {
		case "json":
			var doc map[string]json.RawMessage
			if json.Unmarshal([]byte(out), &doc) != nil {
				return out
			}
			doc["status"] = json.RawMessage(`"UNKNOWN"`)
			data, err := json.MarshalIndent(doc, "", "  ")
			if err != nil {
				return out
			}
			return string(data)
		case "prometheus":
			out = strings.Replace(out, `status="`+set.status+`"} `+set.code, `status="UNKNOWN"} 3`, 1)
		}
	}
	return out
}
