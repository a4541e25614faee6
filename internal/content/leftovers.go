package content

import (
	"context"
	"maps"
	"slices"
)

// Leftovers are messages that are left over on a mirror, by subject. A purge of a
// subject up to a sequence also takes what is older, so a subject of which an
// older message still stands at the origin cannot be purged.
type Leftovers struct {
	// Max is how many subjects are held at the most; those beyond are left for
	// another time.
	Max int

	subjects map[string]leftover
	beyond   bool
}

type leftover struct {
	last     uint64 // the last sequence that is left over
	messages uint64
	standing bool // an older message still stands at the origin
}

// Add adds an item, if it is left over.
func (l *Leftovers) Add(i Item) {
	if i.Kind != LeftOver {
		return
	}
	have, known := l.subjects[i.Subject]
	if !known && len(l.subjects) >= l.Max {
		l.beyond = true
		return
	}
	if l.subjects == nil {
		l.subjects = map[string]leftover{}
	}
	l.subjects[i.Subject] = leftover{last: max(have.last, i.Seq), messages: have.messages + 1}
}

// Beyond says whether there are subjects that were not held.
func (l *Leftovers) Beyond() bool { return l.beyond }

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

// Standing lists the subjects that cannot be purged.
func (l *Leftovers) Standing() []string {
	var standing []string
	for _, subject := range slices.Sorted(maps.Keys(l.subjects)) {
		if l.subjects[subject].standing {
			standing = append(standing, subject)
		}
	}
	return standing
}

// FindStanding finds out which subjects cannot be purged, by reading the origin
// once more. A mirror that keeps one value of each key has none.
func (c *Comparer) FindStanding(ctx context.Context, l *Leftovers) error {
	mirror, err := c.Mirror.Stream(ctx, c.MirrorStream)
	if err != nil {
		return err
	}
	if mirror.Config.MaxMsgsPerSubject == 1 || len(l.subjects) == 0 {
		return nil
	}
	rename, ok := mirror.Config.Rename()
	if !ok {
		return ErrRenames
	}
	var last uint64
	for _, s := range l.subjects {
		last = max(last, s.last)
	}
	heads, err := c.openOrigin(ctx, moment{mirror: mirror}, Range{1, last}, false)
	if err != nil {
		return err
	}
	defer heads.close()
	for {
		h, err := next(heads)
		if h == nil || err != nil {
			return err
		}
		subject := string(h.Subject)
		if rename != nil {
			subject = rename(subject)
		}
		if s, ok := l.subjects[subject]; ok && h.Seq < s.last && !s.standing {
			s.standing = true
			l.subjects[subject] = s
		}
	}
}
