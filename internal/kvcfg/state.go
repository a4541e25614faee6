package kvcfg

import (
	"math"
	"time"
)

// State is what a stream holds, as the server counts it.
type State struct {
	Msgs     uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	FirstSeq uint64 `json:"first_seq"`
	// FirstTime and LastTime are when the messages were stored; a mirror's are
	// its origin's times.
	FirstTime time.Time `json:"first_ts"`
	LastSeq   uint64    `json:"last_seq"`
	LastTime  time.Time `json:"last_ts"`
	Deleted   int       `json:"num_deleted"`
	Subjects  int       `json:"num_subjects"`
	Consumers int       `json:"consumer_count"`
}

// Link is the state of a mirror's, or of a sourcing stream's, connection to the
// stream that it reads, as the server that hosts it sees it.
type Link struct {
	Name     string    `json:"name"`
	External *External `json:"external"`
	// Lag is what the link believes to be behind. It is 0 also when the link
	// has never worked.
	Lag uint64 `json:"lag"`
	// Active is how long ago the link was last heard of; see Heard.
	Active time.Duration `json:"active"`
	Error  *LinkError    `json:"error"`
}

// Heard says that the link has been heard of, ever; not so without one. Servers say
// -1, or the longest duration, of one that was not.
func (l *Link) Heard() bool {
	return l != nil && l.Active >= 0 && l.Active != math.MaxInt64
}

// LinkError is what a link says is wrong with it.
type LinkError struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

// Cluster is where a stream's replicas live; nil outside of a cluster, and with
// no replicas on a server that is alone.
type Cluster struct {
	Name     string `json:"name"`
	Leader   string `json:"leader"`
	Replicas []Peer `json:"replicas"`
}

// Peer is a replica other than the leader.
type Peer struct {
	Name    string        `json:"name"`
	Current bool          `json:"current"`
	Offline bool          `json:"offline"`
	Active  time.Duration `json:"active"` // since it was last seen
	Lag     uint64        `json:"lag"`    // operations behind the leader
}

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
	// mirror takes all keys, from the first on, and keeps as much history.
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
func Compare(mirror, origin Config, mirrored, original State) Comparison {
	var c Comparison
	if original.LastSeq > mirrored.LastSeq {
		c.Behind = original.LastSeq - mirrored.LastSeq
	}
	c.Counted = c.Behind == 0 && !mirror.Filtered() && !mirror.Mirror.Begins() && limit(mirror.MaxMsgsPerSubject) == limit(origin.MaxMsgsPerSubject)
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
