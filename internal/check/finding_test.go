package check

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// healthy are the facts of a mirror in which nothing is to be found.
func healthy() Facts {
	state := stream.State{Msgs: 10, Bytes: 1000, FirstSeq: 1, LastSeq: 10, FirstTime: time.Unix(2000, 0)}
	origin := stream.Config{
		Name: "KV_demo", Subjects: []string{"$KV.demo.>"}, Storage: "file", Discard: "new", AllowMsgTTL: true, AllowDirect: true, AllowRollup: true, DenyDelete: true,
		MaxMsgsPerSubject: 5, MaxAge: time.Hour, MaxMsgSize: 1024, MaxBytes: -1, MaxMsgs: -1, Metadata: map[string]string{"_nats.ver": "2.15.2"},
	}
	mirror := origin
	mirror.Subjects, mirror.MirrorDirect = nil, true
	mirror.Mirror = &stream.Source{Name: "KV_demo", External: &stream.External{APIPrefix: "$JS.hub.API"}}
	return Facts{
		Mirror: &stream.Info{Config: mirror, State: state, Created: time.Unix(3000, 0), Prefix: "$JS.API", Mirror: &stream.SourceInfo{Name: "KV_demo", Active: time.Second}},
		Origin: &stream.Info{Config: origin, State: state, Created: time.Unix(1000, 0), Prefix: "$JS.hub.API"},
		Level:  new(4),
	}
}

// from is healthy but for what change does.
func from(change func(f *Facts)) Facts {
	f := healthy()
	change(&f)
	return f
}

// seenEarlier makes the states, as they are, those of an earlier look.
func seenEarlier(f *Facts) {
	f.Earlier = &Look{Mirror: f.Mirror.State, Origin: f.Origin.State}
}

// unreadBecause takes the origin away.
func unreadBecause(reason Reason) func(*Facts) {
	return func(f *Facts) { f.Origin, f.Unread = nil, Unread{Reason: reason, Detail: "the words of the failure"} }
}

// runsOn sets the version and storage of the mirror's stream.
func runsOn(f *Facts, version, storage string, ttl bool) {
	f.Mirror.Config.Metadata = map[string]string{"_nats.ver": version}
	f.Mirror.Config.Storage, f.Mirror.Config.AllowMsgTTL = storage, ttl
}

// aboveWith is an origin's origin.
func aboveWith(name string, ttl bool) *stream.Info {
	return &stream.Info{Config: stream.Config{Name: "KV_" + name, AllowMsgTTL: ttl}, Prefix: "$JS.top.API"}
}

func filtered(f *Facts) {
	f.Mirror.Config.Mirror.FilterSubject = "$KV.demo.a.>"
}

// youngOrigin makes the origin, with all that it holds, younger than the mirror's
// messages.
func youngOrigin(f *Facts) {
	f.Origin.Created, f.Origin.State.FirstTime = time.Unix(2500, 0), time.Unix(2600, 0)
}

// behindBy takes the origin ahead.
func behindBy(f *Facts, n uint64) { f.Origin.State.LastSeq = f.Mirror.State.LastSeq + n }

// findingCase is one state of a mirror, and what a kind of finding makes of it;
// no severity is no finding.
type findingCase struct {
	name     string
	change   func(*Facts)
	severity Severity
	says     string
}

// noFinding is the severity of what is not found.
const noFinding Severity = ""

