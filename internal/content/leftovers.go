package content

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Leftovers are messages that are left over on a mirror, by subject. A purge of a
// subject up to a sequence takes all that the mirror holds of it up to there, so a
// subject of which an older message is no leftover cannot be purged. Nor can one
// whose messages the mirror lacks, for then the sequences of both sides may not be
// the same, or one with wildcards, which would purge other keys as well.
type Leftovers struct {
	// Max is how many subjects are held at the most; those beyond are left for
	// another time.
	Max int

	subjects map[string]leftover
}

type leftover struct {
	last     uint64 // the last sequence that is left over
	messages uint64 // that are left over
	standing bool   // it cannot be purged
}

// Add adds an item. It matters if it is left over or missing.
func (l *Leftovers) Add(i Item) {
	have, known := l.subjects[i.Subject]
	switch {
	case i.Kind == Different:
		return
	case i.Kind == Missing:
		have.standing = true
	default:
		have.last, have.messages = max(have.last, i.Seq), have.messages+1
		have.standing = have.standing || hasWildcard(i.Subject)
	}
	if !known && len(l.subjects) >= l.Max {
		return
	}
	if l.subjects == nil {
		l.subjects = map[string]leftover{}
	}
	l.subjects[i.Subject] = have
}

// hasWildcard says whether a subject means others when it is a filter. Servers
// store messages under such subjects (seen on 2.15.2).
func hasWildcard(subject string) bool {
	for token := range strings.SplitSeq(subject, ".") {
		if token == "*" || token == ">" {
			return true
		}
	}
	return false
}

// Purge is what is to be purged of a subject: all below a sequence, which are so
// many messages.
type Purge struct {
	Subject  string
	Before   uint64
	Messages uint64
}

// Purges lists what can be purged, by subject.
func (l *Leftovers) Purges() []Purge {
	var purges []Purge
	for _, subject := range slices.Sorted(maps.Keys(l.subjects)) {
		if s := l.subjects[subject]; !s.standing {
			purges = append(purges, Purge{subject, s.last + 1, s.messages})
		}
	}
	return purges
}

// Unpurgeable lists the subjects of which something is left over that cannot be
// purged.
func (l *Leftovers) Unpurgeable() []string {
	var standing []string
	for _, subject := range slices.Sorted(maps.Keys(l.subjects)) {
		if s := l.subjects[subject]; s.standing && s.messages > 0 {
			standing = append(standing, subject)
		}
	}
	return standing
}

// FindUnpurgeable finds out which subjects cannot be purged because an older message
// is no leftover, by reading the mirror once more. One that keeps one value of each
// key has none.
func (c *Comparer) FindUnpurgeable(ctx context.Context, l *Leftovers) error {
	mirror, err := c.Mirror.Stream(ctx, c.MirrorStream)
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
	heads, err := c.openMirror(ctx, moment{mirror: mirror}, Range{1, last}, false)
	if err != nil {
		return err
	}
	defer heads.close()
	held := map[string]uint64{} // messages, by subject, up to the last that is left over
	for {
		h, err := next(heads)
		if err != nil {
			return err
		}
		if h == nil {
			break
		}
		if s, ok := l.subjects[string(h.Subject)]; ok && h.Seq <= s.last {
			held[string(h.Subject)]++
		}
	}
	for subject, n := range held {
		if s := l.subjects[subject]; n > s.messages {
			s.standing = true
			l.subjects[subject] = s
		}
	}
	return nil
}
