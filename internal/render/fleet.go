package render

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// place is a domain, or the prefix of one that is not known.
func place(domain, prefix string) string {
	if domain != "" {
		return Clean(domain)
	}
	return Clean(prefix)
}

// MemberChanges writes what is to be done to mirrors, and what that does not fix. Mirrors
// of which that is the same stand together.
func MemberChanges(w io.Writer, members []mirror.Member, fix Fixer) error {
	var order []string
	same := map[string][]mirror.Member{}
	for _, m := range members {
		if len(m.Changes) == 0 && len(m.Findings) == 0 {
			continue
		}
		key := changesOf(m)
		for _, f := range unfixed(m) {
			key += "\n" + group{Finding: f}.String()
		}
		if same[key] == nil {
			order = append(order, key)
		}
		same[key] = append(same[key], m)
	}
	var b strings.Builder
	for _, key := range order {
		if of := same[key]; len(of) == 1 {
			alone(&b, of[0])
		} else {
			together(&b, of, fix)
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// alone writes what is to be done to one mirror.
func alone(b *strings.Builder, m mirror.Member) {
	fmt.Fprintf(b, "%s, mirror of %s:\n", Clean(m.Name()), originOf(m))
	for _, c := range m.Changes {
		fmt.Fprintf(b, "- %s: %s\n+ %s: %s\n", c.Field, Value(c.Field, c.From), c.Field, Value(c.Field, c.To))
	}
	for _, f := range unfixed(m) {
		b.WriteString(finding(f, fixOf(f)))
	}
}

// together writes what is to be done to several mirrors alike.
func together(b *strings.Builder, of []mirror.Member, fix Fixer) {
	text := counted(len(of), "mirror") + ": "
	if changes := changesOf(of[0]); changes != "" {
		text += changes + ": "
	}
	fmt.Fprintf(b, "%s%s\n", text, names(of))
	for _, f := range unfixed(of[0]) {
		b.WriteString(finding(f, Clean(strings.Join(fix(f, of), "; "))))
	}
}

// changesOf is what is to be changed of a mirror, in a line.
func changesOf(m mirror.Member) string {
	var changes []string
	for _, c := range m.Changes {
		changes = append(changes, fmt.Sprintf("%s %s → %s", c.Field, Value(c.Field, c.From), Value(c.Field, c.To)))
	}
	return strings.Join(changes, ", ")
}

// unfixed are the findings that an update of the mirror does not fix.
func unfixed(m mirror.Member) []check.Finding {
	return slices.DeleteFunc(slices.Clone(m.Findings), func(f check.Finding) bool {
		return f.Remedy == check.Repair && len(m.Changes) > 0 || f.Severity == check.OK
	})
}
