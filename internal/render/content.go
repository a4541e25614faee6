package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/natscli/columns"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/content"
)

// Content is what comparing the messages of a mirror with its origin's has
// shown.
type Content struct {
	content.Result
	// Items are the first messages that differ.
	Items []content.Item `json:"items"`
}

// Contents writes what comparing the messages of each mirror has shown, and the
// first of those that differ.
func Contents(w io.Writer, members []Member, style Style) error {
	for _, m := range members {
		if m.Content == nil {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", Clean(m.Bucket), m.Content.Sentence()); err != nil {
			return err
		}
		if len(m.Content.Items) == 0 {
			continue
		}
		if err := m.Content.table(m.Bucket, style).Write(w); err != nil {
			return err
		}
	}
	return nil
}

// Sentence is the verdict in words, with the mirror as its subject.
func (c Content) Sentence() string {
	same := messages(c.Compared, "is the same", "are the same")
	if c.Payload {
		same += ", bodies and all headers included"
	}
	through := fmt.Sprintf("up to sequence %s", columns.F(c.Through))
	var text string
	switch c.Verdict {
	case content.Identical:
		text = fmt.Sprintf("holds what its origin holds %s: %s", through, same)
	case content.Alike:
		text = fmt.Sprintf("looks like its origin %s: all counts are the same, and %s of a sample; that is no proof", through, same)
	case content.Differs:
		var parts []string
		for _, p := range []struct {
			n    uint64
			what string
		}{{content.Sum(c.LeftOver), "left over"}, {content.Sum(c.Missing), "missing"}, {content.Sum(c.Different), "different"}} {
			if p.n > 0 {
				parts = append(parts, columns.F(p.n)+" "+p.what)
			}
		}
		text = fmt.Sprintf("differs from its origin %s: %s, while %s", through, strings.Join(parts, ", "), same)
	default:
		text = c.unproved(through, same)
	}
	if c.ByDesign > 0 {
		text += "; " + messages(c.ByDesign, "is", "are") + " on one side alone by design"
	}
	if c.Pending > 0 {
		text += "; " + messages(c.Pending, "", "") + "may go when the mirror has caught up"
	}
	if c.Uncertain > 0 {
		text += "; " + messages(c.Uncertain, "is", "are") + " older than the mirror's first, dropped at its limit or missing"
	}
	if c.Behind > 0 {
		text += "; the mirror is " + counted(c.Behind, "sequence") + " behind"
	}
	if c.Ahead > 0 {
		text += "; the mirror is " + counted(c.Ahead, "sequence") + " ahead of its origin, which is not the one that it was filled from"
	}
	return text
}

// unproved is the verdict where not all could be compared.
func (c Content) unproved(through, same string) string {
	if c.OriginUnreadable == "" {
		return fmt.Sprintf("is not proved to hold what its origin holds: %s, %s", through, same)
	}
	text := "could not be compared with its origin"
	if n := content.Sum(c.LeftOver); n > 0 {
		text += "; " + messages(n, "has", "have") + " expired and should not be there"
	}
	return text
}

// messages is so many messages, with a verb.
func messages(n uint64, one, many string) string {
	if n == 1 {
		many = one
	}
	return counted(n, "message") + " " + many
}

// counted is a number with its word.
func counted[N int | uint64](n N, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return columns.F(n) + " " + word + "s"
}

// table lists the first messages that differ.
func (c Content) table(bucket string, style Style) *Table {
	title := fmt.Sprintf("Messages of %s that differ", Clean(bucket))
	if all := content.Sum(c.LeftOver) + content.Sum(c.Missing) + content.Sum(c.Different); all > uint64(len(c.Items)) {
		title = fmt.Sprintf("The first %d of %s messages of %s that differ", len(c.Items), columns.F(all), Clean(bucket))
	}
	t := NewTable(style, title, "Sequence", "Key", "Is", "Because", "Stored", "TTL")
	for _, i := range c.Items {
		t.Row(i.Seq, Clean(i.Key), string(i.Kind), because(i), i.Time.Local().Format(time.DateTime), Clean(i.TTL))
	}
	return t
}

// because is an item's reason in words.
func because(i content.Item) string {
	switch i.Reason {
	case content.Expired:
		if i.Kind == content.Missing {
			return "its TTL is over, and the origin keeps it"
		}
		return "its TTL is over"
	case content.TooOld:
		return "it is older than the origin's maximum age"
	case content.Gone:
		return "it was purged, deleted or replaced"
	case content.Absent:
		return "unknown"
	}
	return "another " + i.Reason
}

// Sweep is what sync --content is to purge, and has purged, of a mirror.
type Sweep struct {
	Messages uint64 `json:"messages"` // that are left over and can be purged
	Keys     int    `json:"keys"`     // that they are of
	Purged   uint64 `json:"purged"`   // messages
	// StandingKeys is of how many keys something is left over that cannot be
	// purged, because a purge would take more, as an older value that still stands
	// at the origin; Standing are the first of them.
	StandingKeys int      `json:"standing_keys"`
	Standing     []string `json:"standing"`
}

// standing says which keys are left alone.
func (s Sweep) standing() string {
	text := "! left alone " + counted(s.StandingKeys, "key") + ", of which a purge would take more than what is left over"
	if n := len(s.Standing); n > 0 && n < s.StandingKeys {
		text += "; the first are"
	}
	if len(s.Standing) > 0 {
		text += ": " + Clean(strings.Join(s.Standing, ", "))
	}
	return text + "; to mend it: `sync --recreate` makes the mirror anew\n"
}

// Sweeps writes what is to be purged from the mirrors of a fleet, and what no
// purge mends.
func Sweeps(w io.Writer, members []Member, style Style) error {
	for _, m := range members {
		if err := Contents(w, []Member{m}, style); err != nil {
			return err
		}
		var b strings.Builder
		if m.Sweep != nil && m.Sweep.Messages > 0 {
			fmt.Fprintf(&b, "- purge %s of %s\n", counted(m.Sweep.Messages, "message"), counted(m.Sweep.Keys, "key"))
		}
		if m.Sweep != nil && m.Sweep.StandingKeys > 0 {
			b.WriteString(m.Sweep.standing())
		}
		if m.Note != "" {
			fmt.Fprintf(&b, "! %s\n", Clean(m.Note))
		}
		if m.Failure != nil {
			fmt.Fprintf(&b, "! %s\n", Clean(m.Failure.Message))
		}
		for _, f := range m.Findings {
			if f.Severity != check.OK && f.Code != "left-over" {
				fmt.Fprintf(&b, "! %s: %s; to mend it: %s\n", f.Code, Clean(f.Message), Clean(f.Fix))
			}
		}
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}