var findingCases = map[string][]findingCase{
	"ttl-off": {
		{"off", func(f *Facts) { f.Mirror.Config.AllowMsgTTL = false }, Critical, "grows for ever"},
		{"both off", func(f *Facts) { f.Mirror.Config.AllowMsgTTL, f.Origin.Config.AllowMsgTTL = false, false }, noFinding, ""},
		{"origin unread", func(f *Facts) { f.Mirror.Config.AllowMsgTTL = false; unreadBecause(Unreachable)(f) }, noFinding, ""},
	},
	"ttl-origin-off": {
		{"origin off", func(f *Facts) { f.Origin.Config.AllowMsgTTL = false }, OK, "no harm"},
		{"origin of 2.10", func(f *Facts) { f.Origin.Config.AllowMsgTTL, f.Origin.Config.Metadata = false, nil }, noFinding, ""},
		{"origin unread", unreadBecause(Denied), noFinding, ""},
	},
	"ttl-origin-ignored": {
		{"origin of 2.10", func(f *Facts) { f.Origin.Config.AllowMsgTTL, f.Origin.Config.Metadata = false, nil }, Warning, "disappears here"},
		{"origin of 2.11", func(f *Facts) {
			f.Origin.Config.AllowMsgTTL, f.Origin.Config.Metadata = false, map[string]string{"_nats.ver": "2.11.0"}
		}, noFinding, ""},
		{"origin of 2.11, from a list", func(f *Facts) {
			f.Origin.Config.AllowMsgTTL, f.Origin.Config.Metadata = false, map[string]string{"_nats.req.level": "0"}
		}, noFinding, ""},
		{"mirror without", func(f *Facts) {
			f.Origin.Config.AllowMsgTTL, f.Origin.Config.Metadata, f.Mirror.Config.AllowMsgTTL = false, nil, false
		}, noFinding, ""},
	},
	"ttl-lost-above": {
		{"at the origin", func(f *Facts) {
			f.Origin.Config.AllowMsgTTL = false
			f.Above = []*stream.Info{aboveWith("top", true)}
		}, Critical, `bucket "top" at "$JS.top.API" has it, and its mirror "demo" at "$JS.hub.API" has not`},
		{"further up", func(f *Facts) {
			f.Above = []*stream.Info{aboveWith("middle", false), aboveWith("top", true)}
		}, Critical, `bucket "top" at "$JS.top.API" has it, and its mirror "middle"`},
		{"all have it", func(f *Facts) { f.Above = []*stream.Info{aboveWith("top", true)} }, noFinding, ""},
		{"the top has none", func(f *Facts) { f.Above = []*stream.Info{aboveWith("top", false)} }, noFinding, ""},
		{"no chain", func(f *Facts) { f.Origin.Config.AllowMsgTTL = false }, noFinding, ""},
	},
	"chain-unread": {
		{"unread", func(f *Facts) { f.AboveUnread = "no responders" }, Unknown, "was not read: no responders"},
		{"read", func(f *Facts) { f.Above = []*stream.Info{aboveWith("top", true)} }, noFinding, ""},
	},
	"server-too-old": {
		{"level 0", func(f *Facts) { f.Level = new(0) }, Critical, "older than 2.11"},
		{"level 1", func(f *Facts) { f.Level = new(1) }, noFinding, ""},
		{"not said", func(f *Facts) { f.Level = nil }, noFinding, ""},
		{"no need", func(f *Facts) { f.Level = new(0); f.Origin.Config.AllowMsgTTL = false }, noFinding, ""},
	},
	"server-leaves-expired": {
		{"2.11.0, to be turned on", func(f *Facts) { runsOn(f, "2.11.0", "file", false) }, Warning, "2.11.0 cannot turn"},
		{"2.11.1, created with it", func(f *Facts) { runsOn(f, "2.11.1", "file", true) }, noFinding, ""},
		{"2.11.4, to be turned on", func(f *Facts) { runsOn(f, "2.11.4", "memory", false) }, Warning, "2.11.4 keeps"},
		{"2.11.6, on", func(f *Facts) { runsOn(f, "2.11.6", "memory", true) }, OK, "after the mirror was created"},
		{"2.11.17, file", func(f *Facts) { runsOn(f, "2.11.17", "file", false) }, Warning, "2.11.17 keeps"},
		{"2.11.17, memory", func(f *Facts) { runsOn(f, "2.11.17", "memory", false) }, noFinding, ""},
		{"2.12.0", func(f *Facts) { runsOn(f, "2.12.0", "file", false) }, noFinding, ""},
		{"no need", func(f *Facts) { runsOn(f, "2.11.6", "file", false); f.Origin.Config.AllowMsgTTL = false }, noFinding, ""},
	},
	"origin-missing": {
		{"missing", unreadBecause(Missing), Critical, "the words of the failure"},
		{"another reason", unreadBecause(Denied), noFinding, ""},
		{"read", func(f *Facts) { f.Unread.Reason = Missing }, noFinding, ""},
	},
	"origin-not-a-bucket": {
		{"not a bucket", unreadBecause(NotBucket), Critical, "the words of the failure"},
		{"another reason", unreadBecause(Missing), noFinding, ""},
	},
	"origin-denied": {
		{"denied", unreadBecause(Denied), Unknown, "the words of the failure"},
		{"another reason", unreadBecause(Unreachable), noFinding, ""},
	},
	"origin-unreachable": {
		{"unreachable", unreadBecause(Unreachable), Unknown, "the words of the failure"},
		{"another reason", unreadBecause(Missing), noFinding, ""},
	},
	"origin-recreated": {
		{"ahead of the origin", func(f *Facts) { f.Origin.State.LastSeq = 3; seenEarlier(f) }, Critical, "at sequence 10 and its origin only at 3"},
		{"ahead, read later", func(f *Facts) { f.Origin.State.LastSeq = 3 }, noFinding, ""},
		{"older messages", youngOrigin, Critical, "older than its origin"},
		{"older messages, and the origin is empty", func(f *Facts) {
			youngOrigin(f)
			f.Origin.State.Msgs, f.Origin.State.FirstTime = 0, time.Unix(0, 0)
		}, Critical, "older than its origin"},
		{"older messages of an origin that was promoted", func(f *Facts) { f.Origin.Created = time.Unix(2500, 0) }, noFinding, ""},
		{"older messages of the origin's origin", func(f *Facts) {
			youngOrigin(f)
			f.Origin.Config.Mirror = &stream.Source{Name: "KV_top"}
		}, noFinding, ""},
		{"older messages of sources", func(f *Facts) {
			youngOrigin(f)
			f.Origin.Config.Sources = []stream.Source{{Name: "KV_top"}}
		}, noFinding, ""},
		{"nothing held", func(f *Facts) {
			youngOrigin(f)
			f.Mirror.State.Msgs, f.Mirror.State.FirstTime = 0, time.Time{}
		}, noFinding, ""},
		{"origin unread", func(f *Facts) { unreadBecause(Missing)(f) }, noFinding, ""},
	},
	"never-connected": {
		{"-1", func(f *Facts) { f.Mirror.Mirror.Active = -1 }, Critical, "never heard"},
		{"the largest", func(f *Facts) { f.Mirror.Mirror.Active = math.MaxInt64 }, Critical, "never heard"},
		{"just now", func(f *Facts) { f.Mirror.Mirror.Active = 0 }, noFinding, ""},
		{"not said", func(f *Facts) { f.Mirror.Mirror = nil }, noFinding, ""},
	},
	"not-seen": {
		{"critical", func(f *Facts) { f.Mirror.Mirror.Active = 61 * time.Second }, Critical, "for 1m1s"},
		{"at the critical threshold", func(f *Facts) { f.Mirror.Mirror.Active = time.Minute }, Warning, "for 1m0s"},
		{"warning", func(f *Facts) { f.Mirror.Mirror.Active = 16 * time.Second }, Warning, "for 16s"},
		{"at the threshold", func(f *Facts) { f.Mirror.Mirror.Active = 15 * time.Second }, noFinding, ""},
		{"never", func(f *Facts) { f.Mirror.Mirror.Active = -1 }, noFinding, ""},
		{"never, the largest", func(f *Facts) { f.Mirror.Mirror.Active = math.MaxInt64 }, noFinding, ""},
	},
	"mirror-error": {
		{"error", func(f *Facts) { f.Mirror.Mirror.Error = &stream.APIError{Code: 10059, Description: "stream not found"} }, Critical, "stream not found (10059)"},
		{"no error", func(*Facts) {}, noFinding, ""},
	},
	"stalled": {
		{"behind twice", func(f *Facts) { behindBy(f, 1); seenEarlier(f) }, Critical, "stands at sequence 10, 1 behind"},
		{"one look", func(f *Facts) { behindBy(f, 1) }, noFinding, ""},
		{"moves", func(f *Facts) { behindBy(f, 5); seenEarlier(f); f.Mirror.State.LastSeq++ }, noFinding, ""},
		{"was not behind", func(f *Facts) { seenEarlier(f); behindBy(f, 1) }, noFinding, ""},
		{"the rest has expired", func(f *Facts) { behindBy(f, 5); seenEarlier(f); f.Left = new(uint64(0)) }, noFinding, ""},
		{"the rest has not expired", func(f *Facts) { behindBy(f, 5); seenEarlier(f); f.Left = new(uint64(15)) }, Critical, "5 behind"},
		{"the rest came since", func(f *Facts) {
			behindBy(f, 5)
			seenEarlier(f)
			behindBy(f, 6)
			f.Left = new(uint64(16))
		}, noFinding, ""},
		{"filtered, nobody knows", func(f *Facts) { filtered(f); behindBy(f, 5); seenEarlier(f) }, noFinding, ""},
		{"filtered, none for it", func(f *Facts) { filtered(f); behindBy(f, 5); seenEarlier(f); f.Left = new(uint64(0)) }, noFinding, ""},
		{"filtered, one for it", func(f *Facts) { filtered(f); behindBy(f, 5); seenEarlier(f); f.Left = new(uint64(12)) }, Critical, "does not move"},
	},
	"behind": {
		{"critical", func(f *Facts) { behindBy(f, 10_001) }, Critical, "10001 messages behind"},
		{"at the critical threshold", func(f *Facts) { behindBy(f, 10_000) }, Warning, "10000 messages behind"},
		{"warning", func(f *Facts) { behindBy(f, 1_001) }, Warning, "1001 messages behind"},
		{"at the threshold", func(f *Facts) { behindBy(f, 1_000) }, noFinding, ""},
		{"by lag alone", func(f *Facts) { f.Mirror.Mirror.Lag = 1 << 40 }, noFinding, ""},
		{"stands still", func(f *Facts) { behindBy(f, 10_001); seenEarlier(f) }, noFinding, ""},
		{"moves", func(f *Facts) { behindBy(f, 10_002); seenEarlier(f); f.Mirror.State.LastSeq++ }, Critical, "10001 messages behind"},
		{"the rest has expired", func(f *Facts) { behindBy(f, 10_001); f.Left = new(uint64(0)) }, noFinding, ""},
		{"filtered, nobody knows", func(f *Facts) { filtered(f); behindBy(f, 10_001) }, noFinding, ""},
		{"filtered, one for it", func(f *Facts) { filtered(f); behindBy(f, 10_001); f.Left = new(uint64(11)) }, Critical, "behind"},
	},
	"tail-unread": {
		{"filtered, nobody knows", func(f *Facts) { filtered(f); behindBy(f, 7) }, Unknown, "up to 7 messages"},
		{"filtered, known", func(f *Facts) { filtered(f); behindBy(f, 7); f.Left = new(uint64(0)) }, noFinding, ""},
		{"not filtered", func(f *Facts) { behindBy(f, 7) }, noFinding, ""},
		{"not behind", filtered, noFinding, ""},
	},
	"left-over": {
		{"twice", func(f *Facts) { f.Mirror.State.Msgs = 13; seenEarlier(f) }, Critical, "at least 3 messages"},
		{"one look", func(f *Facts) { f.Mirror.State.Msgs = 13 }, noFinding, ""},
		{"compared", func(f *Facts) { f.Content = &Content{LeftOver: map[string]uint64{"gone": 1, "expired": 4}} }, Critical, "5 messages that its origin does not: 4 expired by TTL, 1 purged"},
		{"compared, and the counts are old", func(f *Facts) { f.Mirror.State.Msgs = 13; seenEarlier(f); f.Content = &Content{} }, noFinding, ""},
		{"not all compared", func(f *Facts) {
			f.Mirror.State.Msgs = 13
			seenEarlier(f)
			f.Content = &Content{Unproved: "denied"}
		}, Critical, "at least 3 messages"},
	},
	"missing": {
		{"twice", func(f *Facts) { f.Mirror.State.Msgs = 7; seenEarlier(f) }, Critical, "at least 3 messages"},
		{"one look", func(f *Facts) { f.Mirror.State.Msgs = 7 }, noFinding, ""},
		{"compared", func(f *Facts) { f.Content = &Content{Missing: map[string]uint64{"absent": 1}} }, Critical, "lacks 1 message of its origin: 1 for no known reason"},
		{"compared, and the counts are old", func(f *Facts) { f.Mirror.State.Msgs = 7; seenEarlier(f); f.Content = &Content{} }, noFinding, ""},
	},
	"different": {
		{"three", func(f *Facts) { f.Content = &Content{Different: map[string]uint64{"time": 2, "size": 1}} }, Critical, "3 messages other than its origin does, at the same sequence: 1 in the size, 2 in the time"},
		{"none", func(f *Facts) { f.Content = &Content{} }, noFinding, ""},
		{"not compared", func(*Facts) {}, noFinding, ""},
	},
	"content-unproved": {
		{"unread", func(f *Facts) { f.Content = &Content{Unproved: "permission denied"} }, Unknown, "is not proved: permission denied"},
		{"proved", func(f *Facts) { f.Content = &Content{} }, noFinding, ""},
	},
	"max-age": {
		{"none", func(f *Facts) { f.Mirror.Config.MaxAge = 0 }, Critical, "for ever"},
		{"longer", func(f *Facts) { f.Mirror.Config.MaxAge = 2 * time.Hour }, Warning, "2h0m0s here and for 1h0m0s"},
		{"shorter", func(f *Facts) { f.Mirror.Config.MaxAge = time.Minute }, noFinding, ""},
		{"origin has none", func(f *Facts) { f.Origin.Config.MaxAge = 0 }, noFinding, ""},
		{"origin unread", func(f *Facts) { f.Mirror.Config.MaxAge = 0; unreadBecause(Missing)(f) }, noFinding, ""},
	},
	"history": {
		{"smaller", func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject = 2 }, Warning, "keeps 2 values of each key and the origin keeps 5"},
		{"origin keeps all", func(f *Facts) { f.Origin.Config.MaxMsgsPerSubject = -1 }, Warning, "keeps all"},
		{"larger", func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject = 6 }, noFinding, ""},
		{"unlimited", func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject = 0 }, noFinding, ""},
		{"both unlimited", func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject, f.Origin.Config.MaxMsgsPerSubject = -1, 0 }, noFinding, ""},
	},
	"max-value-size": {
		{"smaller", func(f *Facts) { f.Mirror.Config.MaxMsgSize = 1023 }, Critical, "1023 bytes"},
		{"origin has none", func(f *Facts) { f.Origin.Config.MaxMsgSize = -1 }, Critical, "1024 bytes"},
		{"larger", func(f *Facts) { f.Mirror.Config.MaxMsgSize = 1025 }, noFinding, ""},
		{"none", func(f *Facts) { f.Mirror.Config.MaxMsgSize = -1 }, noFinding, ""},
	},
	"stops-when-full": {
		{"bytes", func(f *Facts) { f.Mirror.Config.MaxBytes = 2000 }, Warning, "1000 of 2000 bytes (50%)"},
		{"messages, almost full", func(f *Facts) { f.Mirror.Config.MaxMsgs = 11 }, Critical, "10 of 11 messages (91%)"},
		{"both, the fuller counts", func(f *Facts) { f.Mirror.Config.MaxMsgs, f.Mirror.Config.MaxBytes = 100, 1000 }, Critical, "1000 of 1000 bytes (100%)"},
		{"empty", func(f *Facts) { f.Mirror.Config.MaxBytes, f.Mirror.State.Bytes = 2000, 0 }, Warning, "0 of 2000 bytes (0%)"},
		{"discard old", func(f *Facts) { f.Mirror.Config.MaxBytes, f.Mirror.Config.Discard = 2000, "old" }, noFinding, ""},
		{"no limit", func(f *Facts) { f.Mirror.Config.MaxBytes, f.Mirror.Config.MaxMsgs = 0, 0 }, noFinding, ""},
	},
	"rollup-off": {
		{"off", func(f *Facts) { f.Mirror.Config.AllowRollup = false }, Warning, "purge of a key"},
		{"on", func(*Facts) {}, noFinding, ""},
	},
	"deny-delete-off": {
		{"off", func(f *Facts) { f.Mirror.Config.DenyDelete = false }, Warning, "without a trace"},
		{"on", func(*Facts) {}, noFinding, ""},
	},
	"direct-off": {
		{"off", func(f *Facts) { f.Mirror.Config.AllowDirect = false }, Warning, "leader"},
		{"on", func(*Facts) {}, noFinding, ""},
	},
	"mirror-direct-off": {
		{"off", func(f *Facts) { f.Mirror.Config.MirrorDirect = false }, Warning, "origin's name"},
		{"off for a promoted bucket", func(f *Facts) {
			f.Mirror.Config.MirrorDirect, f.Mirror.Config.Metadata = false, map[string]string{kvcfg.Silenced: "demo"}
		}, OK, `because bucket "demo" here was promoted`},
		{"off, beside its origin", func(f *Facts) { f.Mirror.Config.MirrorDirect, f.Mirror.Config.Mirror.External = false, nil }, noFinding, ""},
		{"on", func(*Facts) {}, noFinding, ""},
	},
	"discard-old": {
		{"without a limit", func(f *Facts) { f.Mirror.Config.Discard = "old" }, OK, "has none"},
		{"with one", func(f *Facts) { f.Mirror.Config.Discard, f.Mirror.Config.MaxMsgs = "old", 100 }, Warning, "keys disappear"},
		{"new", func(f *Facts) { f.Mirror.Config.MaxMsgs = 100 }, noFinding, ""},
	},
	"replica-offline": {
		{"one", func(f *Facts) {
			f.Mirror.Cluster = &stream.ClusterInfo{Replicas: []stream.PeerInfo{{Name: "N2", Offline: true}, {Name: "N3", Current: true}}}
		}, Critical, `1 of 3 replicas are offline: ["N2"]`},
		{"behind alone", func(f *Facts) { f.Mirror.Cluster = &stream.ClusterInfo{Replicas: []stream.PeerInfo{{Name: "N2"}}} }, noFinding, ""},
		{"no cluster", func(*Facts) {}, noFinding, ""},
	},
	"replica-behind": {
		{"one", func(f *Facts) {
			f.Mirror.Cluster = &stream.ClusterInfo{Replicas: []stream.PeerInfo{{Name: "N2"}, {Name: "N3", Current: true}}}
		}, Warning, `1 of 3 replicas are not current: ["N2"]`},
		{"offline", func(f *Facts) {
			f.Mirror.Cluster = &stream.ClusterInfo{Replicas: []stream.PeerInfo{{Name: "N2", Offline: true}}}
		}, noFinding, ""},
		{"alone", func(f *Facts) { f.Mirror.Cluster = &stream.ClusterInfo{Leader: "N1"} }, noFinding, ""},
	},
}

