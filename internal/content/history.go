package content

import (
	"hash/maphash"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// history tells what the side with the smaller history drops by design from what it
// lacks: of each key it knows the newest messages on the side that keeps more, as many
// as the other side keeps. It takes memory for each key, and is used only where the
// histories differ.
type history struct {
	onMirror bool
	limit    int // of the smaller history
	seed     maphash.Seed
	newest   map[uint64][]uint64 // sequences by the key's hash, rising
}

// historiesDiffer says whether the sides keep different numbers of values of a key,
// and whether the mirror keeps more.
func historiesDiffer(mirror, origin stream.Config) (differ, onMirror bool) {
	here, there := bound(mirror.MaxMsgsPerSubject), bound(origin.MaxMsgsPerSubject)
	return here != there, here > there
}

// bound turns "unlimited" into a large number.
func bound(n int64) int64 {
	if n <= 0 {
		return 1<<63 - 1
	}
	return n
}

// newHistory is for the side that keeps more; limit is how much the other one keeps.
func newHistory(onMirror bool, limit int64) *history {
	return &history{onMirror: onMirror, limit: int(limit), seed: maphash.MakeSeed(), newest: map[uint64][]uint64{}}
}

// read reads all messages of the side.
func (h *history) read(messages Messages) error {
	for {
		m, err := next(messages)
		if m == nil || err != nil {
			return err
		}
		key := maphash.Bytes(h.seed, m.Subject)
		newest := append(h.newest[key], m.Seq)
		if n := len(newest); n > h.limit {
			copy(newest, newest[n-h.limit:])
			newest = newest[:h.limit]
		}
		h.newest[key] = newest
	}
}

// older says whether a message of the side is not among the newest of its key.
func (h *history) older(m *jsapi.MsgMeta) bool {
	newest := h.newest[maphash.Bytes(h.seed, m.Subject)]
	return len(newest) == h.limit && m.Seq < newest[0]
}

// ofOrigin says that the origin keeps more, and ofMirror that the mirror does.
func (h *history) ofOrigin() bool { return h != nil && !h.onMirror }
func (h *history) ofMirror() bool { return h != nil && h.onMirror }
