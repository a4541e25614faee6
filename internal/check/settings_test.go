package check

import (
	"time"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

func settingCases() map[string][]findingCase {
	return map[string][]findingCase{
		"max-age": {
			{"none", func(f *Facts) { f.Mirror.Config.MaxAge = 0 }, Critical, "forever"},
			{"longer", func(f *Facts) { f.Mirror.Config.MaxAge = 2 * time.Hour }, Warning, "for 2h0m0s instead of 1h0m0s"},
			{"shorter", func(f *Facts) { f.Mirror.Config.MaxAge = time.Minute }, Critical, "older than 1m0s are dropped here, and the origin keeps them for 1h0m0s"},
			{"origin has none", func(f *Facts) { f.Origin.Config.MaxAge = 0 }, Critical, "keeps them forever"},
			{"chosen", func(f *Facts) { f.Mirror.Config.MaxAge = time.Minute; chosen("max_age")(f) }, noFinding, ""},
			{"something else is chosen", func(f *Facts) { f.Mirror.Config.MaxAge = time.Minute; chosen("max_msg_size")(f) }, Critical, "dropped here"},
			{"the same", func(*Facts) {}, noFinding, ""},
			{"origin unreadable", func(f *Facts) { f.Mirror.Config.MaxAge = 0; unreadableBecause(ReasonMissing)(f) }, noFinding, ""},
		},
		"history": {
			{"smaller", func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject = 2 }, Warning, "fewer values of each key are kept than at the origin: 2 instead of 5"},
			{"origin keeps all", func(f *Facts) { f.Origin.Config.MaxMsgsPerSubject = -1 }, Warning, "instead of all"},
			{"larger", func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject = 6 }, Warning, "more values of each key are kept than at the origin: 6 instead of 5"},
			{"unlimited", func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject = 0 }, Warning, "all instead of 5"},
			{"chosen", func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject = 2; chosen("max_msgs_per_subject")(f) }, noFinding, ""},
			{"both unlimited", func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject, f.Origin.Config.MaxMsgsPerSubject = -1, 0 }, noFinding, ""},
		},
		"max-value-size": {
			{"smaller", func(f *Facts) { f.Mirror.Config.MaxMsgSize = 1023 }, Critical, "1023 bytes"},
			{"origin has none", func(f *Facts) { f.Origin.Config.MaxMsgSize = -1 }, Critical, "1024 bytes"},
			{"larger", func(f *Facts) { f.Mirror.Config.MaxMsgSize = 1025 }, Warning, "larger values than the origin, which allows 1024 bytes"},
			{"none", func(f *Facts) { f.Mirror.Config.MaxMsgSize = -1 }, Warning, "larger values"},
			{"chosen", func(f *Facts) { f.Mirror.Config.MaxMsgSize = 1; chosen("max_msg_size")(f) }, noFinding, ""},
		},
		"origin-limit": {
			{"the mirror has none", func(f *Facts) { f.Origin.Config.MaxMsgs, f.Origin.Config.Discard = 100, "old" }, Critical, "drops its oldest values at 100 messages, and they stay here forever"},
			{"other ones", func(f *Facts) {
				f.Origin.Config.MaxMsgs, f.Origin.Config.Discard, f.Mirror.Config.MaxBytes, f.Mirror.Config.Discard = 100, "old", 2000, "old"
			}, Warning, "at 2000 bytes here, and at 100 messages at the origin"},
			{"the same", func(f *Facts) {
				f.Origin.Config.MaxMsgs, f.Origin.Config.Discard, f.Mirror.Config.MaxMsgs, f.Mirror.Config.Discard = 100, "old", 100, "old"
			}, noFinding, ""},
			{"chosen", func(f *Facts) { f.Origin.Config.MaxMsgs, f.Origin.Config.Discard = 100, "old"; chosen("max_bytes")(f) }, noFinding, ""},
			{"an origin that is full at its limit", func(f *Facts) { f.Origin.Config.MaxMsgs = 100 }, noFinding, ""},
		},
		"stops-when-full": {
			{"bytes", func(f *Facts) { f.Mirror.Config.MaxBytes = 2000 }, OK, "1000 of 2000 bytes (50%)"},
			{"bytes, filling up", func(f *Facts) { f.Mirror.Config.MaxBytes = 1250 }, Warning, "1000 of 1250 bytes (80%)"},
			{"full, as the origin is", func(f *Facts) { f.Mirror.Config.MaxBytes, f.Origin.Config.MaxBytes = 1000, 1000 }, OK, "1000 of 1000 bytes (100%)"},
			{"full, and the origin has a larger limit", func(f *Facts) { f.Mirror.Config.MaxBytes, f.Origin.Config.MaxBytes = 1000, 1001 }, Critical, "1000 of 1000 bytes (100%)"},
			{"full of what the origin does not hold", func(f *Facts) { f.Mirror.Config.MaxMsgs, f.Origin.Config.MaxMsgs, f.Origin.State.Msgs = 10, 10, 4 }, Critical, "10 of 10 messages"},
			{"full, in another kind of storage", func(f *Facts) {
				f.Mirror.Config.MaxBytes, f.Origin.Config.MaxBytes, f.Origin.Config.Storage = 1000, 1000, "memory"
			}, Critical, "1000 of 1000 bytes (100%)"},
			{"full, and the origin was not read", func(f *Facts) {
				f.Mirror.Config.MaxMsgs = 10
				unreadableBecause(ReasonDenied)(f)
			}, Critical, "10 of 10 messages"},
			{"messages, almost full", func(f *Facts) { f.Mirror.Config.MaxMsgs = 11 }, Critical, "10 of 11 messages (91%)"},
			{"both, the fuller counts", func(f *Facts) { f.Mirror.Config.MaxMsgs, f.Mirror.Config.MaxBytes = 100, 1000 }, Critical, "1000 of 1000 bytes (100%)"},
			{"empty", func(f *Facts) { f.Mirror.Config.MaxBytes, f.Mirror.State.Bytes = 2000, 0 }, OK, "0 of 2000 bytes (0%)"},
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
			{"off", func(f *Facts) { f.Mirror.Config.MirrorDirect = false }, Warning, "direct gets for its origin"},
			{"off for a promoted bucket", func(f *Facts) {
				f.Mirror.Config.MirrorDirect, f.Mirror.Config.Metadata = false, map[string]string{kvcfg.Silenced: "demo"}
			}, OK, `because bucket "demo" here was promoted`},
			{"off, beside its origin", func(f *Facts) { f.Mirror.Config.MirrorDirect, f.Mirror.Config.Mirror.External = false, nil }, noFinding, ""},
			{"on", func(*Facts) {}, noFinding, ""},
		},
		"republish-loop": {
			{"none", func(*Facts) {}, noFinding, ""},
			{"elsewhere", func(f *Facts) { f.Mirror.Config.RePublish = &stream.RePublish{Destination: "copy.>"} }, noFinding, ""},
			{"to a bucket", func(f *Facts) { f.Mirror.Config.RePublish = &stream.RePublish{Destination: "$KV.demo.>"} }, Critical, "without end"},
			{"to its origin's other subject", func(f *Facts) {
				f.Mirror.Config.RePublish = &stream.RePublish{Destination: "in.{{wildcard(1)}}"}
				f.Origin.Config.Subjects = []string{"$KV.demo.>", "in.*"}
			}, Critical, "without end"},
		},
		"discard-old": {
			{"without a limit", func(f *Facts) { f.Mirror.Config.Discard = "old" }, OK, "has none"},
			{"with one", func(f *Facts) { f.Mirror.Config.Discard, f.Mirror.Config.MaxMsgs = "old", 100 }, Warning, "keys disappear"},
			{"new", func(f *Facts) { f.Mirror.Config.MaxMsgs = 100 }, noFinding, ""},
			{"as the origin", func(f *Facts) {
				f.Origin.Config.MaxMsgs, f.Origin.Config.Discard, f.Mirror.Config.MaxMsgs, f.Mirror.Config.Discard = 100, "old", 100, "old"
			}, noFinding, ""},
			{"chosen", func(f *Facts) {
				f.Mirror.Config.Discard, f.Mirror.Config.MaxBytes = "old", 2000
				chosen("max_bytes")(f)
			}, noFinding, ""},
		},
		"replica-offline": {
			{"one", func(f *Facts) {
				f.Mirror.Cluster = &stream.ClusterInfo{Replicas: []stream.PeerInfo{{Name: "N2", Offline: true}, {Name: "N3", Current: true}}}
			}, Critical, `1 of 3 replicas is offline: ["N2"]`},
			{"behind alone", func(f *Facts) { f.Mirror.Cluster = &stream.ClusterInfo{Replicas: []stream.PeerInfo{{Name: "N2"}}} }, noFinding, ""},
			{"no cluster", func(*Facts) {}, noFinding, ""},
		},
		"replica-behind": {
			{"one", func(f *Facts) {
				f.Mirror.Cluster = &stream.ClusterInfo{Replicas: []stream.PeerInfo{{Name: "N2"}, {Name: "N3", Current: true}}}
			}, Warning, `1 of 3 replicas is not current: ["N2"]`},
			{"offline", func(f *Facts) {
				f.Mirror.Cluster = &stream.ClusterInfo{Replicas: []stream.PeerInfo{{Name: "N2", Offline: true}}}
			}, noFinding, ""},
			{"alone", func(f *Facts) { f.Mirror.Cluster = &stream.ClusterInfo{Leader: "N1"} }, noFinding, ""},
		},
	}
}
