package content

import (
	"hash/maphash"

	"nats-kvmirror/internal/stream"
)

// history counts the messages of each key on the side that keeps more of them. It
// tells what the other side drops by design from what it lacks. It takes memory for
// each key, and is used only where the histories differ.
type history struct {
	onMirror bool
	seed     maphash.Seed
	left     map[uint64]int64 // messages not yet passed, by the key's hash
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

func newHistory(onMirror bool) *history {
	return &history{onMirror: onMirror, seed: maphash.MakeSeed(), left: map[uint64]int64{}}
}

// count counts all messages of the side.
func (h *history) count(messages Messages) error {
	for {
		m, err := next(messages)
		if m == nil || err != nil {
			return err
		}
		h.left[maphash.Bytes(h.seed, m.Subject)]++
	}
}

// pass moves past a sequence and returns how many newer messages of its key the
// counted side has.
func (h *history) pass(p pair) int64 {
	if h == nil {
		return 0
	}
	m := p.origin
	if h.onMirror {
		m = p.mirror
	}
	if m == nil {
		return 0
	}
	key := maphash.Bytes(h.seed, m.Subject)
	h.left[key]--
	return h.left[key]
}

func (h *history) ofOrigin() bool { return h != nil && !h.onMirror }
func (h *history) ofMirror() bool { return h != nil && h.onMirror }
