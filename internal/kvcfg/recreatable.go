package kvcfg

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"nats-kvmirror/internal/stream"
)

// Errors of a mirror that, deleted, could not be created again.
var (
	// ErrNotRecreatable is returned for a mirror that no server creates again, or that
	// then could not hold what its origin holds.
	ErrNotRecreatable = errors.New("it could not be created again")
	// ErrConsumer is an [ErrNotRecreatable] for a mirror that reads through a consumer
	// of its origin that somebody created.
	ErrConsumer = fmt.Errorf("%w as it is", ErrNotRecreatable)
)

// CheckRecreatable returns an error that wraps [ErrNotRecreatable] or [ErrRetention]
// where a mirror cannot be created as planned, or cannot hold then what its origin
// holds: that much can be told without a server.
func CheckRecreatable(planned stream.Raw, origin stream.Config, holds stream.State) error {
	c, err := planned.Config()
	if err != nil {
		return err
	}
	bucket := DisplayName(c.Name)
	cannot := func(kind error, format string, a ...any) error {
		return fmt.Errorf("bucket %q: %w: %s", bucket, kind, fmt.Sprintf(format, a...))
	}
	if err := CheckRetention(c); err != nil {
		return cannot(ErrNotRecreatable, "%v", err)
	}
	whole := !c.Filtered() && !c.Mirror.Begins() && c.Discard == "new" && stream.Limit(c.MaxMsgsPerSubject) == stream.Limit(origin.MaxMsgsPerSubject) &&
		max(c.MaxAge, 0) == max(origin.MaxAge, 0)
	switch {
	case c.Sealed:
		return cannot(ErrNotRecreatable, "it is sealed, and servers create no sealed stream")
	case c.Mirror.Consumer != nil:
		return cannot(ErrConsumer, "it reads through the consumer %q of its origin, which remembers what it has delivered, so the new mirror would not get it", c.Mirror.Consumer.Name)
	case whole && c.MaxMsgs > 0 && holds.Msgs > uint64(c.MaxMsgs):
		return cannot(ErrNotRecreatable, "it takes %d messages at the most, and its origin holds %d", c.MaxMsgs, holds.Msgs)
	case whole && c.Storage == origin.Storage && c.MaxBytes > 0 && holds.Bytes > uint64(c.MaxBytes):
		return cannot(ErrNotRecreatable, "it takes %d bytes at the most, and its origin holds %d", c.MaxBytes, holds.Bytes)
	case c.Mirror.External == nil && c.MaxMsgSize > 0 && origin.MaxMsgSize > c.MaxMsgSize:
		// Servers refuse that (10030) where they see the origin.
		return cannot(ErrNotRecreatable, "it takes values of %d bytes at the most, and its origin of %d", c.MaxMsgSize, origin.MaxMsgSize)
	}
	return nil
}

// Probe is a scratch mirror under another name, with the settings of a planned one: it
// shows whether that can be created. It takes nothing of what its origin holds up to a
// sequence, republishes nothing, and answers no direct gets in the name of its
// origin, as it is empty. In the origin's own domain servers make every mirror do
// that (server/stream.go, checkStreamCfg), so there it mirrors a stream that does not
// exist, which servers accept. The error wraps [stream.ErrMalformed].
func Probe(planned stream.Raw, name string, last uint64) (stream.Raw, error) {
	c := maps.Clone(planned)
	c.Set("name", name)
	c.Set("description", "scratch mirror of nats-kvmirror recreate; it can be deleted")
	c.Set("republish", nil)
	c.Set("mirror_direct", false)
	mirror, err := stream.ParseRaw(c["mirror"])
	if err != nil {
		return nil, err
	}
	mirror.Set("opt_start_time", nil)
	if mirror.Set("opt_start_seq", last+1); stream.IsNull(mirror["external"]) {
		mirror.Set("name", name+"-origin")
	}
	c["mirror"] = json.RawMessage(stream.JSON(mirror))
	return c, nil
}
