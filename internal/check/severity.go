package check

import (
	"slices"
	"time"
)

// Severity is how much a finding matters, in the words of monitoring plugins.
type Severity string

// The severities.
const (
	OK       Severity = "ok" // worth knowing, and no reason to worry
	Warning  Severity = "warning"
	Critical Severity = "critical"
	Unknown  Severity = "unknown" // something could not be checked
)

// rank orders severities by how much they matter to a monitoring system.
func (s Severity) rank() int { return slices.Index([]Severity{OK, Warning, Unknown, Critical}, s) }

// Compare is negative when other matters more, positive when it matters less.
func (s Severity) Compare(other Severity) int { return s.rank() - other.rank() }

// Worse returns the severity that matters more. What could not be checked matters
// less than what is known to be critical, and more than a warning.
func (s Severity) Worse(other Severity) Severity {
	if other.rank() > s.rank() {
		return other
	}
	return s
}

// Thresholds are the numbers above which a finding is reported; 0 means never.
type Thresholds struct {
	LagWarn, LagCritical   uint64 // messages behind the origin's last sequence
	SeenWarn, SeenCritical time.Duration
}

// DefaultThresholds are used where nothing else is asked for. A healthy link is
// active about once a second, because idle ones send heartbeats.
func DefaultThresholds() Thresholds {
	return Thresholds{LagWarn: 1_000, LagCritical: 10_000, SeenWarn: 15 * time.Second, SeenCritical: time.Minute}
}
