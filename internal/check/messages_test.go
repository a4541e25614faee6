package check

import "time"

func messageCases() map[string][]findingCase {
	return map[string][]findingCase{
		"left-over": {
			{"twice", func(f *Facts) { f.Mirror.State.Msgs = 13; readTwice(f) }, Critical, "at least 3 messages"},
			{"one reading", func(f *Facts) { f.Mirror.State.Msgs = 13 }, noFinding, ""},
			{"compared", func(f *Facts) { f.Content = &Content{LeftOver: map[string]uint64{"gone": 1, "expired": 4}} }, Critical, "5 messages that its origin does not: 4 expired by TTL, 1 purged"},
			{"compared, and the counts are old", func(f *Facts) { f.Mirror.State.Msgs = 13; readTwice(f); f.Content = &Content{} }, noFinding, ""},
			{"not all compared", func(f *Facts) {
				f.Mirror.State.Msgs = 13
				readTwice(f)
				f.Content = &Content{Unverified: "denied"}
			}, Critical, "at least 3 messages"},
		},
		"missing": {
			{"twice", func(f *Facts) { f.Mirror.State.Msgs = 7; readTwice(f) }, Critical, "at least 3 messages"},
			{"one reading", func(f *Facts) { f.Mirror.State.Msgs = 7 }, noFinding, ""},
			{"compared", func(f *Facts) { f.Content = &Content{Missing: map[string]uint64{"absent": 1}} }, Critical, "lacks 1 message of its origin: 1 for no known reason"},
			{"compared, and the counts are old", func(f *Facts) { f.Mirror.State.Msgs = 7; readTwice(f); f.Content = &Content{} }, noFinding, ""},
		},
		"different": {
			{"three", func(f *Facts) { f.Content = &Content{Different: map[string]uint64{"time": 2, "size": 1}} }, Critical, "3 messages of the mirror and its origin differ at the same sequence: 1 in the size, 2 in the time"},
			{"none", func(f *Facts) { f.Content = &Content{} }, noFinding, ""},
			{"not compared", func(*Facts) {}, noFinding, ""},
		},
		"missing-above": {
			{"two", func(f *Facts) { f.Content = &Content{MissingAbove: 2} }, Warning, "the origin lacks 2 messages of its own origin"},
			{"none", func(f *Facts) { f.Content = &Content{} }, noFinding, ""},
			{"not compared", func(*Facts) {}, noFinding, ""},
		},
		"clock-skew": {
			{"slow", func(f *Facts) { f.Content = &Content{Skew: -90 * time.Second} }, Critical, "is 1m30s behind that of its origin's, so messages expire too late"},
			{"fast", func(f *Facts) { f.Content = &Content{Skew: 3 * time.Second} }, Warning, "is 3s ahead of that of its origin's, so messages expire too early"},
			{"little", func(f *Facts) { f.Content = &Content{Skew: 2 * time.Second} }, noFinding, ""},
			{"not compared", func(*Facts) {}, noFinding, ""},
		},
		"content-unverified": {
			{"denied", func(f *Facts) { f.Content = &Content{Unverified: "permission denied"} }, Unknown, "cannot be verified: permission denied"},
			{"verified", func(f *Facts) { f.Content = &Content{} }, noFinding, ""},
		},
	}
}
