package content

import (
	"hash/maphash"

	"nats-kvmirror/internal/kvcfg"
)

// history counts the messages of each key on the side that keeps more of them,
// so that what the other drops by design is told from what it lacks. It takes
// memory for each key, which only a pair with unlike histories costs.
type history struct {
	onMirror bool
	seed     maphash.Seed
	left     map[uint64]int64 // messages still to come, by the key's hash
}

// unlikeHistories says whether the sides keep unlike numbers of values, and
// whether the mirror is the one that keeps more.
func unlikeHistories(mirror, origin kvcfg.Config) (unlike, onMirror bool) {
	here, there := bound(mirror.MaxMsgsPerSubject), bound(origin.MaxMsgsPerSubject)
	return here != there, here > there
}

// bound makes "unlimited" a large number.
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
func (h *history) count(heads Messages) error {
	for {
		m, err := next(heads)
		if m == nil || err != nil {
			return err
		}
		h.left[maphash.Bytes(h.seed, m.Subject)]++
	}
}

// pass goes past a sequence and returns how many newer messages of its key are
// on the side that is counted.
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
