// Package check finds what is wrong with Key-Value mirrors, and says what fixes it.
//
// It is pure: [Facts] that somebody else has read go in, findings come out. One
// table has a row for each finding: its code, what it means, how it is found and
// how it is fixed. The rows stand in a file for each topic (ttl.go, link.go,
// messages.go, settings.go, usable.go, and fleet.go for the fleet as a whole).
package check

import (
	"fmt"
	"slices"
	"sync"

	"nats-kvmirror/internal/stream"
)

// Remedy is the kind of operation that fixes a finding.
type Remedy string

// The remedies.
const (
	None     Remedy = "none"     // no operation on the mirror; see the advice
	Repair   Remedy = "repair"   // an update of the mirror's configuration
	Prune    Remedy = "prune"    // removing messages from the mirror
	Recreate Remedy = "recreate" // deleting the mirror and creating it again
)

// Finding is one problem that was found.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"` // one sentence: what was observed
	Remedy   Remedy   `json:"remedy"`
	// Advice is what a person does besides the remedy or instead of it. It names
	// no command and no flag.
	Advice string `json:"advice,omitempty"`
	// Fix is the command that carries the remedy out, as its arguments. It is empty
	// here: only the surface knows its commands.
	Fix []string `json:"fix"`
}

// Kind describes what findings with the same code have in common. The remedy and
// the advice are the usual ones: a finding has others where its server, or what
// was compared, asks for it.
type Kind struct {
	Code, Meaning string
	Remedy        Remedy
	Advice        string
}

// Kinds are all kinds of findings, those about the fleet last.
func Kinds() []Kind {
	var kinds []Kind
	for _, r := range rows() {
		kinds = append(kinds, r.Kind)
	}
	return kinds
}

// Codes are the codes of all findings.
func Codes() []string {
	var codes []string
	for _, r := range rows() {
		codes = append(codes, r.Code)
	}
	return codes
}

// OriginRecreated is the code of the finding that the origin is not the stream
// that the mirror was filled from.
const OriginRecreated = "origin-recreated"

// row is all there is to know about a finding.
type row struct {
	Kind
	// find returns an empty message when the problem is not there.
	find func(Facts, Thresholds) (Severity, string)
	// instead returns the remedy and the advice where the usual ones do not help,
	// and an empty remedy where they do. It may be nil.
	instead func(Facts) (Remedy, string)
	// fix returns the settings that an update makes, given the mirror's and the
	// origin's configuration; the remedy is then Repair.
	fix func(mirror, origin stream.Config) []setting
	// findFleet takes the place of find in findings about the fleet as a whole. It
	// returns a message for each problem.
	findFleet func(FleetFacts) (Severity, []string)
}

// rows is the table of all findings. Nobody changes it; it is made once, since each of
// thousands of mirrors is held against it.
var rows = sync.OnceValue(func() []row {
	return slices.Concat(ttlRows(), linkRows(), messageRows(), settingRows(), usableRows(), replicaRows(), fleetRows())
})

// Findings are the problems that the facts about a mirror show, without those
// whose codes are to be ignored, the worst first.
func Findings(f Facts, t Thresholds, ignore ...string) []Finding {
	var findings []Finding
	for _, r := range rows() {
		if r.find == nil || slices.Contains(ignore, r.Code) {
			continue
		}
		severity, message := r.find(f, t)
		if message == "" {
			continue
		}
		finding := r.finding(severity, message)
		if r.instead != nil {
			if remedy, advice := r.instead(f); remedy != "" {
				finding.Remedy, finding.Advice = remedy, advice
			}
		}
		findings = append(findings, finding)
	}
	return worstFirst(findings)
}

// finding is a finding of the row.
func (r row) finding(severity Severity, message string) Finding {
	return Finding{Code: r.Code, Severity: severity, Message: message, Remedy: r.Remedy, Advice: r.Advice, Fix: []string{}}
}

// worstFirst sorts by severity and otherwise keeps the order of the table.
func worstFirst(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int { return b.Severity.rank() - a.Severity.rank() })
	return findings
}

// Worst is the worst severity among findings; OK when there are none.
func Worst(findings []Finding) Severity {
	worst := OK
	for _, f := range findings {
		worst = worst.Worse(f.Severity)
	}
	return worst
}

// none is what a find returns when the problem is not there.
func none() (Severity, string) { return OK, "" }

// found is what a find returns when it is.
func found(s Severity, format string, a ...any) (Severity, string) {
	return s, fmt.Sprintf(format, a...)
}
