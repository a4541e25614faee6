package render

import (
	"io"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"nats-kvmirror/internal/mirror"
)

// Metrics writes the result of a check in the text format of Prometheus. What was not
// measured is left out: a gap in a graph is true, a 0 is not. at is when the check ended.
func Metrics(w io.Writer, f mirror.Fleet, at time.Time) error {
	m := newMetrics()
	m.check(f, at)
	for _, member := range f.Mirrors {
		m.member(member)
	}
	families, err := m.registry.Gather()
	if err != nil {
		return err
	}
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
			return err
		}
	}
	return nil
}

// metrics are those of one check.
type metrics struct {
	registry *prometheus.Registry

	info, behind, lastSeen, leftOver, missing, finding, success, timestamp *prometheus.GaugeVec
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewPedanticRegistry()}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "nats_kvmirror", Name: name, Help: help}, append([]string{"domain"}, labels...))
		m.registry.MustRegister(g)
		return g
	}
	m.info = gauge("info", "A mirror and its origin, always 1.", "mirror", "origin", "origin_domain")
	m.behind = gauge("behind_messages", "Sequences of the origin that the mirror has still to take; an upper bound with a filter.", "mirror")
	m.lastSeen = gauge("last_seen_seconds", "Time since the mirror's link to its origin was active.", "mirror")
	m.leftOver = gauge("left_over_messages", "Messages that the mirror holds and its origin does not; at least so many without --content.", "mirror")
	m.missing = gauge("missing_messages", "Messages that the origin holds and the mirror does not; at least so many without --content.", "mirror")
	m.finding = gauge("finding", "What is wrong, always 1; mirror is empty in what is about all mirrors, and domain then names all domains.", "mirror", "code", "severity")
	m.success = gauge("check_success", "1 when all mirrors of the domain could be read, whatever was found; else 0.")
	m.timestamp = gauge("check_timestamp_seconds", "When the check ended, in seconds since 1970.")
	return m
}

// check sets what is about the check as a whole.
func (m *metrics) check(f mirror.Fleet, at time.Time) {
	var all []string
	for _, d := range f.Domains {
		domain, success := Clean(d.Domain), 1.0
		if f.Error != nil || d.Problem != "" || d.Partly {
			success = 0
		}
		m.success.WithLabelValues(domain).Set(success)
		m.timestamp.WithLabelValues(domain).Set(float64(at.UnixMilli()) / 1000)
		all = append(all, domain)
	}
	for _, found := range f.Findings {
		m.finding.WithLabelValues(strings.Join(all, ","), "", found.Code, string(found.Severity)).Set(1)
	}
}

// member sets what is about one mirror.
func (m *metrics) member(of mirror.Member) {
	domain, bucket := Clean(of.Domain), Clean(of.Bucket)
	m.info.WithLabelValues(domain, bucket, Clean(of.Origin.Bucket), place(of.Origin.Domain, of.Origin.APIPrefix)).Set(1)
	set := func(g *prometheus.GaugeVec, n *uint64) {
		if n != nil {
			g.WithLabelValues(domain, bucket).Set(float64(*n))
		}
	}
	set(m.behind, of.Behind)
	set(m.leftOver, of.LeftOver)
	set(m.missing, of.Missing)
	if of.Active != nil {
		m.lastSeen.WithLabelValues(domain, bucket).Set(time.Duration(*of.Active).Seconds())
	}
	for _, found := range of.Findings {
		m.finding.WithLabelValues(domain, bucket, found.Code, string(found.Severity)).Set(1)
	}
}
