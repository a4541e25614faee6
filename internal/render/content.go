package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/natscli/columns"

	"nats-kvmirror/internal/mirror"
)

// Contents writes what comparing the messages of each mirror has shown, and the
// first of those that differ.
func Contents(w io.Writer, members []mirror.Member, style Style) error {
	for _, m := range members {
		if m.Content == nil {
			continue
		}
		if err := Compared(w, m.Name(), m.Content, style); err != nil {
			return err
		}
	}
	return nil
}

// Compared writes what comparing the messages of one bucket has shown, and the first
// of those that differ.
func Compared(w io.Writer, bucket string, c *mirror.Content, style Style) error {
	if _, err := fmt.Fprintf(w, "%s: %s\n", Clean(bucket), Sentence(c)); err != nil {
		return err
	}
	if len(c.Items) == 0 {
		return nil
	}
	return differing(bucket, c, style).Write(w)
}

// Sentence is the verdict in words, with the mirror as its subject.
func Sentence(c *mirror.Content) string {
	same := messages(c.Compared, "is the same", "are the same")
	if c.Payload {
		same += ", bodies and all headers included"
	}
	if c.Method == mirror.BySequences {
		same = messages(c.Compared, "is", "are") + " at the same sequences"
	}
	through := fmt.Sprintf("up to sequence %s", columns.F(c.Through))
	var text string
	switch c.Verdict {
	case mirror.Identical:
		text = fmt.Sprintf("holds what its origin holds %s: %s", through, same)
	case mirror.SameSequences:
		text = fmt.Sprintf("has the sequences of its origin %s: %s on both sides; subjects and bodies were not compared", through, messages(c.Compared, "is", "are"))
	case mirror.Differs:
		var parts []string
		for _, p := range []struct {
			n    uint64
			what string
		}{{c.LeftOverCount(), "left over"}, {c.MissingCount(), "missing"}, {c.DifferentCount(), "different"}, {c.MissingAbove, "lost by the origin alone"}} {
			if p.n > 0 {
				parts = append(parts, columns.F(p.n)+" "+p.what)
			}
		}
		text = fmt.Sprintf("differs from its origin %s: %s, while %s", through, strings.Join(parts, ", "), same)
	default:
		text = unverified(c, through, same)
	}
	if c.ByDesign > 0 {
		text += "; " + messages(c.ByDesign, "is", "are") + " on one side alone by design"
	}
	if c.Pending > 0 {
		text += "; " + messages(c.Pending, "may go", "may go") + " when the mirror has caught up"
	}
	if c.Uncertain > 0 {
		text += "; " + messages(c.Uncertain, "is", "are") + " on one side alone, by design or not: that cannot be told"
	}
	if c.Unresolved > 0 {
		text += "; " + messages(c.Unresolved, "is", "are") + " about to expire on one side alone"
	}
	if c.Unreadable > 0 {
		text += "; " + messages(c.Unreadable, "has", "have") + " headers that cannot be read"
	}
	if c.Behind > 0 {
		text += "; the mirror is " + counted(c.Behind, "sequence") + " behind"
	}
	if c.Ahead > 0 {
		text += "; the mirror is " + counted(c.Ahead, "sequence") + " ahead of its origin, which is not the one that it was filled from"
	}
	return text
}

// unverified is the verdict where not all could be compared.
func unverified(c *mirror.Content, through, same string) string {
	if c.OriginUnreadable == "" {
		return fmt.Sprintf("is not verified to hold what its origin holds: %s, %s", through, same)
	}
	text := "could not be compared with its origin"
	if n := c.LeftOverCount(); n > 0 {
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

// differing is a table of the first messages that differ.
func differing(bucket string, c *mirror.Content, style Style) *Table {
	title := fmt.Sprintf("Messages of %s that differ", Clean(bucket))
	if all := c.LeftOverCount() + c.MissingCount() + c.DifferentCount() + c.MissingAbove; all > uint64(len(c.Items)) {
		title = fmt.Sprintf("The first %d of %s messages of %s that differ", len(c.Items), columns.F(all), Clean(bucket))
	}
	t := NewTable(style, title, "Sequence", "Key", "Is", "Because", "Stored", "TTL")
	for _, i := range c.Items {
		t.Row(i.Seq, Clean(i.Key), string(i.Kind), because(i), i.Time.Local().Format(time.DateTime), Clean(i.TTL))
	}
	return t
}

// because is an item's reason in words.
func because(i mirror.Item) string {
	switch i.Reason {
	case mirror.Expired:
		if i.Kind == mirror.IsMissing {
			return "its TTL is over, and the origin keeps it"
		}
		return "its TTL is over"
	case mirror.TooOld:
		return "it is older than the origin's maximum age"
	case mirror.Gone:
		return "it was purged, deleted or replaced"
	case mirror.Absent:
		return "unknown"
	case mirror.Early:
		return "the mirror's clock is ahead"
	case mirror.Unchosen:
		return "a setting differs, and was not chosen"
	case string(mirror.IsMissingAbove):
		return "the origin has lost it, and its own origin has it"
	}
	return "another " + i.Reason
}
