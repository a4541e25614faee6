package check

import (
	"slices"
	"time"

	"nats-kvmirror/internal/stream"
)

// Severity is how much a finding matters, in the words of monitoring plugins.
type Severity string

// The severities.
const (
	OK       Severity = "ok" // worth knowing, and no reason to worry
	Warning  Severity = "warning"
	Critical Severity = "critical"
	Unknown  Severity = "unknown" // something was not looked at
)

// rank orders severities by how much they matter to a monitoring system.
func (s Severity) rank() int { return slices.Index([]Severity{OK, Warning, Unknown, Critical}, s) }

// Compare is negative when other matters more, positive when it matters less.
func (s Severity) Compare(other Severity) int { return s.rank() - other.rank() }

// Worse returns the severity that matters more. What was not looked at matters
// less than what is known to be critical, and more than a warning.
func (s Severity) Worse(other Severity) Severity {
	if other.rank() > s.rank() {
		return other
	}
	return s
}

// Remedy is what mends a finding.
type Remedy string

// The remedies.
const (
	ByNothing  Remedy = "nothing"  // not by this program on this mirror
	ByUpdate   Remedy = "update"   // an update of the mirror's configuration
	ByPurge    Remedy = "purge"    // purging messages from the mirror
	ByRecreate Remedy = "recreate" // deleting the mirror and creating it again
)

// Finding is one thing that a check found.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"` // one sentence
	Remedy   Remedy   `json:"remedy"`
	Mend     string   `json:"mend"` // what to do
}

// Thresholds are from where on a number matters; 0 means never.
type Thresholds struct {
	LagWarn, LagCritical   uint64 // messages behind the origin's last sequence
	SeenWarn, SeenCritical time.Duration
}

// DefaultThresholds are those of a check of which nothing was said. A healthy
// link is heard of about once a second, because idle ones send heartbeats.
func DefaultThresholds() Thresholds {
	return Thresholds{LagWarn: 1_000, LagCritical: 10_000, SeenWarn: 15 * time.Second, SeenCritical: time.Minute}
}

// Check runs all checks but the ignored ones over the facts. It returns what
// they find, the worst first.
func Check(f Facts, t Thresholds, ignore ...string) []Finding {
	var findings []Finding
	for _, c := range checks() {
		if slices.Contains(ignore, c.Code) {
			continue
		}
		severity, message, found := c.find(f, t)
		if !found {
			continue
		}
		remedy, mend := c.remedy(f)
		findings = append(findings, Finding{Code: c.Code, Severity: severity, Message: message, Remedy: remedy, Mend: mend})
	}
	slices.SortStableFunc(findings, func(a, b Finding) int { return b.Severity.rank() - a.Severity.rank() })
	return findings
}

// Worst is the worst severity among findings; OK when there are none.
func Worst(findings []Finding) Severity {
	worst := OK
	for _, f := range findings {
		worst = worst.Worse(f.Severity)
	}
	return worst
}

// OriginRecreated is the code of the finding that the origin is not the one that
// the mirror began with.
const OriginRecreated = "origin-recreated"

// Kind describes a kind of finding.
type Kind struct {
	Code   string `json:"code"`
	About  string `json:"about"`
	Remedy Remedy `json:"remedy"`
	Mend   string `json:"mend"`
}

