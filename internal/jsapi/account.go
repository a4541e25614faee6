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
	Memory          uint64 `json:"memory"`
	Storage         uint64 `json:"storage"`
	ReservedMemory  uint64 `json:"reserved_memory"`
	ReservedStorage uint64 `json:"reserved_storage"`
	Streams         int    `json:"streams"`
	Limits          struct {
		Memory         int64 `json:"max_memory"`
		Storage        int64 `json:"max_storage"`
		Streams        int   `json:"max_streams"`
		MemoryStream   int64 `json:"memory_max_stream_bytes"`
		StorageStream  int64 `json:"storage_max_stream_bytes"`
		BytesAreNeeded bool  `json:"max_bytes_required"`
	} `json:"limits"`
}

// usage is that of a stream with so many replicas, and what the limits are to be
// multiplied by: those of a tier are of one replica (server/jetstream.go,
// wouldExceedLimits).
func (a Account) usage(replicas int) (u usage, times int64) {
	if len(a.tiers) == 0 {
		return a.all, 1
	}
	return a.tiers[fmt.Sprintf("R%d", max(replicas, 1))], int64(max(replicas, 1))
}

// Room is what an account may have of one storage, in the tier of a number of replicas,
// and what it has. Limits of 0 mean none.
type Room struct {
	Streams, MaxStreams      int
	Used, Reserved, MaxBytes uint64 // all replicas together
	MaxStreamBytes           int64  // that a stream may reserve
	MaxBytesRequired         bool   // a stream must reserve
	Tiered                   bool   // streams with another number of replicas have room of their own
}

// Room is what there is for a stream with this storage and so many replicas.
func (a Account) Room(storage string, replicas int) Room {
	u, _ := a.usage(replicas)
	room := Room{
		Streams: u.Streams, MaxStreams: max(u.Limits.Streams, 0), MaxBytesRequired: u.Limits.BytesAreNeeded,
		Reserved: u.ReservedStorage, MaxStreamBytes: u.Limits.StorageStream, Tiered: len(a.tiers) > 0,
	}
	if storage == "memory" {
		room.Reserved, room.MaxStreamBytes = u.ReservedMemory, u.Limits.MemoryStream
	}
	room.Used, room.MaxBytes = a.Usage(storage, replicas)
	return room
}

// Usage is how many bytes an account stores of what a stream with this storage, "file"
// or "memory", and so many replicas is counted as, and how many it may; 0 means that
// there is no limit, or that it is not known.
func (a Account) Usage(storage string, replicas int) (used, limit uint64) {
	u, times := a.usage(replicas)
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
