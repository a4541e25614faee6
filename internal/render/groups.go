package render

import (
	"fmt"
	"slices"
	"strings"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// namedAtMost is how many of several equal mirrors are named; the rest is counted.
const namedAtMost = 8

// Fixer says what fixes a finding that these mirrors have, in lines; none of them for one
// about the fleet as a whole.
type Fixer func(f check.Finding, of []mirror.Member) []string

// group is a finding that several mirrors have in the same words; none of them for one
// about the fleet as a whole.
type group struct {
	check.Finding
	of []mirror.Member
}

// groups are the findings that are a reason to worry, equal ones together, the worst
// first.
func groups(f mirror.Fleet) []group {
	var all []group
	type same struct {
		severity              check.Severity
		code, message, advice string
	}
	index := map[same]int{}
	add := func(found check.Finding, of ...mirror.Member) {
		key := same{found.Severity, found.Code, found.Message, found.Advice}
		i, ok := index[key]
		if !ok {
			i = len(all)
			index[key] = i
			all = append(all, group{Finding: found})
		}
		all[i].of = append(all[i].of, of...)
	}
	for _, found := range f.Findings {
		add(found)
	}
	for _, m := range f.Mirrors {
		for _, found := range m.Findings {
			add(found, m)
		}
	}
	all = slices.DeleteFunc(all, func(g group) bool { return g.Severity == check.OK })
	slices.SortStableFunc(all, func(a, b group) int { return b.Severity.Compare(a.Severity) })
	return all
}

// String is the finding with its mirrors, or how many there are, in one line.
func (g group) String() string {
	text := fmt.Sprintf("%s [%s]", Clean(g.Message), g.Code)
	switch len(g.of) {
	case 0:
		return text
	case 1:
		return Clean(g.of[0].Name()) + ": " + text
	}
	return counted(len(g.of), "mirror") + ": " + text
}

// names are the names of mirrors, so many of them at most.
func names(of []mirror.Member) string {
	var list []string
	for _, m := range of {
		list = append(list, Clean(m.Name()))
	}
	if len(list) > namedAtMost+2 {
		list = append(list[:namedAtMost], fmt.Sprintf("… and %d more", len(of)-namedAtMost))
	}
	return strings.ReplaceAll(strings.Join(list, ", "), ", …", " …")
}

// tally says how many mirrors are in which state, the worst first, as "42 mirrors: 2
// critical, 40 ok". where, if any, says where they were looked for.
func tally(f mirror.Fleet, status check.Severity, where string) string {
	numbers := numbersOf(f)
	var parts []string
	for _, s := range []check.Severity{check.Critical, check.Unknown, check.Warning, check.OK} {
		if n := numbers.in[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	unread := counted(numbers.unread, "domain") + " not read"
	if numbers.unread > 0 {
		parts = append(parts, unread)
	}
	n := len(f.Mirrors) + f.Unread
	switch {
	case n == 0 && numbers.unread > 0:
		return unread
	case n == 0:
		return "no mirrors" + where
	case status == check.OK && n == 1:
		return "1 mirror" + where + " follows its origin"
	case status == check.OK:
		return fmt.Sprintf("%d mirrors%s follow their origins", n, where)
	}
	return counted(n, "mirror") + where + ": " + strings.Join(parts, ", ")
}
