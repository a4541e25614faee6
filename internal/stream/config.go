package stream

import (
	"bytes"
	"encoding/json"
	"time"
)

// Config is a reading view of a stream configuration: the fields that decide
// about a KV mirror, spelled as the server spells them. Enumerations stay
// strings, so a value that a newer server has invented can still be read.
//
// Limits are -1 (or, from old servers, 0) when there is none; durations travel
// as nanoseconds. A Config is never sent: its Raw is.
type Config struct {
	Name                   string            `json:"name"`
	Description            string            `json:"description"`
	Subjects               []string          `json:"subjects"`
	Storage                string            `json:"storage"`
	Retention              string            `json:"retention,omitempty"`
	Replicas               int               `json:"num_replicas"`
	MaxMsgs                int64             `json:"max_msgs"`
	MaxBytes               int64             `json:"max_bytes"`
	MaxMsgSize             int64             `json:"max_msg_size"`
	MaxMsgsPerSubject      int64             `json:"max_msgs_per_subject"`
	MaxAge                 time.Duration     `json:"max_age"`
	DuplicateWindow        time.Duration     `json:"duplicate_window"`
	Discard                string            `json:"discard"`
	Compression            string            `json:"compression"`
	Placement              *Placement        `json:"placement"`
	RePublish              *RePublish        `json:"republish"`
	Mirror                 *Source           `json:"mirror"`
	Sources                []Source          `json:"sources"`
	AllowMsgTTL            bool              `json:"allow_msg_ttl"`
	SubjectDeleteMarkerTTL time.Duration     `json:"subject_delete_marker_ttl"`
	AllowDirect            bool              `json:"allow_direct"`
	MirrorDirect           bool              `json:"mirror_direct"`
	AllowRollup            bool              `json:"allow_rollup_hdrs"`
	DenyDelete             bool              `json:"deny_delete"`
	DenyPurge              bool              `json:"deny_purge"`
	Sealed                 bool              `json:"sealed,omitempty"`
	ConsumerLimits         ConsumerLimits    `json:"consumer_limits,omitzero"`
	Metadata               map[string]string `json:"metadata"`

	raw json.RawMessage // as it was decoded; nil when it was not
}

// UnmarshalJSON decodes a configuration and keeps the JSON.
func (c *Config) UnmarshalJSON(data []byte) error {
	type fields Config
	if err := json.Unmarshal(data, (*fields)(c)); err != nil {
		return err
	}
	c.raw = bytes.Clone(data)
	return nil
}

// Raw is the configuration as it was decoded, with all fields. One that was not
// decoded has the fields that this program knows.
func (c Config) Raw() Raw {
	data := c.raw
	if data == nil {
		data = JSON(c)
	}
	raw, err := ParseRaw(data)
	if err != nil {
		panic("stream: a decoded configuration is not an object: " + err.Error())
	}
	return raw
}

// SameAs says whether two configurations mean the same to a server, in all fields.
// What the server says of itself in the metadata does not count.
func (c Config) SameAs(other Config) bool { return len(c.Raw().Diff(other.Raw())) == 0 }

// Placement says on which servers a stream lives.
type Placement struct {
	Cluster string   `json:"cluster,omitempty"`
	Tags    []string `json:"tags,omitempty"`
}

// ConsumerLimits are what a stream lets its consumers ask for; 0 means no limit.
type ConsumerLimits struct {
	InactiveThreshold time.Duration `json:"inactive_threshold,omitempty"`
	MaxAckPending     int           `json:"max_ack_pending,omitempty"`
}

// RePublish sends what a stream stores to other subjects.
type RePublish struct {
	Source      string `json:"src,omitempty"`
	Destination string `json:"dest"`
	HeadersOnly bool   `json:"headers_only,omitempty"`
}

// Source is the stream that another one mirrors or sources.
type Source struct {
	Name              string             `json:"name"`
	OptStartSeq       uint64             `json:"opt_start_seq,omitempty"`
	OptStartTime      *time.Time         `json:"opt_start_time,omitempty"`
	FilterSubject     string             `json:"filter_subject,omitempty"`
	SubjectTransforms []SubjectTransform `json:"subject_transforms,omitempty"`
	External          *External          `json:"external,omitempty"`
	Consumer          *ConsumerSource    `json:"consumer,omitempty"`
}

// ConsumerSource is the durable consumer of the origin, created beforehand, that a
// mirror reads through (server 2.14 and later). It remembers what it has acknowledged:
// a new mirror gets nothing of that.
type ConsumerSource struct {
	Name           string `json:"name,omitempty"`
	DeliverSubject string `json:"deliver_subject,omitempty"`
}

// Begins says whether a mirror was told where to begin in its origin.
func (s *Source) Begins() bool {
	return s != nil && (s.OptStartSeq > 0 || s.OptStartTime != nil)
}

// BeginsAfter says whether a mirror begins after a message of its origin.
func (s *Source) BeginsAfter(seq uint64, stored time.Time) bool {
	return s.Begins() && (seq < s.OptStartSeq || s.OptStartTime != nil && stored.Before(*s.OptStartTime))
}

// SubjectTransform rewrites the subjects of a mirror; with both sides equal it
// is a filter.
type SubjectTransform struct {
	Source      string `json:"src"`
	Destination string `json:"dest"`
}

// External is where a mirror finds the JetStream API of an origin in another
// domain or account.
type External struct {
	APIPrefix     string `json:"api"`
	DeliverPrefix string `json:"deliver"`
}

// Compressed says whether the stream's data is compressed on disk.
func (c Config) Compressed() bool { return c.Compression != "" && c.Compression != "none" }

// Filtered says whether a mirror holds only a part of its origin's keys.
func (c Config) Filtered() bool {
	return c.Mirror != nil && (c.Mirror.FilterSubject != "" || len(c.Mirror.SubjectTransforms) > 0)
}

// Filters are the origin's subjects that a filtered mirror takes; nil means
// all of them.
func (c Config) Filters() []string {
	if !c.Filtered() {
		return nil
	}
	if c.Mirror.FilterSubject != "" {
		return []string{c.Mirror.FilterSubject}
	}
	filters := make([]string, 0, len(c.Mirror.SubjectTransforms))
	for _, t := range c.Mirror.SubjectTransforms {
		filters = append(filters, t.Source)
	}
	return filters
}
