package kvcfg

import (
	"fmt"
	"slices"
	"strings"
	"time"
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

// KnownCode says whether there is a finding with this code.
func KnownCode(code string) bool {
	return slices.ContainsFunc(checks(), func(c check) bool { return c.Code == code })
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
	case c.Code == "ttl-off" && f.Mirror.Config.ServerVersion().TTLUpdate() == UpdateRefused:
		return ByRecreate, newMirror
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
	newMirror   = "delete the mirror and create it again"
	atTheOrigin = "at the origin, not here"
)

// checks is the table of all findings.
func checks() []check {
	return []check{
		{Kind{"ttl-off", "the origin has per-key TTL and the mirror has not", ByUpdate, syncMends}, ttlOff},
		{Kind{"ttl-origin-off", "the mirror has per-key TTL and the origin has not", ByNothing, "nothing has to be"}, ttlOriginOff},
		{Kind{"ttl-origin-ignored", "the origin's server ignores TTLs that the mirror heeds", ByRecreate, "upgrade the origin's server, or " + newMirror + " with --no-allow-msg-ttl"}, ttlOriginIgnored},
		{Kind{"ttl-lost-above", "per-key TTL is lost further up the chain of origins", ByNothing, "turn per-key TTL on there, with `edit`"}, ttlLostAbove},
		{Kind{"server-too-old", "the origin has per-key TTL and the mirror's server knows none", ByNothing, "upgrade the mirror's server to 2.11 or later"}, serverTooOld},
		{Kind{"server-leaves-expired", "the mirror's server leaves expired messages behind", ByRecreate, newMirror + ", or upgrade its server first"}, serverLeavesExpired},

		{Kind{"origin-missing", "the origin does not exist", ByNothing, "create the origin again, or delete the mirror"}, originUnread(Missing, Critical)},
		{Kind{"origin-not-a-bucket", "the origin is no Key-Value bucket", ByNothing, atTheOrigin}, originUnread(NotBucket, Critical)},
		{Kind{"origin-denied", "reading the origin is denied", ByNothing, "give the user permission for the subject"}, originUnread(Denied, Unknown)},
		{Kind{"origin-unreachable", "the origin does not answer", ByNothing, "see to the link, the domain and the imports"}, originUnread(Unreachable, Unknown)},
		{Kind{"origin-recreated", "the origin is not the one that the mirror began with", ByRecreate, newMirror}, originRecreated},

		{Kind{"never-connected", "the mirror has never heard of its origin", ByNothing, "see to the link, the prefix and the exports"}, neverConnected},
		{Kind{"not-seen", "the mirror has not heard of its origin for long", ByNothing, "see to the link"}, notSeen},
		{Kind{"mirror-error", "the mirror reports an error", ByNothing, "as the error says"}, mirrorError},
		{Kind{"stalled", "the mirror is behind and does not move", ByNothing, "see to the link and the limits; restart the mirror's server, or " + newMirror}, stalled},
		{Kind{"behind", "the mirror is behind its origin", ByNothing, "wait, or see to the link"}, behind},
		{Kind{"tail-unread", "whether a mirror of some keys is behind could not be found out", ByNothing, "let the user read single messages of the origin"}, tailUnread},
		{Kind{"left-over", "the mirror holds more messages than its origin", ByPurge, "purge what is left over, or " + newMirror}, leftOver},
		{Kind{"missing", "the mirror holds less messages than its origin", ByRecreate, newMirror}, missing},

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

func none() (Severity, string, bool) { return OK, "", false }

func found(s Severity, format string, a ...any) (Severity, string, bool) {
	return s, fmt.Sprintf(format, a...), true
}

// originHasTTL says whether keys expire at the origin.
func (f Facts) originHasTTL() bool { return f.Origin != nil && f.Origin.Config.AllowMsgTTL }

// tooOld says whether the mirror's server knows no per-key TTL.
func (f Facts) tooOld() bool { return f.Level != nil && *f.Level < TTLAPILevel }

func ttlOff(f Facts, _ Thresholds) (Severity, string, bool) {
	if !f.originHasTTL() || f.Mirror.Config.AllowMsgTTL {
		return none()
	}
	return found(Critical, "the origin has per-key TTL and the mirror has not: it grows for ever")
}

func ttlOriginOff(f Facts, t Thresholds) (Severity, string, bool) {
	if f.Origin == nil || f.Origin.Config.AllowMsgTTL || !f.Mirror.Config.AllowMsgTTL || f.ignoresTTL() {
		return none()
	}
	return found(OK, "the mirror has per-key TTL and the origin has not, which does no harm: no TTL comes from there")
}

// ignoresTTL says that the origin's server is older than per-key TTL: it stores
// a TTL as a header like any other. Servers from 2.11 on say in each stream's
// metadata what it needs and, unless it is in a list, their version.
func (f Facts) ignoresTTL() bool {
	if f.Origin == nil {
		return false
	}
	for key := range f.Origin.Config.Metadata {
		if strings.HasPrefix(key, ReservedMetadata) {
			return false
		}
	}
	return true
}

func ttlOriginIgnored(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Origin == nil || f.Origin.Config.AllowMsgTTL || !f.Mirror.Config.AllowMsgTTL || !f.ignoresTTL() {
		return none()
	}
	return found(Warning, "the origin's server is older than 2.11 and ignores TTLs: a key that carries one stays there and disappears here")
}

func ttlLostAbove(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Origin == nil {
		return none()
	}
	// The chain from the origin upwards: whoever has TTL expects it below.
	below := *f.Origin
	for _, above := range f.Above {
		if above.Config.AllowMsgTTL && !below.Config.AllowMsgTTL {
			return found(Critical, "per-key TTL is lost above: bucket %q at %q has it, and its mirror %q at %q has not",
				displayBucket(above.Config.Name), above.Prefix, displayBucket(below.Config.Name), below.Prefix)
		}
		below = above
	}
	return none()
}

func serverTooOld(f Facts, _ Thresholds) (Severity, string, bool) {
	if !f.originHasTTL() || !f.tooOld() {
		return none()
	}
	return found(Critical, "the mirror's server is older than 2.11 and knows no per-key TTL")
}

func serverLeavesExpired(f Facts, _ Thresholds) (Severity, string, bool) {
	v := f.Mirror.Config.ServerVersion()
	if !f.originHasTTL() {
		return none()
	}
	switch {
	case v.TTLUpdate() == UpdateCleans,
		v.TTLUpdate() == UpdatePartly && f.Mirror.Config.Storage != "file":
		return none()
	case v.TTLUpdate() == UpdateRefused && f.Mirror.Config.AllowMsgTTL:
		return none() // it was created so, and is fine
	case v.TTLUpdate() == UpdateRefused:
		return found(Warning, "server %v cannot turn per-key TTL on for a mirror that exists", v)
	case f.Mirror.Config.AllowMsgTTL:
		return found(OK, "if per-key TTL was turned on after the mirror was created, server %v keeps what it then held", v)
	}
	return found(Warning, "server %v keeps what the mirror holds when per-key TTL is turned on", v)
}

func originUnread(reason Reason, severity Severity) func(Facts, Thresholds) (Severity, string, bool) {
	return func(f Facts, _ Thresholds) (Severity, string, bool) {
		if f.Origin != nil || f.Unread.Reason != reason {
			return none()
		}
		return found(severity, "the origin was not read: %s", f.Unread.Detail)
	}
}

func originRecreated(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Origin == nil {
		return none()
	}
	mirror, origin := f.Mirror.State, f.Origin.State
	// At a single look the origin may have been read before the mirror.
	if f.Earlier != nil && mirror.LastSeq > origin.LastSeq {
		return found(Critical, "the mirror is at sequence %d and its origin only at %d: the origin was created again", mirror.LastSeq, origin.LastSeq)
	}
	// Times of a mirror's messages are those of the first origin, which may be
	// older than an origin that mirrors or sources.
	first := f.Origin.Config.Mirror == nil && len(f.Origin.Config.Sources) == 0
	if first && mirror.Msgs > 0 && !mirror.FirstTime.IsZero() && mirror.FirstTime.Before(f.Origin.Created) {
		return found(Critical, "the mirror holds messages that are older than its origin: the origin was created again")
	}
	return none()
}

func neverConnected(f Facts, _ Thresholds) (Severity, string, bool) {
	if !f.neverHeard() {
		return none()
	}
	return found(Critical, "the mirror has never heard of its origin")
}

func notSeen(f Facts, t Thresholds) (Severity, string, bool) {
	if f.Link == nil || f.neverHeard() {
		return none()
	}
	seen := f.Link.Active
	switch {
	case t.SeenCritical > 0 && seen > t.SeenCritical:
		return found(Critical, "the mirror has not heard of its origin for %v", seen.Round(time.Second))
	case t.SeenWarn > 0 && seen > t.SeenWarn:
		return found(Warning, "the mirror has not heard of its origin for %v", seen.Round(time.Second))
	}
	return none()
}

func mirrorError(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Link == nil || f.Link.Error == nil {
		return none()
	}
	return found(Critical, "the mirror reports: %s (%d)", f.Link.Error.Description, f.Link.Error.Code)
}

// standsStill says that the mirror is behind and was so, at the same sequence,
// at the earlier look. What the origin has got since may be on its way.
func (f Facts) standsStill() bool {
	c, ok := f.Compare()
	if !ok || c.Behind == 0 || f.tailUnread() || f.Earlier == nil || f.Earlier.Mirror.LastSeq != f.Mirror.State.LastSeq {
		return false
	}
	next := f.Mirror.State.LastSeq + 1
	if f.Left != nil {
		next = *f.Left
	}
	return next <= f.Earlier.Origin.LastSeq
}

func stalled(f Facts, _ Thresholds) (Severity, string, bool) {
	if !f.standsStill() {
		return none()
	}
	c, _ := f.Compare()
	return found(Critical, "the mirror stands at sequence %d, %d behind its origin, and does not move", f.Mirror.State.LastSeq, c.Behind)
}

func behind(f Facts, t Thresholds) (Severity, string, bool) {
	c, ok := f.Compare()
	if !ok || f.standsStill() || f.tailUnread() {
		return none()
	}
	switch {
	case t.LagCritical > 0 && c.Behind > t.LagCritical:
		return found(Critical, "the mirror is %d messages behind its origin", c.Behind)
	case t.LagWarn > 0 && c.Behind > t.LagWarn:
		return found(Warning, "the mirror is %d messages behind its origin", c.Behind)
	}
	return none()
}

func tailUnread(f Facts, _ Thresholds) (Severity, string, bool) {
	if !f.tailUnread() {
		return none()
	}
	c, _ := f.Compare()
	return found(Unknown, "the mirror takes some keys alone and may be up to %d messages behind: the origin's messages cannot be read", c.Behind)
}

func leftOver(f Facts, _ Thresholds) (Severity, string, bool) {
	n := f.LeftOver()
	if n == 0 {
		return none()
	}
	return found(Critical, "at least %d messages on the mirror are gone at its origin", n)
}

func missing(f Facts, _ Thresholds) (Severity, string, bool) {
	n := f.Missing()
	if n == 0 {
		return none()
	}
	return found(Critical, "at least %d messages of the origin are missing on the mirror", n)
}

func maxAge(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Origin == nil || f.Origin.Config.MaxAge <= 0 {
		return none()
	}
	here, there := f.Mirror.Config.MaxAge, f.Origin.Config.MaxAge
	switch {
	case here <= 0:
		return found(Critical, "values older than %v are gone at the origin and stay here for ever", there)
	case here > there:
		return found(Warning, "values are kept for %v here and for %v at the origin", here, there)
	}
	return none()
}

func history(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Origin == nil {
		return none()
	}
	here, there := limit(f.Mirror.Config.MaxMsgsPerSubject), limit(f.Origin.Config.MaxMsgsPerSubject)
	if here < 0 || there > 0 && here >= there {
		return none()
	}
	return found(Warning, "the mirror keeps %d values of each key and the origin keeps %s", here, orAll(there))
}

func orAll(n int64) string {
	if n < 0 {
		return "all"
	}
	return fmt.Sprint(n)
}

func valueSize(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Origin == nil {
		return none()
	}
	here, there := limit(f.Mirror.Config.MaxMsgSize), limit(f.Origin.Config.MaxMsgSize)
	if here < 0 || there > 0 && here >= there {
		return none()
	}
	return found(Critical, "the mirror takes values of %d bytes at the most, the origin larger ones: the first of them stops the mirror", here)
}

// almostFull is from which share of a limit on a mirror that stops when it is
// full is critical.
const almostFull = 0.9

func stopsWhenFull(f Facts, _ Thresholds) (Severity, string, bool) {
	c := f.Mirror.Config
	if c.Discard != "new" {
		return none()
	}
	fullest, which := 0.0, ""
	for _, l := range []struct {
		name  string
		have  uint64
		limit int64
	}{{"bytes", f.Mirror.State.Bytes, c.MaxBytes}, {"messages", f.Mirror.State.Msgs, c.MaxMsgs}} {
		if l.limit <= 0 {
			continue
		}
		if full := float64(l.have) / float64(l.limit); which == "" || full > fullest {
			fullest, which = full, fmt.Sprintf("%d of %d %s", l.have, l.limit, l.name)
		}
	}
	switch {
	case which == "":
		return none()
	case fullest >= almostFull:
		return found(Critical, "the mirror stops for good when it is full, and holds %s (%.0f%%)", which, 100*fullest)
	}
	return found(Warning, "the mirror stops for good when it is full; it holds %s (%.0f%%)", which, 100*fullest)
}

func rollupOff(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Mirror.Config.AllowRollup {
		return none()
	}
	return found(Warning, "roll-ups are off on the mirror: some servers then lose the purge of a key, and the old value stays")
}

func denyDeleteOff(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Mirror.Config.DenyDelete {
		return none()
	}
	return found(Warning, "single messages can be deleted from the mirror, which then differs from its origin without a trace")
}

func directOff(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Mirror.Config.AllowDirect {
		return none()
	}
	return found(Warning, "direct get is off on the mirror: all reads go through the stream's leader")
}

func mirrorDirectOff(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Mirror.Config.MirrorDirect || f.Mirror.Config.Mirror.External == nil {
		return none() // beside its origin, the server decides
	}
	return found(Warning, "the mirror does not take part in reads of its origin's name: they all go to the origin")
}

func discardOld(f Facts, _ Thresholds) (Severity, string, bool) {
	c := f.Mirror.Config
	if c.Discard == "new" {
		return none()
	}
	if c.MaxBytes > 0 || c.MaxMsgs > 0 {
		return found(Warning, "the mirror drops its oldest values when it is full, so keys disappear here that the origin has")
	}
	return found(OK, "the mirror would drop its oldest values at a limit, and has none")
}

func replicaOffline(f Facts, _ Thresholds) (Severity, string, bool) {
	return replicas(f, Critical, "offline", func(p Peer) bool { return p.Offline })
}

func replicaBehind(f Facts, _ Thresholds) (Severity, string, bool) {
	return replicas(f, Warning, "not current", func(p Peer) bool { return !p.Offline && !p.Current })
}

func replicas(f Facts, s Severity, what string, is func(Peer) bool) (Severity, string, bool) {
	if f.Cluster == nil {
		return none()
	}
	var names []string
	for _, p := range f.Cluster.Replicas {
		if is(p) {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return none()
	}
	return found(s, "%d of %d replicas are %s: %q", len(names), len(f.Cluster.Replicas)+1, what, names)
}