// Kinds are all kinds of findings, in the order in which they are checked.
func Kinds() []Kind {
	var kinds []Kind
	for _, c := range checks() {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

// onlyExpired says that all of some messages are missing because their TTL is over.
func onlyExpired(reasons map[string]uint64) bool {
	return len(reasons) == 1 && reasons["expired"] > 0
}

// check is a kind of finding and how it is found.
type check struct {
	Kind
	find func(Facts, Thresholds) (severity Severity, message string, found bool)
}

// remedy is the kind's, unless the mirror's server cannot do it.
func (c check) remedy(f Facts) (Remedy, string) {
	switch {
	case c.Code == "ttl-off" && f.tooOld():
		return ByNothing, "upgrade the mirror's server to 2.11 or later"
	case c.Code == "ttl-off" && f.Mirror.Config.ServerVersion().TTLUpdate() == stream.UpdateRefused:
		return ByRecreate, newMirror
	case c.Code == "missing" && f.Content != nil && onlyExpired(f.Content.Missing):
		return ByNothing, "at the origin, which keeps what has expired: turn per-key TTL on there, or, if it is a mirror, `sync --content` it"
	case c.Code == "rollup-off" && f.Mirror.Config.DenyPurge:
		// Roll-ups require the purge permission, which no update gives back
		// (server/stream.go).
		return ByRecreate, newMirror
	}
	return c.Remedy, c.Mend
}

// Remedies in words.
const (
	syncMends   = "`sync` does"
	newMirror   = "`sync --recreate` makes it anew"
	contentSync = "`sync --content` does"
	atTheOrigin = "at the origin, not here"
)

// checks is the table of all findings.
func checks() []check {
	return []check{
		{Kind{"ttl-off", "the origin has per-key TTL and the mirror has not", ByUpdate, syncMends}, ttlOff},
		{Kind{"ttl-origin-off", "the mirror has per-key TTL and the origin has not", ByNothing, "nothing has to be"}, ttlOriginOff},
		{Kind{"ttl-origin-ignored", "the origin's server ignores TTLs that the mirror heeds", ByRecreate, "upgrade the origin's server, or let `sync --recreate --no-allow-msg-ttl` make the mirror anew"}, ttlOriginIgnored},
		{Kind{"ttl-lost-above", "per-key TTL is lost further up the chain of origins", ByNothing, "turn per-key TTL on there, with `edit`"}, ttlLostAbove},
		{Kind{"chain-unread", "the origin is a mirror itself, and what is above it could not be read", ByNothing, "check the origin from its own site"}, chainUnread},
		{Kind{"server-too-old", "the origin has per-key TTL and the mirror's server knows none", ByNothing, "upgrade the mirror's server to 2.11 or later"}, serverTooOld},
		{Kind{"server-leaves-expired", "the mirror's server leaves expired messages behind", ByRecreate, newMirror + ", or upgrade its server first"}, serverLeavesExpired},

		{Kind{"origin-missing", "the origin does not exist", ByNothing, "create the origin again, or delete the mirror"}, originUnread(Missing, Critical)},
		{Kind{"origin-not-a-bucket", "the origin is no Key-Value bucket", ByNothing, atTheOrigin}, originUnread(NotBucket, Critical)},
		{Kind{"origin-denied", "reading the origin is denied", ByNothing, "give the user permission for the subject"}, originUnread(Denied, Unknown)},
		{Kind{"origin-unreachable", "the origin does not answer", ByNothing, "see to the link, the domain and the imports"}, originUnread(Unreachable, Unknown)},
		{Kind{OriginRecreated, "the origin is not the one that the mirror began with", ByRecreate, newMirror}, originRecreated},

		{Kind{"never-connected", "the mirror has never heard of its origin", ByNothing, "see to the link, the prefix and the exports"}, neverConnected},
		{Kind{"not-seen", "the mirror has not heard of its origin for long", ByNothing, "see to the link"}, notSeen},
		{Kind{"mirror-error", "the mirror reports an error", ByNothing, "as the error says"}, mirrorError},
		{Kind{"stalled", "the mirror is behind and does not move", ByNothing, "see to the link and the limits; restart the mirror's server, or " + newMirror}, stalled},
		{Kind{"behind", "the mirror is behind its origin", ByNothing, "wait, or see to the link"}, behind},
		{Kind{"tail-unread", "whether a mirror of some keys is behind could not be found out", ByNothing, "let the user read single messages of the origin"}, tailUnread},
		{Kind{"left-over", "the mirror holds messages that are gone at its origin", ByPurge, contentSync}, leftOver},
		{Kind{"missing", "the mirror lacks messages that its origin holds", ByRecreate, newMirror}, missing},
		{Kind{"different", "the mirror holds other messages than its origin at the same sequences", ByRecreate, newMirror}, different},
		{Kind{"content-unproved", "whether the messages are the same could not be found out", ByNothing, "see to the cause and look again"}, contentUnproved},

		{Kind{"max-age", "values are kept for longer than at the origin", ByUpdate, syncMends}, maxAge},
		{Kind{"history", "less values are kept of each key than at the origin", ByUpdate, syncMends}, history},
		{Kind{"max-value-size", "the origin allows larger values than the mirror", ByUpdate, syncMends}, valueSize},
		{Kind{"stops-when-full", "the mirror stops for good when it reaches a limit of its own", ByNothing, "raise or remove the limit before it is reached; a mirror that has stopped needs a restart of its server"}, stopsWhenFull},

		{Kind{"rollup-off", "roll-ups are not allowed, so purges of keys may be lost", ByUpdate, syncMends}, rollupOff},
		{Kind{"deny-delete-off", "messages can be deleted, after which the mirror differs from its origin", ByUpdate, syncMends}, denyDeleteOff},
		{Kind{"direct-off", "direct get is off, so reads go through the leader alone", ByUpdate, syncMends}, directOff},
		{Kind{"mirror-direct-off", "the mirror does not answer reads of its origin's name", ByUpdate, syncMends}, mirrorDirectOff},
		{Kind{"discard-old", "old values of other keys are dropped when a limit is reached", ByNothing, "remove the limit"}, discardOld},

		{Kind{"replica-offline", "a replica is offline", ByNothing, "see to its server"}, replicaOffline},
		{Kind{"replica-behind", "a replica is not current", ByNothing, "wait, or see to its server"}, replicaBehind},
	}
}
