package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// The functions of the table in finding.go. Each says of the facts how severe
// what it found is, in a sentence, and whether it found anything at all.

func none() (Severity, string, bool) { return OK, "", false }

func found(s Severity, format string, a ...any) (Severity, string, bool) {
	return s, fmt.Sprintf(format, a...), true
}

// originHasTTL says whether keys expire at the origin.
func (f Facts) originHasTTL() bool { return f.Origin != nil && f.Origin.Config.AllowMsgTTL }

// tooOld says whether the mirror's server knows no per-key TTL.
func (f Facts) tooOld() bool { return f.Level != nil && *f.Level < stream.TTLAPILevel }

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
		if strings.HasPrefix(key, stream.ReservedMetadata) {
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
	below := f.Origin
	for _, above := range f.Above {
		if above.Config.AllowMsgTTL && !below.Config.AllowMsgTTL {
			return found(Critical, "per-key TTL is lost above: bucket %q at %q has it, and its mirror %q at %q has not",
				kvcfg.DisplayName(above.Config.Name), above.Prefix, kvcfg.DisplayName(below.Config.Name), below.Prefix)
		}
		below = above
	}
	return none()
}

func chainUnread(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.AboveUnread == "" {
		return none()
	}
	return found(Unknown, "the origin is a mirror itself, and what it mirrors was not read: %s", f.AboveUnread)
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
	case v.TTLUpdate() == stream.UpdateCleans,
		v.TTLUpdate() == stream.UpdatePartly && f.Mirror.Config.Storage != "file":
		return none()
	case v.TTLUpdate() == stream.UpdateRefused && f.Mirror.Config.AllowMsgTTL:
		return none() // it was created so, and is fine
	case v.TTLUpdate() == stream.UpdateRefused:
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

// originRecreated says that the origin is another stream than the one that the
// mirror began with. A mirror has its origin's times, so a message from before the
// origin was created cannot be of it. That is no proof where an origin came to old
// messages by itself: as a mirror or by sources, or because it was a mirror before
// it was promoted, is a copy, or was restored; it then holds some still.
//
// Two things cannot be told. Whether such an origin took the place of another one:
// comparing the messages shows what differs. And whether an origin that holds no
// old message, or none at all, had some before: while a mirror has them still, it
// counts as created again, and one that is made anew has none.
func originRecreated(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Origin == nil {
		return none()
	}
	mirror, origin := f.Mirror.State, f.Origin.State
	// At a single look the origin may have been read before the mirror.
	if f.Earlier != nil && mirror.LastSeq > origin.LastSeq {
		return found(Critical, "the mirror is at sequence %d and its origin only at %d: the origin was created again", mirror.LastSeq, origin.LastSeq)
	}
	first := f.Origin.Config.Mirror == nil && len(f.Origin.Config.Sources) == 0
	if first && holdsOlder(mirror, f.Origin.Created) && !holdsOlder(origin, f.Origin.Created) {
		return found(Critical, "the mirror holds messages that are older than its origin: the origin was created again")
	}
	return none()
}

// holdsOlder says that the first message is from before a moment. What a server
// says of the first message of an empty stream means nothing.
func holdsOlder(s stream.State, than time.Time) bool {
	return s.Msgs > 0 && !s.FirstTime.IsZero() && s.FirstTime.Before(than)
}

func neverConnected(f Facts, _ Thresholds) (Severity, string, bool) {
	if !f.neverHeard() {
		return none()
	}
	return found(Critical, "the mirror has never heard of its origin")
}

func notSeen(f Facts, t Thresholds) (Severity, string, bool) {
	if f.Mirror.Mirror == nil || f.neverHeard() {
		return none()
	}
	seen := f.Mirror.Mirror.Active
	switch {
	case t.SeenCritical > 0 && seen > t.SeenCritical:
		return found(Critical, "the mirror has not heard of its origin for %v", seen.Round(time.Second))
	case t.SeenWarn > 0 && seen > t.SeenWarn:
		return found(Warning, "the mirror has not heard of its origin for %v", seen.Round(time.Second))
	}
	return none()
}

func mirrorError(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Mirror.Mirror == nil || f.Mirror.Mirror.Error == nil {
		return none()
	}
	return found(Critical, "the mirror reports: %s (%d)", f.Mirror.Mirror.Error.Description, f.Mirror.Mirror.Error.Code)
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
	if f.Content != nil && len(f.Content.LeftOver) > 0 {
		return found(Critical, "the mirror holds %s that its origin does not: %s", messages(f.Content.LeftOver), byReason(f.Content.LeftOver))
	}
	n := f.LeftOver()
	if n == 0 || f.proved() {
		return none()
	}
	return found(Critical, "the mirror holds at least %s that its origin does not", counted(n))
}

func missing(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Content != nil && len(f.Content.Missing) > 0 {
		return found(Critical, "the mirror lacks %s of its origin: %s", messages(f.Content.Missing), byReason(f.Content.Missing))
	}
	n := f.Missing()
	if n == 0 || f.proved() {
		return none()
	}
	return found(Critical, "the mirror lacks at least %s of its origin", counted(n))
}

func different(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Content == nil || len(f.Content.Different) == 0 {
		return none()
	}
	return found(Critical, "the mirror holds %s other than its origin does, at the same sequence: %s", messages(f.Content.Different), byReason(f.Content.Different))
}

func contentUnproved(f Facts, _ Thresholds) (Severity, string, bool) {
	if f.Content == nil || f.Content.Unproved == "" {
		return none()
	}
	return found(Unknown, "whether the mirror holds what its origin holds is not proved: %s", f.Content.Unproved)
}

// proved says that all messages were compared, which counts cannot better.
func (f Facts) proved() bool { return f.Content != nil && f.Content.Unproved == "" }

// messages is how many messages a count by reasons has.
func messages(reasons map[string]uint64) string {
	var n uint64
	for _, count := range reasons {
		n += count
	}
	return counted(n)
}

// counted is so many messages.
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
	here, there := stream.Limit(f.Mirror.Config.MaxMsgsPerSubject), stream.Limit(f.Origin.Config.MaxMsgsPerSubject)
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
	here, there := stream.Limit(f.Mirror.Config.MaxMsgSize), stream.Limit(f.Origin.Config.MaxMsgSize)
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
	if name := f.Mirror.Config.Metadata[kvcfg.Silenced]; name != "" {
		return found(OK, "the mirror does not take part in reads of its origin's name, because bucket %q here was promoted", name)
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
	return replicas(f, Critical, "offline", func(p stream.PeerInfo) bool { return p.Offline })
}

func replicaBehind(f Facts, _ Thresholds) (Severity, string, bool) {
	return replicas(f, Warning, "not current", func(p stream.PeerInfo) bool { return !p.Offline && !p.Current })
}

func replicas(f Facts, s Severity, what string, is func(stream.PeerInfo) bool) (Severity, string, bool) {
	if f.Mirror.Cluster == nil {
		return none()
	}
	var names []string
	for _, p := range f.Mirror.Cluster.Replicas {
		if is(p) {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return none()
	}
	return found(s, "%d of %d replicas are %s: %q", len(names), len(f.Mirror.Cluster.Replicas)+1, what, names)
}