// Each kind of finding has a state in which it is found and one in which it is
// not, and no state finds it with another severity than it is to have.
func TestFindings(t *testing.T) {
	for _, kind := range Kinds() {
		cases := findingCases[kind.Code]
		hits := slices.ContainsFunc(cases, func(c findingCase) bool { return c.severity != noFinding })
		misses := slices.ContainsFunc(cases, func(c findingCase) bool { return c.severity == noFinding })
		if !hits || !misses {
			t.Errorf("%s: a case that finds it: %t, one that does not: %t; both are needed", kind.Code, hits, misses)
		}
	}
	for code, cases := range findingCases {
		if !slices.ContainsFunc(Kinds(), func(k Kind) bool { return k.Code == code }) {
			t.Errorf("there is no finding %q", code)
		}
		for _, c := range cases {
			t.Run(code+"/"+c.name, func(t *testing.T) {
				findings := Check(from(c.change), DefaultThresholds())
				i := slices.IndexFunc(findings, func(f Finding) bool { return f.Code == code })
				switch {
				case i < 0 && c.severity != noFinding:
					t.Fatalf("not found; found are %+v", findings)
				case i < 0:
					return
				case findings[i].Severity != c.severity:
					t.Errorf("severity %q, want %q: %s", findings[i].Severity, c.severity, findings[i].Message)
				case !strings.Contains(findings[i].Message, c.says):
					t.Errorf("%q does not say %q", findings[i].Message, c.says)
				}
				if ignored := Check(from(c.change), DefaultThresholds(), code); slices.ContainsFunc(ignored, func(f Finding) bool { return f.Code == code }) {
					t.Error("it is found although it is ignored")
				}
			})
		}
	}
}

