package jsapi

import (
	"context"
	"errors"
	"fmt"

	"nats-kvmirror/internal/stream"
)

// MayCreate is nil when the stream of this configuration, which exists, might be
// created by this user: servers answer OK to a creation of what is there, and to
// another configuration that the name is in use. It is sent once, and changes nothing.
func (a *API) MayCreate(ctx context.Context, config stream.Raw) error {
	known, err := config.Config()
	if err != nil {
		return err
	}
	subject := a.prefix + ".STREAM.CREATE." + known.Name
	data, err := a.conn.request(ctx, subject, nil, config)
	if err == nil {
		_, err = a.infoOf(subject, known.Name, data)
	}
	if e := (*Error)(nil); errors.As(err, &e) && e.Code == codeNameInUse {
		return nil
	}
	return err
}

// LacksRoom says of a failed creation that there is no room for another stream, which
// the deletion of one may make.
func LacksRoom(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case codeAccountResources, codeNoResources, codeMaxStreams, codeNoMemory, codeNoStorage:
		return true
	}
	return false
}

// Room is what an account may have of one storage, in the tier of a number of replicas,
// and what it uses. Limits of 0 and below mean none.
type Room struct {
	Streams, MaxStreams int
	Used, Reserved      uint64 // bytes
	MaxBytes            int64
	MaxStreamBytes      int64 // that a stream may reserve
	MaxBytesRequired    bool  // a stream must reserve
}

// tier is the account's use of a tier, or of all, as servers spell it.
type tier struct {
	Memory          uint64 `json:"memory"`
	Storage         uint64 `json:"storage"`
	ReservedMemory  uint64 `json:"reserved_memory"`
	ReservedStorage uint64 `json:"reserved_storage"`
	Streams         int    `json:"streams"`
	Limits          struct {
		MaxMemory      int64 `json:"max_memory"`
		MaxStorage     int64 `json:"max_storage"`
		MaxStreams     int   `json:"max_streams"`
		MemoryStream   int64 `json:"memory_max_stream_bytes"`
		StorageStream  int64 `json:"storage_max_stream_bytes"`
		BytesAreNeeded bool  `json:"max_bytes_required"`
	} `json:"limits"`
}

// Room asks the API what the account has room for.
func (a *API) Room(ctx context.Context, storage string, replicas int) (Room, error) {
	subject := a.prefix + ".INFO"
	data, err := a.conn.query(ctx, subject, nil)
	if err != nil {
		return Room{}, err
	}
	return roomOf(subject, data, storage, replicas)
}

func roomOf(subject string, data []byte, storage string, replicas int) (Room, error) {
	var r struct {
		tier
		Tiers map[string]tier `json:"tiers"`
	}
	if err := decode(subject, data, &r); err != nil {
		return Room{}, err
	}
	t := r.tier
	if len(r.Tiers) > 0 {
		t = r.Tiers[fmt.Sprintf("R%d", max(replicas, 1))]
	}
	room := Room{
		Streams: t.Streams, MaxStreams: t.Limits.MaxStreams, MaxBytesRequired: t.Limits.BytesAreNeeded,
		Used: t.Storage, Reserved: t.ReservedStorage, MaxBytes: t.Limits.MaxStorage, MaxStreamBytes: t.Limits.StorageStream,
	}
	if storage == "memory" {
		room.Used, room.Reserved = t.Memory, t.ReservedMemory
		room.MaxBytes, room.MaxStreamBytes = t.Limits.MaxMemory, t.Limits.MemoryStream
	}
	return room, nil
}
