package check

import (
	"slices"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// Comparison is what two states say about a mirror and its origin. Counts can
// show that a mirror is wrong, and never that it is right: two different sets
// of messages can have the same counts.
type Comparison struct {
	// Behind is how many sequence numbers of the origin the mirror has still to
	// take: from the next message that is pending up to the origin's last one. A
	// mirror keeps the origin's numbers, so this is comparable where lag is not. Of
	// a filtered mirror, and where the origin was not asked what is pending, it is
	// an upper bound.
	Behind uint64 `json:"behind"`
	// Surplus is how many messages the mirror holds more than the origin; at
	// least that many are left over.
	Surplus uint64 `json:"surplus"`
	// Missing is how many messages the mirror holds less than the origin.
	Missing uint64 `json:"missing"`
	// Older says that the mirror holds messages from before the origin's first.
	Older bool `json:"older"`
	// Bounded says whether the mirror can hold nothing that the origin does not, so
	// that Surplus and Older mean something: nothing is pending, the mirror keeps no
	// more history, and nothing was chosen by which it keeps more. That is so of a
	// filtered mirror as well.
	Bounded bool `json:"bounded"`
	// Counted says whether the two should moreover hold equally many messages, so
	// that Missing means something: the mirror takes all keys, from the first on,
	// keeps as much history, and nothing was chosen in which it differs.
	Counted bool `json:"counted"`
}

// LeftOver is the smallest number of messages that the mirror holds and the
// origin does not; 0 when none is known of.
func (c Comparison) LeftOver() uint64 {
	if c.Surplus == 0 && c.Older {
		return 1
	}
	return c.Surplus
}

// Same says that nothing in the counts tells mirror and origin apart.
func (c Comparison) Same() bool {
	return c.Counted && c.Behind == 0 && c.LeftOver() == 0 && c.Missing == 0
}

// Compare sets the states of a mirror and of its origin side by side. pending is the
// sequence of the next message that the mirror has to take, 0 when there is none;
// nil when the origin was not asked.
func Compare(mirror, origin stream.Config, mirrored, original stream.State, pending *uint64) Comparison {
	c := Comparison{Behind: behindOf(mirrored, original, pending)}
	if c.Behind > 0 {
		return c
	}
	_, chosen := kvcfg.Followed(mirror, origin)
	here, there := stream.Limit(mirror.MaxMsgsPerSubject), stream.Limit(origin.MaxMsgsPerSubject)
	c.Bounded = (there < 0 || here > 0 && here <= there) && !keepsMore(mirror, origin, chosen)
	c.Counted = c.Bounded && here == there && len(chosen) == 0 && !mirror.Filtered() && !mirror.Mirror.Begins()
	// A mirror read after its origin may be ahead of it: what came since is not a
	// surplus. Where it is behind and nothing is pending, what was has expired: it
	// is not missing, though the origin may have counted it.
	ahead, expired := difference(mirrored.LastSeq, original.LastSeq), difference(original.LastSeq, mirrored.LastSeq)
	if c.Bounded {
		c.Older = mirrored.Msgs > 0 && mirrored.FirstSeq < original.FirstSeq
		c.Surplus = difference(mirrored.Msgs, original.Msgs+ahead)
	}
	if c.Counted && ahead == 0 {
		c.Missing = difference(original.Msgs, mirrored.Msgs+expired)
	}
	return c
}

// behindOf is the Behind of a [Comparison].
func behindOf(mirrored, original stream.State, pending *uint64) uint64 {
	behind := difference(original.LastSeq, mirrored.LastSeq)
	switch {
	case behind == 0 || pending == nil:
		return behind
	case *pending == 0:
		return 0
	}
	// One that came after the state was read counts as well.
	return max(1, min(behind, difference(original.LastSeq+1, *pending)))
}

// difference is by how much a is more than b.
func difference(a, b uint64) uint64 {
	if a <= b {
		return 0
	}
	return a - b
}

// keepsMore says whether a mirror keeps what its origin drops, by what was chosen of it
// or by how its storage counts.
func keepsMore(mirror, origin stream.Config, chosen []kvcfg.Change) bool {
	return kvcfg.CountsOtherwise(mirror, origin) || slices.ContainsFunc(chosen, func(c kvcfg.Change) bool {
		switch c.Field {
		case "allow_msg_ttl":
			return origin.AllowMsgTTL
		case "max_age":
			return origin.MaxAge > 0 && (mirror.MaxAge <= 0 || mirror.MaxAge > origin.MaxAge)
		case "max_msgs", "max_bytes", "discard":
			return true
		}
		return false
	})
}