func TestNothingIsFoundOnAHealthyMirror(t *testing.T) {
	for name, change := range map[string]func(*Facts){
		"plain": func(*Facts) {},
		"in its origin's domain": func(f *Facts) {
			f.Mirror.Config.Mirror.External, f.Mirror.Config.MirrorDirect = nil, false
		},
		"looked at twice": seenEarlier,
		"filtered":        func(f *Facts) { filtered(f); behindBy(f, 3); seenEarlier(f); f.Left = new(uint64(0)) },
		"in a cluster": func(f *Facts) {
			f.Mirror.Cluster = &stream.ClusterInfo{Replicas: []stream.PeerInfo{{Name: "N2", Current: true}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Check(from(change), DefaultThresholds()); len(got) > 0 {
				t.Errorf("found %+v", got)
			}
		})
	}
}

// Every kind says what it is and what to do, and an update mends exactly what is
// said to be mended by one.
func TestKinds(t *testing.T) {
	codes := map[string]bool{}
	for _, k := range Kinds() {
		if codes[k.Code] {
			t.Errorf("%s is there twice", k.Code)
		}
		codes[k.Code] = true
		if k.About == "" || k.Mend == "" || !slices.Contains([]Remedy{ByNothing, ByUpdate, ByPurge, ByRecreate}, k.Remedy) {
			t.Errorf("%+v is not complete", k)
		}
	}
	if codes[""] {
		t.Error("there is one without a code")
	}
}

// What mends a finding depends on what the mirror's server can do.
func TestRemedies(t *testing.T) {
	ttlOff := func(version string, level int) func(*Facts) {
		return func(f *Facts) {
			runsOn(f, version, "file", false)
			f.Level = new(level)
		}
	}
	for _, test := range []struct {
		name, code string
		change     func(*Facts)
		want       Remedy
		says       string
	}{
		{"2.10", "ttl-off", ttlOff("", 0), ByNothing, "upgrade"},
		{"2.11.0", "ttl-off", ttlOff("2.11.0", 1), ByRecreate, "`sync --recreate`"},
		{"2.11.1", "ttl-off", ttlOff("2.11.1", 1), ByRecreate, "`sync --recreate`"},
		{"2.11.2", "ttl-off", ttlOff("2.11.2", 1), ByUpdate, "sync"},
		{"2.15.2", "ttl-off", ttlOff("2.15.2", 5), ByUpdate, "sync"},
		{"level not said", "ttl-off", func(f *Facts) { ttlOff("", 0)(f); f.Level = nil }, ByUpdate, "sync"},
		{"no roll-ups", "rollup-off", func(f *Facts) { f.Mirror.Config.AllowRollup = false }, ByUpdate, "sync"},
		{"no roll-ups and no purges", "rollup-off", func(f *Facts) {
			f.Mirror.Config.AllowRollup, f.Mirror.Config.DenyPurge = false, true
		}, ByRecreate, "`sync --recreate`"},
		{"left over", "left-over", func(f *Facts) { f.Mirror.State.Msgs = 13; seenEarlier(f) }, ByPurge, "`sync --content`"},
	} {
		t.Run(test.name, func(t *testing.T) {
			findings := Check(from(test.change), DefaultThresholds())
			i := slices.IndexFunc(findings, func(f Finding) bool { return f.Code == test.code })
			if i < 0 {
				t.Fatalf("not found; found are %+v", findings)
			}
			if f := findings[i]; f.Remedy != test.want || !strings.Contains(f.Mend, test.says) {
				t.Errorf("remedy %q (%s), want %q (%s)", f.Remedy, f.Mend, test.want, test.says)
			}
		})
	}
}

// The worst comes first, and among equals the order of the table stays.
func TestFindingsAreSorted(t *testing.T) {
	findings := Check(from(func(f *Facts) {
		f.Mirror.Config.DenyDelete = false
		f.Mirror.Config.AllowRollup = false
		f.Mirror.Config.Discard = "old"
		f.Mirror.Mirror.Error = &stream.APIError{Code: 10059, Description: "stream not found"}
		unreadBecause(Denied)(f)
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
			for _, finding := range Check(f, test.t) {
				got[finding.Code] = finding.Severity
			}
			if got["behind"] != test.behind || got["not-seen"] != test.seen {
				t.Errorf("behind %q, not seen %q; want %q, %q", got["behind"], got["not-seen"], test.behind, test.seen)
			}
		})
	}
}
