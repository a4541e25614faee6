package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// messageRows are the findings about the messages that the mirror holds.
func messageRows() []row {
	return []row{{
		Kind:    Kind{"left-over", "the mirror holds messages that its origin does not", Prune, ""},
		find:    leftOver,
		instead: leftOverInstead,
	}, {
		Kind:    Kind{"missing", "the mirror lacks messages that its origin holds", Recreate, ""},
		find:    missing,
		instead: missingInstead,
	}, {
		Kind: Kind{"different", "the mirror holds other messages than its origin at the same sequences (found by comparing the messages)", Recreate, ""},
		find: different,
	}, {
		Kind: Kind{"missing-above", "the origin, a mirror itself, has lost messages of its own origin that the mirror holds (found by comparing the messages)", None, "create the origin, which is a mirror, again at its own site; nothing is wrong with this mirror"},
		find: missingAbove,
	}, {
		Kind: Kind{"clock-skew", "the clocks of the mirror's server and of its origin's differ, so messages expire too early or too late (found by comparing the messages)", None, "set the clocks of both hosts by the same time source"},
		find: clockSkew,
	}, {
		Kind: Kind{"content-unverified", "whether the mirror holds what its origin holds cannot be verified (found by comparing the messages)", None, "remove the cause that the message names, then compare again"},
		find: contentUnverified,
	}}
}

func leftOver(f Facts, _ Thresholds) (Severity, string) {
	if f.Content != nil && len(f.Content.LeftOver) > 0 {
		return found(Critical, "the mirror holds %s that its origin does not: %s", counted(sum(f.Content.LeftOver)), byReason(f.Content.LeftOver))
	}
	n := f.LeftOver()
	if n == 0 || f.verified() {
		return none()
	}
	return found(Critical, "the mirror holds at least %s that its origin does not", counted(n))
}

// leftOverInstead is for what an origin drops at a limit that the mirror does not have:
// taken over, the limit removes it here as well, and a purge alone would have to be
// repeated after every put. What is left over only because of a setting is not purged.
func leftOverInstead(f Facts) (Remedy, string) {
	if f.differs("max_msgs", "max_bytes", "discard") {
		return Repair, "the mirror has to have the limit at which its origin drops its oldest values"
	}
	if f.Content != nil && onlyBecause(f.Content.LeftOver, "unchosen") {
		return None, "give the mirror the origin's settings, or choose its own"
	}
	return "", ""
}

func missing(f Facts, _ Thresholds) (Severity, string) {
	if f.Content != nil && len(f.Content.Missing) > 0 {
		return found(Critical, "the mirror lacks %s of its origin: %s", counted(sum(f.Content.Missing)), byReason(f.Content.Missing))
	}
	n := f.Missing()
	if n == 0 || f.verified() {
		return none()
	}
	return found(Critical, "the mirror lacks at least %s of its origin", counted(n))
}

// missingInstead is for messages whose absence is not the mirror's fault, or would come
// about again. Of an origin that is known to keep expired messages a count does not tell
// which are missing.
func missingInstead(f Facts) (Remedy, string) {
	expired := f.Content != nil && onlyBecause(f.Content.Missing, "expired")
	switch {
	case f.originRaisesTTL() && (expired || f.Content == nil || len(f.Content.Missing) == 0):
		return None, honourTTL
	case f.Content == nil:
	case expired:
		return None, "the origin keeps expired messages: turn per-key TTL on there; if it is a mirror itself, remove what is left over from it"
	case onlyBecause(f.Content.Missing, "early"):
		return None, "set the clocks of both hosts by the same time source"
	case f.Content.Missing["unchosen"] > 0:
		return Recreate, "first, give the mirror the origin's settings, or choose its own"
	}
	return "", ""
}

// onlyBecause says whether there is one reason, and no other.
func onlyBecause(reasons map[string]uint64, reason string) bool {
	return len(reasons) == 1 && reasons[reason] > 0
}

func different(f Facts, _ Thresholds) (Severity, string) {
	if f.Content == nil || len(f.Content.Different) == 0 {
		return none()
	}
	least := ""
	if f.Content.Partly {
		least = "at least "
	}
	return found(Critical, "%s%s of the mirror and its origin differ at the same sequence: %s", least, counted(sum(f.Content.Different)), byReason(f.Content.Different))
}

func missingAbove(f Facts, _ Thresholds) (Severity, string) {
	if f.Content == nil || f.Content.MissingAbove == 0 {
		return none()
	}
	return found(Warning, "the origin lacks %s of its own origin that the mirror holds", counted(f.Content.MissingAbove))
}

// maxSkew and muchSkew are the differences between two clocks above which expiry is
// not to be relied on, and above which a message may be served for a minute too long.
const (
	maxSkew  = 2 * time.Second
	muchSkew = time.Minute
)

func clockSkew(f Facts, _ Thresholds) (Severity, string) {
	if f.Content == nil {
		return none()
	}
	skew, direction, effect := f.Content.Skew, "ahead of", "early"
	if skew < 0 {
		skew, direction, effect = -skew, "behind", "late"
	}
	severity := above(skew, maxSkew, muchSkew)
	if severity == OK {
		return none()
	}
	return found(severity, "the clock of the mirror's server is %v %s that of its origin's, so messages expire too %s", skew.Round(100*time.Millisecond), direction, effect)
}

func contentUnverified(f Facts, _ Thresholds) (Severity, string) {
	if f.Content == nil || f.Content.Unverified == "" {
		return none()
	}
	return found(Unknown, "whether the mirror holds what its origin holds cannot be verified: %s", f.Content.Unverified)
}

// verified reports whether all messages were compared, which is better than any
// count.
func (f Facts) verified() bool { return f.Content != nil && f.Content.Unverified == "" }

func sum(reasons map[string]uint64) uint64 {
	var n uint64
	for _, count := range reasons {
		n += count
	}
	return n
}

func counted(n uint64) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// byReason lists the reasons with their counts.
func byReason(reasons map[string]uint64) string {
	words := map[string]string{
		"expired": "expired by TTL", "too-old": "older than the origin's maximum age",
		"early": "expired by the mirror's clock, which is ahead", "unchosen": "because of a setting that differs and was not chosen",
		"gone": "purged, deleted or replaced", "absent": "for no known reason",
		"subject": "in the subject", "time": "in the time", "size": "in the size", "headers": "in the headers", "payload": "in the body",
	}
	var list []string
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		word := words[reason]
		if word == "" {
			word = reason
		}
		list = append(list, fmt.Sprintf("%d %s", reasons[reason], word))
	}
	return strings.Join(list, ", ")
}
