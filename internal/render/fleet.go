package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	pretty "github.com/jedib0t/go-pretty/v6/text"
	"github.com/nats-io/natscli/columns"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/kvcfg"
)

// Actions of the commands on many mirrors, beside those on one.
const (
	Listed  Action = "listed"
	Checked Action = "checked"
	Skipped Action = "skipped" // a mirror that sync left alone
	// Recreated is a mirror that was deleted and created again.
	Recreated     Action = "recreated"
	WouldRecreate Action = "would-recreate"
)

// Fleet is the result of a command on many mirrors. Its JSON form is documented
// in the README and stable: fields are added, never changed.
type Fleet struct {
	Action Action `json:"action"`
	// Status is the worst that was found; null where nothing was checked.
	Status   *check.Severity `json:"status"`
	Mirrors  []Member        `json:"mirrors"`
	Findings []check.Finding `json:"findings"` // about the fleet as a whole
	Problems []string        `json:"problems"` // what could not be read
	Warnings []string        `json:"warnings"`
	Error    *Failure        `json:"error"`
}

// Warn adds a warning.
func (f *Fleet) Warn(text string) { f.Warnings = append(f.Warnings, text) }

// Member is one mirror of a fleet.
type Member struct {
	Bucket    string         `json:"bucket"`
	Stream    string         `json:"stream"`
	Origin    MemberOrigin   `json:"origin"`
	PerKeyTTL bool           `json:"per_key_ttl"`
	Values    uint64         `json:"values"`
	Bytes     uint64         `json:"bytes"`
	LastSeq   uint64         `json:"last_seq"`
	Behind    *uint64        `json:"behind"` // null when the origin was not read
	Active    *time.Duration `json:"active"` // nanoseconds, -1 for never
	// State is the worst of the findings.
	State    check.Severity  `json:"state"`
	Findings []check.Finding `json:"findings"`
	// Content is what comparing the messages has shown; nil when nobody did.
	Content *Content `json:"content,omitempty"`

	// What sync did.
	Action  Action         `json:"action,omitempty"`
	Changes []kvcfg.Change `json:"changes,omitempty"`
	Sweep   *Sweep         `json:"sweep,omitempty"` // of sync --content
	Failure *Failure       `json:"error,omitempty"`
	Note    string         `json:"note,omitempty"` // why it was left alone
}

// MemberOrigin is a member's origin.
type MemberOrigin struct {
	Bucket    string  `json:"bucket"`
	Stream    string  `json:"stream"`
	APIPrefix string  `json:"api_prefix"`
	Reachable bool    `json:"reachable"`
	PerKeyTTL *bool   `json:"per_key_ttl"`
	LastSeq   *uint64 `json:"last_seq"`
}

// MarshalJSON spells empty lists as [] and never as null.
func (f Fleet) MarshalJSON() ([]byte, error) {
	type plain Fleet
	if f.Mirrors == nil {
		f.Mirrors = []Member{}
	}
	if f.Findings == nil {
		f.Findings = []check.Finding{}
	}
	if f.Problems == nil {
		f.Problems = []string{}
	}
	if f.Warnings == nil {
		f.Warnings = []string{}
	}
	return unescapedJSON(plain(f))
}

// MarshalJSON spells empty lists as [] and never as null.
func (m Member) MarshalJSON() ([]byte, error) {
	type plain Member
	if m.Findings == nil {
		m.Findings = []check.Finding{}
	}
	return unescapedJSON(plain(m))
}

func unescapedJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// List writes a table of the mirrors.
func List(w io.Writer, members []Member, style Style) error {
	if tableFormat() != "" {
		style = Style{} // no colors in what programs read, terminal or not
	}
	t := NewTable(style, "Key-Value Mirrors", "Bucket", "Origin", "TTL", "Origin TTL", "Values", "Size", "Behind", "Last Seen", "State")
	for _, m := range members {
		t.Row(
			Clean(m.Bucket), originOf(m), m.PerKeyTTL, known(m.Origin.PerKeyTTL), columns.F(m.Values), humanize.IBytes(m.Bytes),
			behindOf(m), lastSeen(m), state(m, style),
		)
	}
	return t.Write(w)
}

func originOf(m Member) string {
	return Clean(m.Origin.Bucket) + " (" + place(m.Origin.APIPrefix) + ")"
}

// place is the domain of a prefix, or the prefix.
func place(prefix string) string {
	domain, isDomain := strings.CutPrefix(prefix, "$JS.")
	domain, isAPI := strings.CutSuffix(domain, ".API")
	if isDomain && isAPI && domain != "" {
		return Clean(domain)
	}
	return Clean(prefix)
}

func known(b *bool) string {
	if b == nil {
		return "unknown"
	}
	return columns.F(*b)
}

func behindOf(m Member) string {
	if m.Behind == nil {
		return "unknown"
	}
	return columns.F(*m.Behind)
}

func lastSeen(m Member) string {
	if m.Active == nil || !seen(*m.Active) {
		return "never"
	}
	return columns.F(*m.Active)
}

// state is the worst finding's severity and the codes of all that are worth a
// look, in its color.
func state(m Member, style Style) string {
	text := string(m.State)
	var codes []string
	for _, f := range m.Findings {
		if f.Severity != check.OK {
			codes = append(codes, f.Code)
		}
	}
	if len(codes) > 0 {
		text += ": " + strings.Join(codes, ", ")
	}
	return colored(text, m.State, style)
}

// colored is text in the color of a severity, on a terminal.
func colored(text string, s check.Severity, style Style) string {
	if !style.Terminal {
		return text
	}
	switch s {
	case check.Critical:
		return pretty.FgRed.Sprint(text)
	case check.Warning, check.Unknown:
		return pretty.FgYellow.Sprint(text)
	}
	return text
}

// MemberChanges writes what is to be done to the mirrors of a fleet, each with
// its differences, and what cannot be done.
func MemberChanges(w io.Writer, members []Member) error {
	var b strings.Builder
	for _, m := range members {
		if len(m.Changes) == 0 && len(m.Findings) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s, mirror of %s:\n", Clean(m.Bucket), originOf(m))
		for _, c := range m.Changes {
			fmt.Fprintf(&b, "- %s: %s\n+ %s: %s\n", c.Field, Value(c.Field, c.From), c.Field, Value(c.Field, c.To))
		}
		for _, f := range m.Findings {
			if f.Remedy == check.Repair && len(m.Changes) > 0 || f.Severity == check.OK {
				continue
			}
			fmt.Fprintf(&b, "! %s: %s; to mend it: %s\n", f.Code, Clean(f.Message), Clean(f.Fix))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
