package check

import (
	"fmt"
	"slices"
)

// FleetFacts are what was read of many mirrors as a whole.
type FleetFacts struct {
	Mirrors int // how many were read
	// Empty are the places where all mirrors were looked for and there is none, as
	// [NoMirror] takes them.
	Empty []string
	// Expected is how many mirrors there should be; nil when any number will do.
	Expected *int64
	// NotBuckets are why mirrors are no mirrors of a bucket.
	NotBuckets []error
	// Problems are the mirrors, or parts of a list, that could not be read.
	Problems []Unreadable
}

// FleetFindings are the problems of the fleet as a whole, without those whose
// codes are to be ignored, the worst first.
func FleetFindings(f FleetFacts, ignore ...string) []Finding {
	var findings []Finding
	for _, r := range rows() {
		if r.findFleet == nil || slices.Contains(ignore, r.Code) {
			continue
		}
		severity, messages := r.findFleet(f)
		for _, message := range messages {
			findings = append(findings, r.finding(severity, message))
		}
	}
	return worstFirst(findings)
}

// fleetRows are the findings about the fleet as a whole.
func fleetRows() []row {
	return []row{{
		Kind:      Kind{"unreadable", "something could not be read", None, "remove the cause that the message names, then check again"},
		findFleet: problems(Unknown, ReasonDenied, ReasonUnreachable),
	}, {
		Kind:      Kind{"not-found", "a bucket that was named does not exist", None, "check the name, and the account and domain that are asked"},
		findFleet: problems(Critical, ReasonMissing),
	}, {
		Kind:      Kind{"not-a-mirror", "a bucket that was named is not the mirror of a bucket", None, "check the name"},
		findFleet: problems(Critical, ReasonNotBucket, ReasonNotMirror),
	}, {
		Kind:      Kind{"not-a-bucket", "a stream that mirrors is no mirror of a bucket, though it or its origin is named like one", None, "if it is to be used as a bucket, name both like one"},
		findFleet: notBuckets,
	}, {
		Kind:      Kind{"count", "there is no mirror, or not the expected number of them", None, "check which mirrors were created or deleted, or correct the expected number, which may be 0"},
		findFleet: count,
	}}
}

// problems finds those with one of the reasons.
func problems(s Severity, reasons ...Reason) func(FleetFacts) (Severity, []string) {
	return func(f FleetFacts) (Severity, []string) {
		var messages []string
		for _, p := range f.Problems {
			if slices.Contains(reasons, p.Reason) {
				messages = append(messages, p.Detail)
			}
		}
		return s, messages
	}
}

// notBuckets finds what is no reason to worry, and is not checked.
func notBuckets(f FleetFacts) (Severity, []string) {
	var messages []string
	for _, err := range f.NotBuckets {
		messages = append(messages, fmt.Sprintf("%v; it is not checked", err))
	}
	return OK, messages
}

// count is unknown while something is unreadable: there may be more mirrors.
func count(f FleetFacts) (Severity, []string) {
	severity := Critical
	_, unreadable := problems(Unknown, ReasonDenied, ReasonUnreachable)(f)
	if len(unreadable) > 0 {
		severity = Unknown
	}
	switch {
	case f.Expected != nil && int64(f.Mirrors) != *f.Expected:
		return severity, []string{fmt.Sprintf("the number of mirrors is %d and should be %d", f.Mirrors, *f.Expected)}
	case f.Expected == nil:
		var messages []string
		for _, where := range f.Empty {
			messages = append(messages, NoMirror(where))
		}
		return Critical, messages
	}
	return OK, nil
}

// NoMirror says that no mirror was found in a place, as "in domain "hub""; "" for one
// that has no name.
func NoMirror(where string) string {
	if where == "" {
		return "no mirror was found"
	}
	return "no mirror was found " + where
}
