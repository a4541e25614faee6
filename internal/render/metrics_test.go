package render

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

var checkedAt = time.Date(2026, 3, 4, 5, 6, 7, 500e6, time.UTC)

func metricsOf(t *testing.T, f mirror.Fleet) string {
	t.Helper()
	var b strings.Builder
	if err := Metrics(&b, f, checkedAt); err != nil {
		t.Fatal(err)
	}
	harmless(t, b.String())
	return b.String()
}

// inKsds is a fleet in one domain, in a state.
func inKsds(s check.Severity) mirror.Fleet {
	f := checked(s)
	f.Domains = []mirror.Domain{{Domain: "ksds"}}
	return f
}

func TestMetrics(t *testing.T) {
	f := inKsds(check.Critical)
	golden(t, "metrics", metricsOf(t, f))
	if err := Metrics(broken{}, f, checkedAt); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("to a broken pipe: %v", err)
	}
}

// What was not measured is left out, and a check that failed says so.
func TestMetricsOfWhatIsUnknown(t *testing.T) {
	unknown := check.Unknown
	failed := mirror.Fleet{Status: &unknown, Domains: []mirror.Domain{{}}, Error: &mirror.Failure{}, Findings: []check.Finding{
		{Code: "unreadable", Severity: check.Unknown}, {Code: "unreadable", Severity: check.Unknown},
	}}
	text := metricsOf(t, failed)
	for _, line := range []string{`nats_kvmirror_check_success{domain=""} 0`, `nats_kvmirror_finding{code="unreadable",domain="",mirror="",severity="unknown"} 1`} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("there is no %s in\n%s", line, text)
		}
	}
	for _, f := range []mirror.Fleet{failed, {Mirrors: []mirror.Member{{Bucket: "far"}}}} {
		if text := metricsOf(t, f); strings.Contains(text, "_messages") || strings.Contains(text, "_seconds{domain=\"\",mirror") {
			t.Errorf("something that was not measured is in\n%s", text)
		}
	}
}

// Each domain of one check has its own success, and what is about all names all.
func TestMetricsOfSeveralDomains(t *testing.T) {
	f := checked(check.Unknown)
	f.Domains = []mirror.Domain{{Domain: "ksds"}, {Domain: "leaf2", Problem: "no responders"}, {Domain: "leaf3", Partly: true}}
	text := metricsOf(t, f)
	for _, line := range []string{
		`check_success{domain="ksds"} 1`, `check_success{domain="leaf2"} 0`, `check_success{domain="leaf3"} 0`,
		`finding{code="unreadable",domain="ksds,leaf2,leaf3",mirror="",severity="unknown"} 1`,
	} {
		if !strings.Contains(text, "nats_kvmirror_"+line+"\n") {
			t.Errorf("there is no %s in\n%s", line, text)
		}
	}
}

// file is a file of a textfile collector's directory.
func file(text string) prometheus.GathererFunc {
	return func() ([]*dto.MetricFamily, error) {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		parsed, err := parser.TextToMetricFamilies(strings.NewReader(text))
		var families []*dto.MetricFamily
		for _, family := range parsed {
			families = append(families, family)
		}
		return families, err
	}
}

// The files of two domains, with the same mirrors, can stand in one directory. Those of
// the same domain cannot, which shows that the test would see it.
func TestMetricsOfDomainsSideBySide(t *testing.T) {
	of := func(domain string) prometheus.GathererFunc {
		f := checked(check.Critical)
		f.Domains, f.Mirrors = []mirror.Domain{{Domain: domain}}, members()
		for i := range f.Mirrors {
			f.Mirrors[i].Domain = domain
		}
		return file(metricsOf(t, f))
	}
	families, err := prometheus.Gatherers{of("ksds"), of("leaf2")}.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if name := family.GetName(); name == "nats_kvmirror_info" && len(family.Metric) != 2*len(members()) || name == "nats_kvmirror_check_success" && len(family.Metric) != 2 {
			t.Errorf("%d of %s", len(family.Metric), name)
		}
	}
	if _, err := (prometheus.Gatherers{of("ksds"), of("ksds")}).Gather(); err == nil {
		t.Error("the same metrics twice are not seen")
	}
}
