package check

import (
	"time"

	"nats-kvmirror/internal/stream"
)

// linkRows are the findings about the origin and the link to it.
func linkRows() []row {
	return []row{{
		Kind: Kind{"origin-missing", "the origin does not exist", None, "create the origin again, or delete the mirror"},
		find: originUnreadable(ReasonMissing, Critical),
	}, {
		Kind: Kind{"origin-not-a-bucket", "the origin is not a Key-Value bucket", None, "change the origin, or delete the mirror"},
		find: originUnreadable(ReasonNotBucket, Critical),
	}, {
		Kind: Kind{"origin-denied", "reading the origin is denied", None, "give the user permission for the subject that the message names"},
		find: originUnreadable(ReasonDenied, Unknown),
	}, {
		Kind: Kind{"origin-unreachable", "the origin does not answer", None, "check the link, the domain and the imports"},
		find: originUnreadable(ReasonUnreachable, Unknown),
	}, {
		Kind: Kind{OriginRecreated, "the origin is not the stream that the mirror was filled from", Recreate, ""},
		find: originRecreated,
	}, {
		Kind: Kind{"never-connected", "the mirror has received nothing from its origin, or nothing since its server started", None, "check the link, the API prefix and the exports"},
		find: neverConnected,
	}, {
		Kind: Kind{"link-stale", "the mirror's link to its origin has not been active for a long time", None, "check the link"},
		find: linkStale,
	}, {
		Kind: Kind{"mirror-error", "the mirror reports an error", None, "remove the cause that the error names"},
		find: mirrorError,
	}, {
		Kind: Kind{"stalled", "the mirror is behind and does not advance", None, "check the link and the limits; then restart the mirror's server, or delete the mirror and create it again"},
		find: stalled,
		instead: func(f Facts) (Remedy, string) {
			_, advice := f.StallCause()
			if advice == "" {
				return "", ""
			}
			return None, advice
		},
	}, {
		Kind: Kind{"behind", "the mirror is behind its origin", None, "wait, or check the link"},
		find: behind,
	}, {
		Kind: Kind{"filtered-tail-unknown", "whether a filtered mirror is behind cannot be found out", None, "give the user permission to create consumers on the origin, or to get single messages of it"},
		find: filteredTailUnknown,
	}}
}

func originUnreadable(reason Reason, severity Severity) func(Facts, Thresholds) (Severity, string) {
	return func(f Facts, _ Thresholds) (Severity, string) {
		if f.Origin != nil || f.OriginUnread.Reason != reason {
			return none()
		}
		return found(severity, "the origin cannot be read: %s", f.OriginUnread.Detail)
	}
}

// originRecreated finds that the origin is another stream than the one that the
// mirror was filled from. A mirror keeps its origin's times, so a message from
// before the origin was created cannot come from it. That proves nothing where an
// origin has old messages for another reason: it is a mirror or has sources, or it
// was promoted, copied or restored; it then holds some of them.
//
// Two cases cannot be told apart. An origin with old messages may have taken the
// place of another one: comparing the messages shows what differs. And an origin
// without old messages, or without any, may have had some before: as long as a
// mirror has them, the origin counts as created again, and a new mirror has none.
func originRecreated(f Facts, _ Thresholds) (Severity, string) {
	if f.Origin == nil {
		return none()
	}
	mirror, origin := f.Mirror.State, f.Origin.State
	// In a single reading the origin may have been read before the mirror.
	if f.Earlier != nil && mirror.LastSeq > origin.LastSeq {
		return found(Critical, "the mirror is at sequence %d and its origin only at %d: the origin was created again", mirror.LastSeq, origin.LastSeq)
	}
	first := f.Origin.Config.Mirror == nil && len(f.Origin.Config.Sources) == 0
	if first && holdsOlder(mirror, f.Origin.Created) && !holdsOlder(origin, f.Origin.Created) {
		return found(Critical, "the mirror holds messages that are older than its origin: the origin was created again")
	}
	return none()
}

// holdsOlder reports whether the first message is from before a time. The first
// time of an empty stream means nothing.
func holdsOlder(s stream.State, than time.Time) bool {
	return s.Msgs > 0 && !s.FirstTime.IsZero() && s.FirstTime.Before(than)
}

func neverConnected(f Facts, _ Thresholds) (Severity, string) {
	if !f.neverActive() || f.Earlier == nil {
		return none() // one that was just created needs some time
	}
	// Servers forget when they last heard from the origin (2.15.2, sourceInfo.last).
	if f.Mirror.State.LastSeq > 0 {
		return found(Critical, "the mirror has received nothing from its origin since its server started or its leader changed")
	}
	return found(Critical, "the mirror has never received anything from its origin")
}

func linkStale(f Facts, t Thresholds) (Severity, string) {
	if f.Mirror.Mirror == nil || f.neverActive() {
		return none()
	}
	seen := f.Mirror.Mirror.Active
	severity := above(seen, t.SeenWarn, t.SeenCritical)
	if severity == OK {
		return none()
	}
	return found(severity, "the link to the origin has not been active for %v", seen.Round(time.Second))
}

// above is the severity of a number, given the thresholds above which it matters.
func above[N uint64 | time.Duration](n, warn, critical N) Severity {
	switch {
	case critical > 0 && n > critical:
		return Critical
	case warn > 0 && n > warn:
		return Warning
	}
	return OK
}

func mirrorError(f Facts, _ Thresholds) (Severity, string) {
	if f.Mirror.Mirror == nil || f.Mirror.Mirror.Error == nil {
		return none()
	}
	return found(Critical, "the mirror reports: %s (%d)", f.Mirror.Mirror.Error.Description, f.Mirror.Mirror.Error.Code)
}

// isStalled reports whether the mirror is behind and was so, at the same sequence,
// in the earlier reading, with something pending. What the origin has received since
// may be on its way.
func (f Facts) isStalled() bool {
	c, ok := f.Compare()
	if !ok || c.Behind == 0 || f.tailUnknown() || f.Earlier == nil || f.Earlier.Mirror.LastSeq != f.Mirror.State.LastSeq {
		return false
	}
	if pending := f.Earlier.NextPending; pending != nil && *pending > 0 {
		return true
	}
	next := f.Mirror.State.LastSeq + 1
	if f.NextPending != nil {
		next = *f.NextPending
	}
	return next <= f.Earlier.Origin.LastSeq
}

func stalled(f Facts, _ Thresholds) (Severity, string) {
	if !f.isStalled() {
		return none()
	}
	c, _ := f.Compare()
	cause, _ := f.StallCause()
	if cause != "" {
		cause = ": " + cause
	}
	return found(Critical, "the mirror does not advance from sequence %d, %d behind its origin%s", f.Mirror.State.LastSeq, c.Behind, cause)
}

func behind(f Facts, t Thresholds) (Severity, string) {
	c, ok := f.Compare()
	if !ok || f.isStalled() || f.tailUnknown() {
		return none()
	}
	severity := above(c.Behind, t.LagWarn, t.LagCritical)
	if severity == OK {
		return none()
	}
	return found(severity, "the mirror is %s behind its origin", counted(c.Behind))
}

func filteredTailUnknown(f Facts, _ Thresholds) (Severity, string) {
	if !f.tailUnknown() {
		return none()
	}
	c, _ := f.Compare()
	return found(Unknown, "the mirror is filtered and may be up to %s behind: the origin's messages cannot be read", counted(c.Behind))
}
