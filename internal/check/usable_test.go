package check

import "nats-kvmirror/internal/stream"

func usableCases() map[string][]findingCase {
	beside := func(f *Facts) {
		f.Mirror.Config.Name, f.Mirror.Config.MirrorDirect = "KV_m", false
		f.Mirror.Config.Mirror = &stream.Source{Name: "KV_demo"}
	}
	transforms := func(pairs ...string) func(*Facts) {
		return func(f *Facts) {
			for i := 0; i < len(pairs); i += 2 {
				f.Mirror.Config.Mirror.SubjectTransforms = append(f.Mirror.Config.Mirror.SubjectTransforms, stream.SubjectTransform{Source: pairs[i], Destination: pairs[i+1]})
			}
		}
	}
	both := func(changes ...func(*Facts)) func(*Facts) {
		return func(f *Facts) {
			for _, change := range changes {
				change(f)
			}
		}
	}
	return map[string][]findingCase{
		"retention": {
			{"workqueue", func(f *Facts) { f.Mirror.Config.Retention = "workqueue" }, Critical, "is workqueue"},
			{"interest", func(f *Facts) { f.Mirror.Config.Retention = "interest" }, Critical, "keeps nothing"},
			{"limits", func(f *Facts) { f.Mirror.Config.Retention = "limits" }, noFinding, ""},
		},
		"origin-retention": {
			{"workqueue", func(f *Facts) { f.Origin.Config.Retention = "workqueue" }, Critical, "removed there"},
			{"interest", func(f *Facts) { f.Origin.Config.Retention = "interest" }, Critical, "keeps nothing"},
			{"limits", func(f *Facts) { f.Origin.Config.Retention = "limits" }, noFinding, ""},
			{"origin unreadable", func(f *Facts) {
				f.Origin.Config.Retention = "workqueue"
				unreadableBecause(ReasonDenied)(f)
			}, noFinding, ""},
		},
		"sealed": {
			{"sealed", func(f *Facts) { f.Mirror.Config.Sealed = true }, Critical, "takes nothing"},
			{"not sealed", func(*Facts) {}, noFinding, ""},
		},
		"consumer-limits": {
			{"acknowledgements", func(f *Facts) { f.Mirror.Config.ConsumerLimits.MaxAckPending = 10 }, Critical, "to 10"},
			{"inactivity", func(f *Facts) { f.Mirror.Config.ConsumerLimits.InactiveThreshold = 1 }, noFinding, ""},
		},
		"keys-renamed": {
			{"to another bucket", transforms("$KV.demo.>", "$KV.m.>"), Warning, `"$KV.demo.>" as "$KV.m.>"`},
			{"the second one", transforms("$KV.demo.a.*", "$KV.demo.a.{{wildcard(1)}}", "$KV.demo.b", "$KV.demo.c"), Warning, `"$KV.demo.b" as "$KV.demo.c"`},
			{"filters", transforms("$KV.demo.a.*", "$KV.demo.a.{{wildcard(1)}}", "$KV.demo.b", "$KV.demo.b", "$KV.demo.c", ""), noFinding, ""},
			{"beside its origin, to its own name", both(beside, transforms("$KV.demo.a.*", "$KV.m.a.{{wildcard(1)}}")), noFinding, ""},
			{"beside its origin, to other keys", both(beside, transforms("$KV.demo.a.>", "$KV.m.b.>")), Warning, "clients do not find"},
		},
		"beside-origin": {
			{"beside", beside, OK, `under "$KV.m.>", and it stores them as its origin does, under "$KV.demo.>"`},
			{"beside, renamed", both(beside, transforms("$KV.demo.>", "$KV.m.>")), noFinding, ""},
			{"in another domain, under another name", func(f *Facts) { f.Mirror.Config.Name = "KV_m" }, noFinding, ""},
		},
	}
}
