package mirror

import (
	"bytes"
	"encoding/json"
	"fmt"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// Action says what an operation did, or would do.
type Action string

// The actions of the JSON document.
const (
	Created       Action = "created"
	Updated       Action = "updated"
	Unchanged     Action = "unchanged"
	Recreated     Action = "recreated"
	Promoted      Action = "promoted"
	WouldCreate   Action = "would-create"
	WouldUpdate   Action = "would-update"
	WouldRecreate Action = "would-recreate"
	WouldPromote  Action = "would-promote"
	Shown         Action = "shown"
	Listed        Action = "listed"
	Checked       Action = "checked"
	Skipped       Action = "skipped" // a mirror of many that was left alone
	Failed        Action = "failed"
	Unknown       Action = "unknown" // what became of a write is unknown
)

// Wrote says whether something was changed.
func (a Action) Wrote() bool {
	return a == Created || a == Updated || a == Recreated || a == Promoted
}

// Planned says whether something would be changed.
func (a Action) Planned() bool {
	return a == WouldCreate || a == WouldUpdate || a == WouldRecreate || a == WouldPromote
}

// Report is the result of an operation on one bucket.
type Report struct {
	Type      string         `json:"type"` // filled in by the surface
	Action    Action         `json:"action"`
	Bucket    string         `json:"bucket"`
	Stream    string         `json:"stream"`
	PerKeyTTL *bool          `json:"per_key_ttl"` // null when not known
	Origin    *Origin        `json:"origin"`      // null when there is none
	Changes   []kvcfg.Change `json:"changes"`
	Config    stream.Raw     `json:"config"` // as the server spells it
	State     *stream.State  `json:"state"`
	Link      *Link          `json:"mirror"`
	Content   *Content       `json:"content,omitempty"` // what comparing the messages has shown
	Warnings  Warnings       `json:"warnings"`
	Error     *Failure       `json:"error"` // filled in by the surface

	// Info is the bucket's stream, or the one that would be made; nil when it was
	// not read.
	Info *stream.Info `json:"-"`
}

// Origin is what could be told of a mirror's origin.
type Origin struct {
	Bucket    string `json:"bucket"`
	Stream    string `json:"stream"`
	APIPrefix string `json:"api_prefix"`
	Reachable bool   `json:"reachable"`
	PerKeyTTL *bool  `json:"per_key_ttl"`
	// Problem is why the origin could not be read.
	Problem string `json:"problem,omitempty"`
	Partly  bool   `json:"-"` // something of it could not be read
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
	// the same on both, but for those that were chosen; Differs lists those that are
	// not, and Chosen those that a flag set.
	Follows *bool          `json:"follows"`
	Differs []kvcfg.Change `json:"differs,omitempty"`
	Chosen  []kvcfg.Change `json:"chosen,omitempty"`
}

// Link is the mirror's own view of its link to the origin, which is no proof of
// health.
type Link struct {
	Lag uint64 `json:"lag"`
	// Active is how long ago the link was last active; null when never.
	Active *Seconds `json:"active"`
	Error  string   `json:"error"`
}

// Failure is why an operation failed. The hint is the surface's.
type Failure struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// set fills in what a stream says of the bucket.
func (r *Report) set(s *stream.Info) {
	r.Info = s
	r.Stream = s.Config.Name
	r.Bucket = kvcfg.DisplayName(s.Config.Name)
	r.Config = s.Config.Raw()
	r.State = &s.State
	r.PerKeyTTL = &s.Config.AllowMsgTTL
	r.Link = nil
	if s.Mirror != nil {
		r.Link = &Link{Lag: s.Mirror.Lag, Active: activeOf(s.Mirror)}
		if s.Mirror.Error != nil {
			r.Link.Error = s.Mirror.Error.Description
		}
	}
}

// activeOf is how long ago a link was last active; nil when never.
func activeOf(link *stream.SourceInfo) *Seconds {
	if !link.EverActive() {
		return nil
	}
	return new(Seconds(link.Active))
}

// MarshalJSON spells empty lists as [] and never as null.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report
	r.Changes, r.Warnings = orEmpty(r.Changes), orEmpty(r.Warnings)
	return unescapedJSON(plain(r))
}

// Fleet is the result of an operation on many mirrors.
type Fleet struct {
	Type   string `json:"type"` // filled in by the surface
	Action Action `json:"action"`
	// Status is the worst that was found; null where nothing was checked.
	Status   *check.Severity `json:"status"`
	Domains  []Domain        `json:"domains"`  // in which mirrors were looked for
	Mirrors  []Member        `json:"mirrors"`  // by domain, in the order asked for, and by name
	Findings []check.Finding `json:"findings"` // about the fleet as a whole
	Problems []string        `json:"problems"` // what could not be read
	// Unread is how many buckets could not be read: each may be a mirror.
	Unread   int      `json:"unread"`
	Warnings Warnings `json:"warnings"`
	Error    *Failure `json:"error"` // filled in by the surface
}

