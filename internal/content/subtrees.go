package content

import "strings"

const (
	// minSubtree is how many subjects are purged together at the least: below it, a
	// request for each costs less than to find out whether they can be.
	minSubtree = 64
	// bucketTokens is how many tokens come before a key, as in $KV.bucket.
	bucketTokens = 2
)

// Subtrees joins purges of subjects into purges of subtrees, as of a.b.> for all that
// begins with a.b., by rising subject. whole says whether a stream holds no other messages
// of a subtree than those of some purges.
func Subtrees(purges []Purge, whole func(filter string, of []Purge) bool) []Purge {
	return subtrees(purges, bucketTokens+1, whole)
}

// subtrees is Subtrees for purges that have all but so many tokens in common.
func subtrees(purges []Purge, tokens int, whole func(filter string, of []Purge) bool) []Purge {
	var joined []Purge
	for len(purges) > 0 {
		parent, n := parentOf(purges[0].Subject, tokens), 1
		for n < len(purges) && parent != "" && parentOf(purges[n].Subject, tokens) == parent {
			n++
		}
		group := purges[:n]
		purges = purges[n:]
		switch filter := parent + ".>"; {
		case n < minSubtree:
			joined = append(joined, group...)
		case whole(filter, group):
			all := Purge{Subject: filter}
			for _, p := range group {
				all.Before, all.Messages = max(all.Before, p.Before), all.Messages+p.Messages
			}
			joined = append(joined, all)
		default:
			joined = append(joined, subtrees(group, tokens+1, whole)...)
		}
	}
	return joined
}

// parentOf are the first tokens of a subject that has more; "" of any other.
func parentOf(subject string, tokens int) string {
	end := 0
	for range tokens {
		i := strings.IndexByte(subject[end:], '.')
		if i < 0 {
			return ""
		}
		end += i + 1
	}
	return subject[:end-1]
}
