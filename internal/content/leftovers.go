package content

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"nats-kvmirror/internal/jsapi"
)

// Replaced is the reason of a message that is left over because a newer message of
// its key took its place, which the mirror has as well.
const Replaced = "replaced"

// Explained says whether a reason tells why a message is left over, so that the
// mirror loses nothing with it. What is gone without a trace may be the last copy.
func Explained(reason string) bool {
	return reason == Expired || reason == TooOld || reason == Replaced
}

// Leftovers are messages that are left over on a mirror, by subject. A purge of a
// subject up to a sequence removes every message of it up to there. So a subject
// cannot be purged when an older message of it is not left over, when the mirror
// lacks messages of it (the sequences of both sides may then differ), when it
// has wildcards, because the purge would remove other keys as well, or when it is not
// valid UTF-8, because JSON would make another key of it.
type Leftovers struct {
	// Max limits how many subjects are held; those beyond it are left for the next
	// run.
	Max int
	// Gone is consent to purge also what is gone at the origin without a trace: it
	// may be the last copy.
	Gone bool
	// TopUnknown says that the top of the chain could not be read: what seems to be
	// replaced may be there.
	TopUnknown bool

	subjects map[string]leftover
	full     bool
}

type leftover struct {
	first, last uint64 // the sequences that are left over
	messages    uint64 // how many messages are left over
	gone        uint64 // the first that is gone without a trace; 0 when none is
	// explained is how many messages come before the first that is gone without a
	// trace, and explainedTo the last of them.
	explained, explainedTo uint64
	unpurgeable            bool
}

// Add adds an item that is left over or missing; others are ignored.
func (l *Leftovers) Add(i Item) {
	have, known := l.subjects[i.Subject]
	switch i.Kind {
	case Missing:
		have.unpurgeable = true
	case LeftOver:
		have.add(i)
	default:
		return
	}
	if !known && len(l.subjects) >= l.Max {
		l.full = true
		return
	}
	if l.subjects == nil {
		l.subjects = map[string]leftover{}
	}
	l.subjects[i.Subject] = have
}

// add adds a message that is left over. They come mostly by rising sequence: where one
// that is gone comes late, what was explained after it is no longer.
func (s *leftover) add(i Item) {
	if s.messages == 0 || i.Seq < s.first {
		s.first = i.Seq
	}
	s.last, s.messages = max(s.last, i.Seq), s.messages+1
	s.unpurgeable = s.unpurgeable || !utf8.ValidString(i.Subject) || hasWildcard(i.Subject)
	switch explained := Explained(i.Reason); {
	case explained && (s.gone == 0 || i.Seq < s.gone):
		s.explained, s.explainedTo = s.explained+1, max(s.explainedTo, i.Seq)
	case !explained && (s.gone == 0 || i.Seq < s.gone):
		if s.gone = i.Seq; s.explainedTo > i.Seq {
			s.explained, s.explainedTo = 0, 0
		}
	}
}

// Full says that there is more left over than what is held.
func (l *Leftovers) Full() bool { return l.full }

// hasWildcard says whether a subject matches others when it is a filter. Servers
// store messages with such subjects (seen on 2.15.2).
func hasWildcard(subject string) bool {
	for token := range strings.SplitSeq(subject, ".") {
		if token == "*" || token == ">" {
			return true
		}
	}
	return false
}

// Purge is what to purge of a subject: all messages below a sequence. Without a subject
// it is all messages of the stream below the sequence.
type Purge struct {
	Subject  string
	Before   uint64
	Messages uint64
}

// Purges lists what can be purged, by subject.
func (l *Leftovers) Purges() []Purge {
	var purges []Purge
	for _, subject := range slices.Sorted(maps.Keys(l.subjects)) {
		s := l.subjects[subject]
		switch {
		case s.unpurgeable:
		case s.gone == 0 || l.Gone:
			purges = append(purges, Purge{subject, s.last + 1, s.messages})
		case s.explained > 0:
			purges = append(purges, Purge{subject, s.explainedTo + 1, s.explained})
		}
	}
	return purges
}

