package content

import (
	"context"
	"hash/maphash"

	"nats-kvmirror/internal/jsapi"
)

// coming are the keys of the messages that the origin has and the mirror, at its last
// sequence, has not taken. A mirror comes to a sequence also when what was there has
// been replaced, so the old value of a key that is written all the time is on a mirror
// that is not behind: it is not left over as long as its replacement is on the way.
// They are read only when something seems to be left over.
type coming struct {
	load func() error
	seed maphash.Seed
	keys map[uint64]bool // by the hash of the mirror's subject; nil before they are read
}

// coming is for a mirror as it was read.
func (c *Comparer) coming(ctx context.Context, now snapshot, rename func(string) string) *coming {
	k := &coming{seed: maphash.MakeSeed()}
	k.load = func() error {
		k.keys = map[uint64]bool{}
		messages, err := c.openOrigin(ctx, now, jsapi.Range{From: now.mirror.State.LastSeq + 1, To: toEnd}, false)
		if err != nil {
			return err
		}
		defer messages.close()
		for {
			m, err := next(messages)
			if m == nil || err != nil {
				return err
			}
			subject := m.Subject
			if rename != nil {
				subject = []byte(rename(string(subject)))
			}
			k.keys[maphash.Bytes(k.seed, subject)] = true
		}
	}
	return k
}

// replaces says whether a message of the mirror is about to be replaced.
func (k *coming) replaces(subject []byte) (bool, error) {
	if k.keys == nil {
		if err := k.load(); err != nil {
			return false, err
		}
	}
	return k.keys[maphash.Bytes(k.seed, subject)], nil
}
