package check

import (
	"errors"
	"slices"
	"testing"
)

func TestFleetFindings(t *testing.T) {
	problems := func(reasons ...Reason) []Unreadable {
		var list []Unreadable
		for _, r := range reasons {
			list = append(list, Unreadable{r, "bucket: " + string(r)})
		}
		return list
	}
	covered := map[string]bool{}
	for _, test := range []struct {
		name  string
		facts FleetFacts
		want  []string
	}{
		{"healthy", FleetFacts{Mirrors: 3}, nil},
		{"as many as expected", FleetFacts{Mirrors: 3, Expected: new(int64(3))}, nil},
		{"none, as expected", FleetFacts{Expected: new(int64(0))}, nil},
		{"none of those named", FleetFacts{}, nil},
		{"none", FleetFacts{Empty: []string{""}}, []string{"critical count: no mirror was found"}},
		{"none in two of three domains", FleetFacts{Mirrors: 3, Empty: []string{`in domain "a"`, `in domain "b"`}},
			[]string{`critical count: no mirror was found in domain "a"`, `critical count: no mirror was found in domain "b"`}},
		{"none in a domain, as expected", FleetFacts{Mirrors: 3, Expected: new(int64(3)), Empty: []string{`in domain "a"`}}, nil},
		{"too few", FleetFacts{Mirrors: 3, Expected: new(int64(4))}, []string{"critical count: the number of mirrors is 3 and should be 4"}},
		{"none, and one is unreadable", FleetFacts{Problems: problems(ReasonUnreachable)}, []string{"unknown unreadable: bucket: unreachable"}},
		{"too few, and one is unreadable", FleetFacts{Mirrors: 3, Expected: new(int64(4)), Problems: problems(ReasonUnreachable)},
			[]string{"unknown unreadable: bucket: unreachable", "unknown count: the number of mirrors is 3 and should be 4"}},
		{"mirrors that are no buckets", FleetFacts{Mirrors: 1, NotBuckets: []error{errors.New("this is none")}}, []string{"ok not-a-bucket: this is none; it is not checked"}},
		{"too few, and one does not exist", FleetFacts{Mirrors: 3, Expected: new(int64(4)), Problems: problems(ReasonMissing)},
			[]string{"critical not-found: bucket: missing", "critical count: the number of mirrors is 3 and should be 4"}},
		{"all problems", FleetFacts{Mirrors: 3, Problems: problems(ReasonDenied, ReasonNotMirror, ReasonUnreachable, ReasonMissing, ReasonNotBucket)}, []string{
			"critical not-found: bucket: missing", "critical not-a-mirror: bucket: not-a-mirror", "critical not-a-mirror: bucket: not-a-bucket",
			"unknown unreadable: bucket: denied", "unknown unreadable: bucket: unreachable",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			findings := FleetFindings(test.facts)
			var got []string
			for _, f := range findings {
				got = append(got, string(f.Severity)+" "+f.Code+": "+f.Message)
				covered[f.Code] = true
				wantFinding(t, FleetFindings(test.facts, f.Code), f.Code, noFinding, "")
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	for _, r := range rows() {
		if (r.findFleet != nil) != covered[r.Code] {
			t.Errorf("%s is about the fleet: %t, and has a case: %t", r.Code, r.findFleet != nil, covered[r.Code])
		}
	}
}
