package check

import (
	"math"
	"time"

	"nats-kvmirror/internal/stream"
)

func linkCases() map[string][]findingCase {
	return map[string][]findingCase{
		"origin-missing": {
			{"missing", unreadableBecause(ReasonMissing), Critical, unread[ReasonMissing]},
			{"another reason", unreadableBecause(ReasonDenied), noFinding, ""},
			{"read", func(f *Facts) { f.OriginUnread.Reason = ReasonMissing }, noFinding, ""},
		},
		"origin-not-a-bucket": {
			{"not a bucket", unreadableBecause(ReasonNotBucket), Critical, unread[ReasonNotBucket]},
			{"another reason", unreadableBecause(ReasonMissing), noFinding, ""},
		},
		"origin-denied": {
			{"denied", unreadableBecause(ReasonDenied), Unknown, unread[ReasonDenied]},
			{"another reason", unreadableBecause(ReasonUnreachable), noFinding, ""},
		},
		"origin-unreachable": {
			{"unreachable", unreadableBecause(ReasonUnreachable), Unknown, unread[ReasonUnreachable]},
			{"another reason", unreadableBecause(ReasonMissing), noFinding, ""},
		},
		"origin-recreated": {
			{"ahead of the origin", func(f *Facts) { f.Origin.State.LastSeq = 3; readTwice(f) }, Critical, "at sequence 10 and its origin only at 3"},
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
			{"origin unreadable", func(f *Facts) { unreadableBecause(ReasonMissing)(f) }, noFinding, ""},
		},
		"never-connected": {
			{"-1", func(f *Facts) { f.Mirror.Mirror.Active = -1; readTwice(f) }, Critical, "nothing from its origin since its server started"},
			{"the largest", func(f *Facts) { f.Mirror.Mirror.Active = math.MaxInt64; readTwice(f) }, Critical, "nothing from its origin since"},
			{"and empty", func(f *Facts) { f.Mirror.Mirror.Active, f.Mirror.State = -1, stream.State{}; readTwice(f) }, Critical, "never received"},
			{"origin unreadable", func(f *Facts) {
				f.Mirror.Mirror.Active = -1
				readTwice(f)
				unreadableBecause(ReasonUnreachable)(f)
			}, Critical, "nothing from its origin since"},
			{"one reading", func(f *Facts) { f.Mirror.Mirror.Active = -1 }, noFinding, ""},
			{"just now", func(f *Facts) { f.Mirror.Mirror.Active = 0 }, noFinding, ""},
			{"not known", func(f *Facts) { f.Mirror.Mirror = nil }, noFinding, ""},
		},
		"link-stale": {
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
			{"behind twice", func(f *Facts) { behindBy(f, 1); readTwice(f) }, Critical, "does not advance from sequence 10, 1 behind"},
			{"one reading", func(f *Facts) { behindBy(f, 1) }, noFinding, ""},
			{"the account is full", stalledBecause(func(f *Facts) { f.Stored, f.MayStore = 950, 1000 }), Critical, "1 behind its origin: the account's storage is used up: 950 of 1000 bytes"},
			{"the account has room", stalledBecause(func(f *Facts) { f.Stored, f.MayStore = 900, 1000 }), Critical, "1 behind its origin"},
			{"full", stalledBecause(func(f *Facts) { f.Mirror.Config.MaxMsgs = 10 }), Critical, "its origin: it is full"},
			{"sealed", stalledBecause(func(f *Facts) { f.Mirror.Config.Sealed = true }), Critical, "its origin: it is sealed"},
			{"no flow control, said", stalledBecause(func(f *Facts) { f.Mirror.Mirror.Error = &stream.APIError{Code: 10228} }), Critical, "requests for flow control are not answered"},
			{"no flow control", stalledBecause(otherAccount), Critical, "do not share flow control"},
			{"no delivery", stalledBecause(func(f *Facts) { otherAccount(f); f.Mirror.State = stream.State{}; readTwice(f) }), Critical, `the subjects "deliver.B.>" are not shared`},
			{"moves", func(f *Facts) { behindBy(f, 5); readTwice(f); f.Mirror.State.LastSeq++ }, noFinding, ""},
			{"was not behind", func(f *Facts) { readTwice(f); behindBy(f, 1) }, noFinding, ""},
			{"the rest has expired", func(f *Facts) { behindBy(f, 5); readTwice(f); f.NextPending = new(uint64(0)) }, noFinding, ""},
			{"the rest has not expired", func(f *Facts) { behindBy(f, 5); readTwice(f); f.NextPending = new(uint64(14)) }, Critical, "2 behind"},
			{"the rest came since", func(f *Facts) {
				behindBy(f, 5)
				readTwice(f)
				behindBy(f, 6)
				f.NextPending = new(uint64(16))
			}, noFinding, ""},
			{"something was pending, and has been rewritten since", func(f *Facts) {
				behindBy(f, 5)
				readTwice(f)
				f.Earlier.NextPending = new(uint64(15))
				behindBy(f, 9)
				f.NextPending = new(uint64(19))
			}, Critical, "does not advance from sequence 10, 1 behind"},
			{"something was pending, and has expired since", func(f *Facts) {
				behindBy(f, 5)
				readTwice(f)
				f.Earlier.NextPending, f.NextPending = new(uint64(15)), new(uint64(0))
			}, noFinding, ""},
			{"nothing was pending", func(f *Facts) {
				behindBy(f, 5)
				readTwice(f)
				f.Earlier.NextPending = new(uint64(0))
				behindBy(f, 9)
				f.NextPending = new(uint64(19))
			}, noFinding, ""},
			{"filtered, not asked", func(f *Facts) { filtered(f); behindBy(f, 5); readTwice(f) }, noFinding, ""},
			{"filtered, none for it", func(f *Facts) { filtered(f); behindBy(f, 5); readTwice(f); f.NextPending = new(uint64(0)) }, noFinding, ""},
			{"filtered, one for it", func(f *Facts) { filtered(f); behindBy(f, 5); readTwice(f); f.NextPending = new(uint64(12)) }, Critical, "does not advance"},
		},
		"behind": {
			{"critical", func(f *Facts) { behindBy(f, 10_001) }, Critical, "10001 messages behind"},
			{"at the critical threshold", func(f *Facts) { behindBy(f, 10_000) }, Warning, "10000 messages behind"},
			{"warning", func(f *Facts) { behindBy(f, 1_001) }, Warning, "1001 messages behind"},
			{"at the threshold", func(f *Facts) { behindBy(f, 1_000) }, noFinding, ""},
			{"by lag alone", func(f *Facts) { f.Mirror.Mirror.Lag = 1 << 40 }, noFinding, ""},
			{"stalled", func(f *Facts) { behindBy(f, 10_001); readTwice(f) }, noFinding, ""},
			{"moves", func(f *Facts) { behindBy(f, 10_002); readTwice(f); f.Mirror.State.LastSeq++ }, Critical, "10001 messages behind"},
			{"the rest has expired", func(f *Facts) { behindBy(f, 10_001); f.NextPending = new(uint64(0)) }, noFinding, ""},
			{"filtered, not asked", func(f *Facts) { filtered(f); behindBy(f, 10_001) }, noFinding, ""},
			{"filtered, one for it", func(f *Facts) { filtered(f); behindBy(f, 10_001); f.NextPending = new(uint64(11)) }, Critical, "behind"},
		},
		"filtered-tail-unknown": {
			{"filtered, not asked", func(f *Facts) { filtered(f); behindBy(f, 7) }, Unknown, "up to 7 messages"},
			{"filtered, known", func(f *Facts) { filtered(f); behindBy(f, 7); f.NextPending = new(uint64(0)) }, noFinding, ""},
			{"not filtered", func(f *Facts) { behindBy(f, 7) }, noFinding, ""},
			{"not behind", filtered, noFinding, ""},
		},
	}
}
