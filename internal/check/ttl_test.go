package check

import (
	"nats-kvmirror/internal/stream"
)

func ttlCases() map[string][]findingCase {
	return map[string][]findingCase{
		"ttl-off": {
			{"off", func(f *Facts) { f.Mirror.Config.AllowMsgTTL = false }, Critical, "grows forever"},
			{"off, chosen", func(f *Facts) { f.Mirror.Config.AllowMsgTTL = false; chosen("allow_msg_ttl")(f) }, noFinding, ""},
			{"both off", func(f *Facts) { f.Mirror.Config.AllowMsgTTL, f.Origin.Config.AllowMsgTTL = false, false }, noFinding, ""},
			{"origin unreadable", func(f *Facts) { f.Mirror.Config.AllowMsgTTL = false; unreadableBecause(ReasonUnreachable)(f) }, noFinding, ""},
		},
		"ttl-origin-off": {
			{"origin off", func(f *Facts) { f.Origin.Config.AllowMsgTTL = false }, OK, "no harm"},
			{"origin of 2.10", func(f *Facts) { f.Origin.Config.AllowMsgTTL, f.Origin.Config.Metadata = false, nil }, noFinding, ""},
			{"origin unreadable", unreadableBecause(ReasonDenied), noFinding, ""},
		},
		"ttl-origin-ignored": {
			{"origin of 2.10", func(f *Facts) { f.Origin.Config.AllowMsgTTL, f.Origin.Config.Metadata = false, nil }, Warning, "disappears here"},
			{"chosen", func(f *Facts) {
				f.Origin.Config.AllowMsgTTL, f.Origin.Config.Metadata = false, nil
				chosen("allow_msg_ttl")(f)
			}, noFinding, ""},
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
			}, Critical, `bucket "top" at "$JS.top.API" has it, and its mirror "demo" at "$JS.hub.API" does not`},
			{"further up", func(f *Facts) {
				f.Above = []*stream.Info{aboveWith("middle", false), aboveWith("top", true)}
			}, Critical, `bucket "top" at "$JS.top.API" has it, and its mirror "middle"`},
			{"all have it", func(f *Facts) { f.Above = []*stream.Info{aboveWith("top", true)} }, noFinding, ""},
			{"the top has none", func(f *Facts) { f.Above = []*stream.Info{aboveWith("top", false)} }, noFinding, ""},
			{"no chain", func(f *Facts) { f.Origin.Config.AllowMsgTTL = false }, noFinding, ""},
		},
		"chain-unreadable": {
			{"below an origin with per-key TTL", func(f *Facts) { f.AboveUnreadable = "no responders" }, OK, "cannot be read: no responders"},
			{"below an origin without", func(f *Facts) { f.AboveUnreadable = "no responders"; f.Origin.Config.AllowMsgTTL = false }, Unknown, "cannot be read: no responders"},
			{"below one with, further up", func(f *Facts) {
				f.AboveUnreadable, f.Above = "no responders", []*stream.Info{aboveWith("middle", true)}
			}, OK, "cannot be read: no responders"},
			{"below one without, further up", func(f *Facts) {
				f.AboveUnreadable, f.Above = "no responders", []*stream.Info{aboveWith("middle", false)}
			}, Unknown, "cannot be read: no responders"},
			{"read", func(f *Facts) { f.Above = []*stream.Info{aboveWith("top", true)} }, noFinding, ""},
		},
		"origin-raises-ttl": {
			{"2.11.6", raisesTTL, Warning, "server 2.11.6 keeps a key with a TTL below 1h0m0s"},
			{"2.11.8", func(f *Facts) { raisesTTL(f); f.Origin.Config.Metadata["_nats.ver"] = "2.11.8" }, Warning, "2.11.8"},
			{"2.11.9", func(f *Facts) { raisesTTL(f); f.Origin.Config.Metadata["_nats.ver"] = "2.11.9" }, noFinding, ""},
			{"version not known", func(f *Facts) { raisesTTL(f); f.Origin.Config.Metadata = nil }, noFinding, ""},
			{"history of 1", func(f *Facts) { raisesTTL(f); f.Origin.Config.MaxMsgsPerSubject = 1 }, noFinding, ""},
			{"no limit markers", func(f *Facts) { raisesTTL(f); f.Origin.Config.SubjectDeleteMarkerTTL = 0 }, noFinding, ""},
			{"mirror without per-key TTL", func(f *Facts) { raisesTTL(f); f.Mirror.Config.AllowMsgTTL = false }, noFinding, ""},
			{"origin unreadable", func(f *Facts) { raisesTTL(f); unreadableBecause(ReasonDenied)(f) }, noFinding, ""},
		},
		"server-too-old": {
			{"level 0", func(f *Facts) { f.Level = new(0) }, Critical, "older than 2.11"},
			{"level 1", func(f *Facts) { f.Level = new(1) }, noFinding, ""},
			{"not known", func(f *Facts) { f.Level = nil }, noFinding, ""},
			{"no need", func(f *Facts) { f.Level = new(0); f.Origin.Config.AllowMsgTTL = false }, noFinding, ""},
		},
		"server-keeps-expired": {
			{"2.11.0, to be turned on", func(f *Facts) { runsOn(f, "2.11.0", "file", false) }, Warning, "2.11.0 cannot turn"},
			{"2.11.1, created with it", func(f *Facts) { runsOn(f, "2.11.1", "file", true) }, noFinding, ""},
			{"2.11.4, to be turned on", func(f *Facts) { runsOn(f, "2.11.4", "memory", false) }, Warning, "2.11.4 keeps"},
			{"2.11.6, on", func(f *Facts) { runsOn(f, "2.11.6", "memory", true) }, OK, "after the mirror was created"},
			{"2.11.17, file", func(f *Facts) { runsOn(f, "2.11.17", "file", false) }, Warning, "2.11.17 keeps"},
			{"2.11.17, memory", func(f *Facts) { runsOn(f, "2.11.17", "memory", false) }, noFinding, ""},
			{"2.12.0", func(f *Facts) { runsOn(f, "2.12.0", "file", false) }, noFinding, ""},
			{"no need", func(f *Facts) { runsOn(f, "2.11.6", "file", false); f.Origin.Config.AllowMsgTTL = false }, noFinding, ""},
		},
	}
}
