// Package render shows what a command found and did: one model goes in, and
// comes out as text for people, in the form of `nats kv info`, or as JSON for
// scripts. Both are made from the same values, so neither can say what the
// other does not.
package render

import (
	"time"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// Action says what a command did.
type Action string

// The actions of the JSON document.
const (
	Created      Action = "created"
	Updated      Action = "updated"
	Unchanged    Action = "unchanged"
	WouldCreate  Action = "would-create"
	WouldUpdate  Action = "would-update"
	Shown        Action = "shown" // info, which does nothing
	Promoted     Action = "promoted"
	WouldPromote Action = "would-promote"
	Failed       Action = "failed"
	Unknown      Action = "unknown" // the outcome of a write could not be found out
)

// Report is the result of one command on one bucket. Its JSON form is
// documented in the README and stable: fields are added, never changed.
type Report struct {
	Action    Action         `json:"action"`
	Bucket    string         `json:"bucket"`
	Stream    string         `json:"stream"`
	PerKeyTTL *bool          `json:"per_key_ttl"` // null when not known
	Origin    *Origin        `json:"origin"`      // null when there is none
	Changes   []kvcfg.Change `json:"changes"`
	Config    stream.Raw     `json:"config"` // as the server spells it
	State     *stream.State  `json:"state"`
	Mirror    *Mirror        `json:"mirror"`
	Warnings  []string       `json:"warnings"`
	Error     *Failure       `json:"error"`

	// What only text shows.
	Heading string       `json:"-"` // replaces the usual first line
	Source  *stream.Info `json:"-"` // the bucket's stream, when there is one
}

// Origin is what could be told of a mirror's origin.
type Origin struct {
	Bucket    string `json:"bucket"`
	Stream    string `json:"stream"`
	APIPrefix string `json:"api_prefix"`
	// Reachable is null when nobody tried to read it.
	Reachable *bool `json:"reachable"`
	PerKeyTTL *bool `json:"per_key_ttl"`
	// Problem is why the origin could not be read.
	Problem string `json:"problem,omitempty"`
	// LastSeq is the last sequence of the origin's stream.
	LastSeq *uint64 `json:"last_seq"`
	// Behind is how many sequences the mirror lacks up to LastSeq; of a
	// filtered mirror, whose tail could not be looked up, an upper bound.
	Behind      *uint64 `json:"behind"`
	BehindBound bool    `json:"behind_is_bound,omitempty"`
	// LeftOver is the smallest number of messages that the mirror holds and the
	// origin does not, Missing the reverse. Both are null when the two cannot
	// be compared by counts: the mirror is behind or holds less by design.
	LeftOver *uint64 `json:"left_over"`
	Missing  *uint64 `json:"missing"`
	// Follows says whether the settings that a mirror takes from its origin are
	// the same on both; Differs lists those that are not.
	Follows *bool          `json:"follows"`
	Differs []kvcfg.Change `json:"differs,omitempty"`
}

// Mirror is the mirror's own view of its link to the origin, which is no proof
// of health.
type Mirror struct {
	Lag uint64 `json:"lag"`
	// Active is how long ago the origin was last heard of, in nanoseconds; -1
	// when never.
	Active time.Duration `json:"active"`
	Error  string        `json:"error"`
}

// Failure is why a command failed.
type Failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// SetStream fills in what a stream says of the bucket.
func (r *Report) SetStream(s *stream.Info) {
	r.Source = s
	r.Stream = s.Config.Name
	r.Bucket, _ = kvcfg.BucketName(s.Config.Name)
	r.Config = s.Config.Raw()
	r.State = &s.State
	ttl := s.Config.AllowMsgTTL
	r.PerKeyTTL = &ttl
	r.Mirror = nil
	if s.Mirror != nil {
		r.Mirror = &Mirror{Lag: s.Mirror.Lag, Active: s.Mirror.Active}
		if s.Mirror.Error != nil {
			r.Mirror.Error = s.Mirror.Error.Description
		}
	}
}

// Warn adds a warning.
func (r *Report) Warn(text string) { r.Warnings = append(r.Warnings, text) }

// MarshalJSON spells empty lists as [] and never as null.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report
	if r.Changes == nil {
		r.Changes = []kvcfg.Change{}
	}
	if r.Warnings == nil {
		r.Warnings = []string{}
	}
	return unescapedJSON(plain(r))
}
