package jsapi

import (
	"context"
	"fmt"
)

// Account is what the API says about itself.
type Account struct {
	Domain string // the JetStream domain; "" when there is none
	Level  int    // the API level: 0 before 2.11, 1 in 2.11

	all   usage
	tiers map[string]usage // by name, as R3
}

// usage is what an account, or a tier of it, stores, and may store.
type usage struct {
	Memory  uint64 `json:"memory"`
	Storage uint64 `json:"storage"`
	Limits  struct {
		Memory  int64 `json:"max_memory"`
		Storage int64 `json:"max_storage"`
	} `json:"limits"`
}

// Usage is how many bytes an account stores of what a stream with this storage, "file"
// or "memory", and so many replicas is counted as, and how many it may; 0 means that
// there is no limit, or that it is not known.
func (a Account) Usage(storage string, replicas int) (used, limit uint64) {
	u, times := a.all, int64(1)
	if len(a.tiers) > 0 {
		// The limits of a tier are those of one replica (server/jetstream.go,
		// wouldExceedLimits).
		u, times = a.tiers[fmt.Sprintf("R%d", replicas)], int64(max(replicas, 1))
	}
	used, most := u.Storage, u.Limits.Storage
	if storage == "memory" {
		used, most = u.Memory, u.Limits.Memory
	}
	if most <= 0 {
		return used, 0
	}
	return used, uint64(most * times)
}

// Account asks the API about itself.
func (a *API) Account(ctx context.Context) (Account, error) {
	subject := a.prefix + ".INFO"
	data, err := a.conn.query(ctx, subject, nil)
	if err != nil {
		return Account{}, err
	}
	return accountOf(subject, data)
}

func accountOf(subject string, data []byte) (Account, error) {
	var r struct {
		usage
		Domain string `json:"domain"`
		API    struct {
			Level int `json:"level"`
		} `json:"api"`
		Tiers map[string]usage `json:"tiers"`
	}
	err := decode(subject, data, &r)
	return Account{Domain: r.Domain, Level: r.API.Level, all: r.usage, tiers: r.Tiers}, err
}
