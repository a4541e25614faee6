package stream

import (
	"fmt"
	"strings"
)

// Rename is what a mirror makes of its origin's subjects; nil when it leaves
// them as they are. ok is false when the mirror renames them in a way that this
// program does not follow: other than one prefix to another.
func (c Config) Rename() (rename func(subject string) string, ok bool) {
	if c.Mirror == nil {
		return nil, true
	}
	var prefixes [][2]string
	for _, t := range c.Mirror.SubjectTransforms {
		if t.Destination == "" || t.Destination == t.Source || t.Destination == IdentityTransform(t.Source) {
			continue
		}
		from, isFrom := literalPrefix(t.Source)
		to, isTo := literalPrefix(t.Destination)
		if !isFrom || !isTo {
			return nil, false
		}
		prefixes = append(prefixes, [2]string{from, to})
	}
	if prefixes == nil {
		return nil, true
	}
	return func(subject string) string {
		for _, p := range prefixes {
			if rest, ok := strings.CutPrefix(subject, p[0]); ok {
				return p[1] + rest
			}
		}
		return subject
	}, true
}

// IdentityTransform is the destination of a transform that leaves the subject as it
// is. Servers want to be told what becomes of each * (server/subject_transform.go).
func IdentityTransform(subject string) string {
	tokens := strings.Split(subject, ".")
	n := 0
	for i, token := range tokens {
		if token == "*" {
			n++
			tokens[i] = fmt.Sprintf("{{wildcard(%d)}}", n)
		}
	}
	return strings.Join(tokens, ".")
}

// literalPrefix is what stands before the > of a subject that has no other
// wildcard.
func literalPrefix(subject string) (prefix string, ok bool) {
	prefix, ok = strings.CutSuffix(subject, ">")
	return prefix, ok && strings.HasSuffix(prefix, ".") && !strings.ContainsAny(prefix, "*{")
}
