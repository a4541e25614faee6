package check

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"nats-kvmirror/internal/stream"
)

// findingCase is a state of a mirror, and what is found in it.
type findingCase struct {
	name     string
	change   func(*Facts)
	severity Severity // noFinding when the problem is not there
	contains string   // what the message contains
}

// noFinding is the severity of what is not found.
const noFinding Severity = ""

// Each kind of finding has a state in which it is found and one in which it is
// not, with the severity that it is to have.
func TestFindings(t *testing.T) {
	all := map[string][]findingCase{}
	for _, cases := range []map[string][]findingCase{ttlCases(), linkCases(), messageCases(), settingCases(), usableCases()} {
		maps.Copy(all, cases)
	}
	for _, r := range rows() {
		cases := all[r.Code]
		hits := slices.ContainsFunc(cases, func(c findingCase) bool { return c.severity != noFinding })
		misses := slices.ContainsFunc(cases, func(c findingCase) bool { return c.severity == noFinding })
		if wants := r.find != nil; hits != wants || misses != wants {
			t.Errorf("%s: a case that finds it: %t, one that does not: %t; want %t for both", r.Code, hits, misses, wants)
		}
	}
	for code, cases := range all {
		if !slices.Contains(Codes(), code) {
			t.Errorf("there is no finding %q", code)
		}
		for _, c := range cases {
			t.Run(code+"/"+c.name, func(t *testing.T) {
				wantFinding(t, Findings(from(c.change), DefaultThresholds()), code, c.severity, c.contains)
				wantFinding(t, Findings(from(c.change), DefaultThresholds(), code), code, noFinding, "")
			})
		}
	}
}

// wantFinding asserts that there is a finding of the code, or with noFinding none.
func wantFinding(t *testing.T, findings []Finding, code string, severity Severity, contains string) {
	t.Helper()
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.Code == code })
	switch {
	case i < 0 && severity != noFinding:
		t.Errorf("not found; found are %+v", findings)
	case i < 0:
	case findings[i].Severity != severity:
		t.Errorf("severity %q, want %q: %s", findings[i].Severity, severity, findings[i].Message)
	case !strings.Contains(findings[i].Message, contains):
		t.Errorf("%q does not contain %q", findings[i].Message, contains)
	}
}

