package content

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Leftovers are messages that are left over on a mirror, by subject. A purge of a
// subject up to a sequence removes every message of it up to there. So a subject
// cannot be purged when an older message of it is not left over, when the mirror
// lacks messages of it (the sequences of both sides may then differ), or when it
// has wildcards, because the purge would remove other keys as well.
type Leftovers struct {
	// Max limits how many subjects are held; those beyond it are left for the next
	// run.
	Max int

	subjects map[string]leftover
}

type leftover struct {
	last        uint64 // the last sequence that is left over
	messages    uint64 // how many messages are left over
	unpurgeable bool
}

// Add adds an item that is left over or missing; others are ignored.
func (l *Leftovers) Add(i Item) {
	have, known := l.subjects[i.Subject]
	switch {
	case i.Kind == Different, i.Kind == MissingAbove, i.Kind == LeftOver && i.Reason == Unchosen:
		return // what a setting keeps is not removed: the setting is changed, or chosen
	case i.Kind == Missing:
		have.unpurgeable = true
	default:
		have.last, have.messages = max(have.last, i.Seq), have.messages+1
		have.unpurgeable = have.unpurgeable || hasWildcard(i.Subject)
	}
	if !known && len(l.subjects) >= l.Max {
		return
	}
	if l.subjects == nil {
		l.subjects = map[string]leftover{}
	}
	l.subjects[i.Subject] = have
}

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

// Purge is what to purge of a subject: all messages below a sequence.
type Purge struct {
	Subject  string
	Before   uint64
	Messages uint64
}

// Purges lists what can be purged, by subject.
func (l *Leftovers) Purges() []Purge {
	var purges []Purge
	for _, subject := range slices.Sorted(maps.Keys(l.subjects)) {
		if s := l.subjects[subject]; !s.unpurgeable {
			purges = append(purges, Purge{subject, s.last + 1, s.messages})
		}
	}
	return purges
}

// Unpurgeable lists the subjects that have messages left over and cannot be purged.
func (l *Leftovers) Unpurgeable() []string {
	var subjects []string
	for _, subject := range slices.Sorted(maps.Keys(l.subjects)) {
		if s := l.subjects[subject]; s.unpurgeable && s.messages > 0 {
			subjects = append(subjects, subject)
		}
	}
	return subjects
}

// FindUnpurgeable reads the mirror once more to find the subjects that cannot be
// purged because an older message is not left over. A mirror that keeps one value
// of each key has none.
func (c *Comparer) FindUnpurgeable(ctx context.Context, l *Leftovers) error {
	mirror, err := c.mirrorSide().info(ctx)
	if err != nil {
		return err
	}
	if mirror.Config.MaxMsgsPerSubject == 1 || len(l.subjects) == 0 {
		return nil
	}
	var last uint64
	for _, s := range l.subjects {
		last = max(last, s.last)
	}
	messages, err := c.openMirror(ctx, snapshot{mirror: mirror}, Range{1, last}, false)
	if err != nil {
		return err
	}
	defer messages.close()
	held := map[string]uint64{} // how many messages up to the last that is left over, by subject
	for {
		m, err := next(messages)
		if err != nil {
			return err
		}
		if m == nil {
			break
		}
		if s, ok := l.subjects[string(m.Subject)]; ok && m.Seq <= s.last {
			held[string(m.Subject)]++
		}
	}
	for subject, n := range held {
		if s := l.subjects[subject]; n > s.messages {
			s.unpurgeable = true
			l.subjects[subject] = s
		}
	}
	return nil
}
