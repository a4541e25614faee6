package check

import (
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// Comparison is what two states say about a mirror and its origin. Counts can
// show that a mirror is wrong, and never that it is right: two different sets
// of messages can have the same counts.
type Comparison struct {
	// Behind is how many sequence numbers the mirror lacks up to the origin's
	// last one. A mirror keeps the origin's numbers, so this is comparable
	// where lag is not. Of a filtered mirror it is an upper bound.
	Behind uint64 `json:"behind"`
	// Surplus is how many messages the mirror holds more than the origin; at
	// least that many are left over.
	Surplus uint64 `json:"surplus"`
	// Missing is how many messages the mirror holds less than the origin.
	Missing uint64 `json:"missing"`
	// Older says that the mirror holds messages from before the origin's first.
	Older bool `json:"older"`
	// Counted says whether the two should hold equally many messages, so that
	// Surplus and Missing mean something: both are at the same sequence, the
	// mirror takes all keys, from the first on, keeps as much history, and nothing
	// was chosen in which it differs from its origin.
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

// Compare sets the states of a mirror and of its origin side by side.
func Compare(mirror, origin stream.Config, mirrored, original stream.State) Comparison {
	var c Comparison
	if original.LastSeq > mirrored.LastSeq {
		c.Behind = original.LastSeq - mirrored.LastSeq
	}
	_, chosen := kvcfg.Followed(mirror, origin)
	c.Counted = c.Behind == 0 && len(chosen) == 0 && !kvcfg.CountsOtherwise(mirror, origin) && !mirror.Filtered() && !mirror.Mirror.Begins() && stream.Limit(mirror.MaxMsgsPerSubject) == stream.Limit(origin.MaxMsgsPerSubject)
	if !c.Counted {
		return c
	}
	c.Older = mirrored.Msgs > 0 && mirrored.FirstSeq < original.FirstSeq
	// A mirror read after its origin may be ahead of it: what came since is
	// not a surplus.
	ahead := mirrored.LastSeq - original.LastSeq
	if mirrored.Msgs > original.Msgs+ahead {
		c.Surplus = mirrored.Msgs - original.Msgs - ahead
	}
	if original.Msgs > mirrored.Msgs && ahead == 0 {
		c.Missing = original.Msgs - mirrored.Msgs
	}
	return c
}
