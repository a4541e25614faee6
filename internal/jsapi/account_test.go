package jsapi

import "testing"

func TestUsage(t *testing.T) {
	const flat = `{"type":"x","memory":1,"storage":2,"limits":{"max_memory":10,"max_storage":20}}`
	const tiers = `{"type":"x","memory":5,"storage":7,"limits":{},"tiers":{"R1":{"memory":1,"storage":2,"limits":{"max_memory":10,"max_storage":20}},"R3":{"storage":6,"limits":{"max_storage":30}}}}`
	for _, test := range []struct {
		name, answer, storage string
		replicas              int
		used, limit           uint64
	}{
		{"file", flat, "file", 1, 2, 20},
		{"memory", flat, "memory", 1, 1, 10},
		{"three replicas", flat, "file", 3, 2, 20},
		{"no limits", `{"type":"x","storage":2,"limits":{"max_storage":-1}}`, "file", 1, 2, 0},
		{"not said", `{"type":"x"}`, "file", 1, 0, 0},
		{"tier", tiers, "memory", 1, 1, 10},
		{"tier of three replicas", tiers, "file", 3, 6, 90},
		{"no such tier", tiers, "file", 5, 0, 0},
	} {
		account, err := accountOf("SUBJECT", []byte(test.answer))
		if err != nil {
			t.Fatal(err)
		}
		if used, limit := account.Usage(test.storage, test.replicas); used != test.used || limit != test.limit {
			t.Errorf("%s: %d of %d, want %d of %d", test.name, used, limit, test.used, test.limit)
		}
	}
}