func TestNothingIsFoundOnAHealthyMirror(t *testing.T) {
	for name, change := range map[string]func(*Facts){
		"plain": func(*Facts) {},
		"in its origin's domain, with its keys renamed": func(f *Facts) {
			f.Mirror.Config.Name, f.Mirror.Config.MirrorDirect = "KV_m", false
			f.Mirror.Config.Mirror = &stream.Source{Name: "KV_demo", SubjectTransforms: []stream.SubjectTransform{{Source: "$KV.demo.>", Destination: "$KV.m.>"}}}
		},
		"read twice": readTwice,
		"filtered":   func(f *Facts) { filtered(f); behindBy(f, 3); readTwice(f); f.NextPending = new(uint64(0)) },
		"in a cluster": func(f *Facts) {
			f.Mirror.Cluster = &stream.ClusterInfo{Replicas: []stream.PeerInfo{{Name: "N2", Current: true}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Findings(from(change), DefaultThresholds()); len(got) > 0 {
				t.Errorf("found %+v", got)
			}
		})
	}
}

// Every row is complete: what is fixed by an update says which, and what no
// operation on the mirror fixes says what to do.
func TestRows(t *testing.T) {
	codes := map[string]bool{}
	for _, r := range rows() {
		if r.Code == "" || codes[r.Code] {
			t.Errorf("code %q is empty or there twice", r.Code)
		}
		codes[r.Code] = true
		if r.Meaning == "" || !slices.Contains([]Remedy{None, Repair, Prune, Recreate}, r.Remedy) || r.Remedy == None && r.Advice == "" {
			t.Errorf("%+v is not complete", r.Kind)
		}
		if (r.find == nil) == (r.findFleet == nil) {
			t.Errorf("%s is found both in a mirror and in the fleet, or in neither", r.Code)
		}
		if (r.fix != nil) != (r.Remedy == Repair) {
			t.Errorf("%s: remedy %q, and a fix: %t", r.Code, r.Remedy, r.fix != nil)
		}
		if fixable := slices.Contains(FixableCodes(), r.Code); fixable != (r.fix != nil) {
			t.Errorf("%s is among the fixable codes: %t", r.Code, fixable)
		}
		for _, word := range []string{"`", "--", "kvmirror"} {
			if strings.Contains(r.Meaning+r.Advice, word) {
				t.Errorf("%s names a command or a flag: %q, %q", r.Code, r.Meaning, r.Advice)
			}
		}
	}
}

// remedyCase is a state in which a finding has this remedy, and an advice with this text.
type remedyCase struct {
	name, code string
	change     func(*Facts)
	want       Remedy
	advice     string
}

// remedyCases are those where what fixes a finding depends on more than its code.
func remedyCases() []remedyCase {
	ttlOff := func(version string, level int) func(*Facts) {
		return func(f *Facts) {
			runsOn(f, version, "file", false)
			f.Level = new(level)
		}
	}
	return []remedyCase{
		{"2.10", "ttl-off", ttlOff("", 0), None, upgradeMirror},
		{"2.11.0", "ttl-off", ttlOff("2.11.0", 1), Recreate, ""},
		{"2.11.1", "ttl-off", ttlOff("2.11.1", 1), Recreate, ""},
		{"2.11.2", "ttl-off", ttlOff("2.11.2", 1), Repair, ""},
		{"2.15.2", "ttl-off", ttlOff("2.15.2", 5), Repair, ""},
		{"level not known", "ttl-off", func(f *Facts) { ttlOff("", 0)(f); f.Level = nil }, Repair, ""},
		{"no roll-ups", "rollup-off", func(f *Facts) { f.Mirror.Config.AllowRollup = false }, Repair, ""},
		{"no roll-ups and no purges", "rollup-off", func(f *Facts) {
			f.Mirror.Config.AllowRollup, f.Mirror.Config.DenyPurge = false, true
		}, Recreate, ""},
		{"stalled", "stalled", func(f *Facts) { behindBy(f, 1); readTwice(f) }, None, "restart the mirror's server, or delete"},
		{"stalled by the account", "stalled", stalledBecause(func(f *Facts) { f.Stored, f.MayStore = 950, 1000 }), None, "give the account more storage"},
		{"stalled by flow control", "stalled", stalledBecause(otherAccount), None, "$JS.FC.>"},
		{"left over", "left-over", func(f *Facts) { f.Mirror.State.Msgs = 13; readTwice(f) }, Prune, ""},
		{"missing", "missing", func(f *Facts) { f.Content = &Content{Missing: map[string]uint64{"expired": 1, "absent": 1}} }, Recreate, ""},
		{"missing, and the origin raises TTLs", "missing", func(f *Facts) { raisesTTL(f); f.Content = &Content{Missing: map[string]uint64{"expired": 1}} }, None, honourTTL},
		{"missing by the counts, and the origin raises TTLs", "missing", func(f *Facts) { raisesTTL(f); f.Mirror.State.Msgs = 7; readTwice(f) }, None, honourTTL},
		{"others missing, and the origin raises TTLs", "missing", func(f *Facts) {
			raisesTTL(f)
			f.Content = &Content{Missing: map[string]uint64{"expired": 1, "absent": 1}}
		}, Recreate, ""},
		{"expired early", "missing", func(f *Facts) { f.Content = &Content{Missing: map[string]uint64{"early": 1}} }, None, "clocks"},
		{"dropped by a setting", "missing", func(f *Facts) { f.Content = &Content{Missing: map[string]uint64{"unchosen": 1, "absent": 1}} }, Recreate, "settings"},
		{"kept by a setting", "left-over", func(f *Facts) { f.Content = &Content{LeftOver: map[string]uint64{"unchosen": 1}} }, None, "settings"},
		{"kept by a setting, and gone", "left-over", func(f *Facts) { f.Content = &Content{LeftOver: map[string]uint64{"unchosen": 1, "gone": 1}} }, Prune, ""},
		{"only expired ones missing", "missing", func(f *Facts) { f.Content = &Content{Missing: map[string]uint64{"expired": 1}} }, None, "per-key TTL"},
	}
}

// What fixes a finding depends on what the mirror's server can do.
func TestRemedies(t *testing.T) {
	for _, test := range remedyCases() {
		t.Run(test.name, func(t *testing.T) {
			findings := Findings(from(test.change), DefaultThresholds())
			i := slices.IndexFunc(findings, func(f Finding) bool { return f.Code == test.code })
			if i < 0 {
				t.Fatalf("not found; found are %+v", findings)
			}
			f := findings[i]
			if f.Remedy != test.want || !strings.Contains(f.Advice, test.advice) || (f.Advice == "") != (test.advice == "") || len(f.Fix) != 0 {
				t.Errorf("remedy %q (%s), want %q (%s); fix %q", f.Remedy, f.Advice, test.want, test.advice, f.Fix)
			}
		})
	}
}

// The worst comes first, and among equals the order of the table stays.
func TestFindingsAreSorted(t *testing.T) {
	findings := Findings(from(func(f *Facts) {
		f.Mirror.Config.DenyDelete = false
		f.Mirror.Config.AllowRollup = false
		f.Mirror.Config.Discard = "old"
		f.Mirror.Mirror.Error = &stream.APIError{Code: 10059, Description: "stream not found"}
		unreadableBecause(ReasonDenied)(f)
	}), DefaultThresholds())
	var got []string
	for _, f := range findings {
		got = append(got, string(f.Severity)+" "+f.Code)
	}
	want := []string{"critical mirror-error", "unknown origin-denied", "warning rollup-off", "warning deny-delete-off", "ok discard-old"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSeverities(t *testing.T) {
	order := []Severity{OK, Warning, Unknown, Critical}
	for i, a := range order {
		for j, b := range order {
			want := order[max(i, j)]
			if got := a.Worse(b); got != want {
				t.Errorf("the worse of %q and %q is %q, want %q", a, b, got, want)
			}
			if got := a.Compare(b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%q compared with %q is %d", a, b, got)
			}
			if got := Worst([]Finding{{Severity: a}, {Severity: b}}); got != want {
				t.Errorf("the worst of %q and %q is %q, want %q", a, b, got, want)
			}
		}
	}
	if got := Worst(nil); got != OK {
		t.Errorf("the worst of nothing is %q", got)
	}
}

// A threshold of 0 never matters, and each counts for itself.
func TestThresholds(t *testing.T) {
	f := from(func(f *Facts) {
		behindBy(f, 1<<40)
		f.Mirror.Mirror.Active = 1000 * time.Hour
	})
	for _, test := range []struct {
		name         string
		t            Thresholds
		behind, seen Severity
	}{
		{"none", Thresholds{}, noFinding, noFinding},
		{"warnings alone", Thresholds{LagWarn: 1, SeenWarn: 1}, Warning, Warning},
		{"critical alone", Thresholds{LagCritical: 1, SeenCritical: 1}, Critical, Critical},
		{"critical below the warning", Thresholds{LagWarn: 100, LagCritical: 1, SeenWarn: 100, SeenCritical: 1}, Critical, Critical},
		{"above what there is", Thresholds{1 << 41, 1 << 42, 2000 * time.Hour, 3000 * time.Hour}, noFinding, noFinding},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := map[string]Severity{}
			for _, finding := range Findings(f, test.t) {
				got[finding.Code] = finding.Severity
			}
			if got["behind"] != test.behind || got["link-stale"] != test.seen {
				t.Errorf("behind %q, link stale %q; want %q, %q", got["behind"], got["link-stale"], test.behind, test.seen)
			}
		})
	}
}