// Requests are purges that do what those of [Leftovers.Purges] do: a single one takes the
// place of those of many keys where every message that the mirror held from before its
// origin's first is among them. older was read before the messages were, so there are no
// others below its sequence now.
func (l *Leftovers) Requests(purges []Purge, older Older) []Purge {
	covered := func(p Purge) bool { return p.Before <= older.Before && p.Messages == l.subjects[p.Subject].messages }
	keys, messages := 0, uint64(0)
	for _, p := range purges {
		if covered(p) {
			keys, messages = keys+1, messages+p.Messages
		}
	}
	if keys < 2 || messages != older.Messages {
		return purges
	}
	return append(slices.DeleteFunc(slices.Clone(purges), covered), Purge{Before: older.Before, Messages: messages})
}

// GoneMessages is how many messages can be purged only with consent, because one of
// their key is gone at the origin without a trace.
func (l *Leftovers) GoneMessages() uint64 {
	var n uint64
	for _, s := range l.subjects {
		if s.gone > 0 && !s.unpurgeable {
			n += s.messages - s.explained
		}
	}
	return n
}

// StillHeld is how many of some purges, that were made, have messages left over.
func (l *Leftovers) StillHeld(purges []Purge) int {
	n := 0
	for _, p := range purges {
		if s := l.subjects[p.Subject]; s.messages > 0 && s.first < p.Before {
			n++
		}
	}
	return n
}

// Unpurgeable lists the subjects that have messages left over and cannot be purged.
func (l *Leftovers) Unpurgeable() []string {
	var subjects []string
	for subject, s := range l.subjects {
		if s.unpurgeable && s.messages > 0 {
			subjects = append(subjects, subject)
		}
	}
	slices.Sort(subjects)
	return subjects
}

// Purgeable says whether something can be purged, with consent or without.
func (l *Leftovers) Purgeable() bool {
	for _, s := range l.subjects {
		if !s.unpurgeable && s.messages > 0 {
			return true
		}
	}
	return false
}

// FindUnpurgeable reads the mirror once more to find the subjects that cannot be
// purged because an older message is not left over, and those whose messages are
// replaced, and not gone without a trace, because there is a newer one. A mirror that
// keeps one value of each key has neither.
func (c *Comparer) FindUnpurgeable(ctx context.Context, l *Leftovers) error {
	mirror, err := c.mirrorSide().info(ctx)
	if err != nil {
		return err
	}
	if mirror.Config.MaxMsgsPerSubject == 1 || len(l.subjects) == 0 {
		return nil
	}
	messages, err := c.openMirror(ctx, snapshot{mirror: mirror}, jsapi.Range{From: 1, To: mirror.State.LastSeq}, false)
	if err != nil {
		return err
	}
	defer messages.close()
	return l.checkHeld(messages)
}

// checkHeld is FindUnpurgeable with the messages of a mirror.
func (l *Leftovers) checkHeld(messages Messages) error {
	held := map[string]uint64{} // how many messages up to the last that is left over, by subject
	newer := map[string]bool{}  // whether there is one after that
	for {
		m, err := next(messages)
		if err != nil {
			return err
		}
		if m == nil {
			break
		}
		subject := string(m.Subject)
		s, ok := l.subjects[subject]
		switch {
		case !ok || s.messages == 0:
		case m.Seq <= s.last:
			held[subject]++
		default:
			newer[subject] = true
		}
	}
	for subject, s := range l.subjects {
		if held[subject] > s.messages {
			s.unpurgeable = true
		}
		if newer[subject] && s.gone > 0 && !l.TopUnknown {
			s.gone, s.explained, s.explainedTo = 0, s.messages, s.last
		}
		l.subjects[subject] = s
	}
	return nil
}