// MarshalJSON spells empty lists as [] and never as null.
func (f Fleet) MarshalJSON() ([]byte, error) {
	type plain Fleet
	f.Domains = orEmpty(f.Domains)
	f.Mirrors, f.Findings, f.Problems, f.Warnings = orEmpty(f.Mirrors), orEmpty(f.Findings), orEmpty(f.Problems), orEmpty(f.Warnings)
	return unescapedJSON(plain(f))
}

// Domain is a domain in which mirrors were looked for.
type Domain struct {
	Domain    string `json:"domain"` // "" when its server names none
	APIPrefix string `json:"api_prefix"`
	Mirrors   int    `json:"mirrors"` // how many were read
	// Problem is why nothing of it could be read.
	Problem string `json:"problem,omitempty"`
	Partly  bool   `json:"-"` // something of it could not be read
}

// Member is one mirror of many.
type Member struct {
	// Domain is the JetStream domain of the mirror; "" when its server names none.
	Domain    string       `json:"domain"`
	Bucket    string       `json:"bucket"`
	Stream    string       `json:"stream"`
	Origin    MemberOrigin `json:"origin"`
	PerKeyTTL bool         `json:"per_key_ttl"`
	Values    uint64       `json:"values"`
	Bytes     uint64       `json:"bytes"`
	LastSeq   uint64       `json:"last_seq"`
	Behind    *uint64      `json:"behind"` // null when the origin was not read
	// LeftOver and Missing are how many messages only the mirror, and only the
	// origin, holds against the design; at least so many where the messages were not
	// compared, and null where the counts tell nothing.
	LeftOver *uint64  `json:"left_over"`
	Missing  *uint64  `json:"missing"`
	Active   *Seconds `json:"active"` // how long ago the link was last active; null for never
	// State is the worst of the findings.
	State    check.Severity  `json:"state"`
	Findings []check.Finding `json:"findings"`
	// Content is what comparing the messages has shown; nil when they were not
	// compared.
	Content *Content `json:"content,omitempty"`

	// What an operation did.
	Action  Action         `json:"action,omitempty"`
	Changes []kvcfg.Change `json:"changes,omitempty"`
	Purge   *Purge         `json:"purge,omitempty"`
	Failure *Failure       `json:"error,omitempty"` // filled in by the surface, from Err
	Note    string         `json:"note,omitempty"`  // what else is to be said
	Err     error          `json:"-"`

	// Several says that its domain is one of several, so that its bucket alone does not
	// tell which mirror it is.
	Several bool `json:"-"`
	// Chain is the mirror and what is above it, as far as it was read.
	Chain []Node `json:"-"`

	interrupted bool // skipped because ctx ended
}

// Name is the mirror's name for people.
func (m Member) Name() string {
	if !m.Several {
		return m.Bucket
	}
	return fmt.Sprintf("%s (%s)", m.Bucket, m.Domain)
}

// MarshalJSON spells empty lists as [] and never as null.
func (m Member) MarshalJSON() ([]byte, error) {
	type plain Member
	m.Findings = orEmpty(m.Findings)
	return unescapedJSON(plain(m))
}

// Node is a bucket in a chain of mirrors.
type Node struct {
	Domain    string // "" when it is not known
	Bucket    string
	APIPrefix string
	PerKeyTTL *bool // nil when it was not read
}

// MemberOrigin is the origin of one mirror of many.
type MemberOrigin struct {
	Domain    string  `json:"domain"` // "" when it is not known, as in another account
	Bucket    string  `json:"bucket"`
	Stream    string  `json:"stream"`
	APIPrefix string  `json:"api_prefix"`
	Reachable bool    `json:"reachable"`
	PerKeyTTL *bool   `json:"per_key_ttl"`
	LastSeq   *uint64 `json:"last_seq"`
}

// Purge is what is to be purged, and was purged, of a mirror.
type Purge struct {
	Messages uint64 `json:"messages"` // that are left over and can be purged
	Keys     int    `json:"keys"`     // that they are of
	Purged   uint64 `json:"purged"`   // messages
	// Gone is how many of the messages that are left over are gone at the origin
	// without a trace; they are purged only with consent.
	Gone uint64 `json:"gone"`
	// UnpurgeableKeys is of how many keys something is left over that cannot be
	// purged, because a purge would take more, as an older value that the origin
	// holds as well; Unpurgeable are the first of them.
	UnpurgeableKeys int      `json:"unpurgeable_keys"`
	Unpurgeable     []string `json:"unpurgeable"`
}

// Content is what comparing the messages of a mirror with its origin's has shown.
type Content struct {
	content.Result
	// Skew is how far the clock of the mirror's server is ahead of the origin's.
	Skew Seconds `json:"skew"`
	// Items are the first messages that differ.
	Items []Item `json:"items"`
}

// Item is a message that mirror and origin do not have in common.
type Item = content.Item

func orEmpty[L ~[]E, E any](list L) L {
	if list == nil {
		return L{}
	}
	return list
}

func unescapedJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
