package stream

import (
	"encoding/json"
	"errors"
	"math"
	"time"
)

// Info is a stream as a server reports it, singly or in a list.
type Info struct {
	Config  Config       `json:"config"`
	Created time.Time    `json:"created"`
	State   State        `json:"state"`
	Cluster *ClusterInfo `json:"cluster"`
	Mirror  *SourceInfo  `json:"mirror"`  // of a mirror
	Sources []SourceInfo `json:"sources"` // of a stream that sources others
	// TimeStamp is the server's time when it answered; zero when it did not say, as
	// in a list.
	TimeStamp time.Time `json:"ts"`
	// Prefix is the API prefix under which the stream was read.
	Prefix string `json:"-"`
	// Size is how many bytes the answer had; 0 in a list.
	Size int `json:"-"`
}

// Parse reads the information of a stream, which must hold a configuration.
func Parse(data []byte) (*Info, error) {
	var i Info
	if err := json.Unmarshal(data, &i); err != nil {
		return nil, err
	}
	if i.Config.raw == nil || IsNull(i.Config.raw) {
		return nil, errors.New("it has no configuration")
	}
	return &i, nil
}

// ServerTime is the server's time when it answered, or ours where it did not say.
func (i *Info) ServerTime() time.Time {
	if i.TimeStamp.IsZero() {
		return time.Now()
	}
	return i.TimeStamp
}

// SameStream says whether two reads are of one stream with one configuration.
func (i *Info) SameStream(other *Info) bool {
	return i.Created.Equal(other.Created) && i.Config.SameAs(other.Config)
}

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

// SourceInfo is the state of a mirror's, or of a sourcing stream's, link to the
// stream that it reads, as the server that hosts it sees it.
type SourceInfo struct {
	Name     string    `json:"name"`
	External *External `json:"external"`
	// Lag is what the link believes to be behind. It is 0 also when the link
	// has never worked.
	Lag uint64 `json:"lag"`
	// Active is how long ago the link was last active; see EverActive.
	Active time.Duration `json:"active"`
	Error  *APIError     `json:"error"`
}

// EverActive says whether the link has ever been active since the stream's server or
// leader runs it; not so without one. Servers say -1, or the longest duration, of one
// that was not.
func (s *SourceInfo) EverActive() bool {
	return s != nil && s.Active >= 0 && s.Active != math.MaxInt64
}

// APIError is what a link says is wrong with it.
type APIError struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

// ClusterInfo is where a stream's replicas live; nil outside of a cluster, and with
// no replicas on a server that is alone.
type ClusterInfo struct {
	Name     string     `json:"name"`
	Leader   string     `json:"leader"`
	Replicas []PeerInfo `json:"replicas"`
}

// PeerInfo is a replica other than the leader.
type PeerInfo struct {
	Name    string        `json:"name"`
	Current bool          `json:"current"`
	Offline bool          `json:"offline"`
	Active  time.Duration `json:"active"` // since it was last seen
	Lag     uint64        `json:"lag"`    // operations behind the leader
}
