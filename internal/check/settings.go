package check

import (
	"fmt"
	"slices"
	"strings"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// settingRows are the findings about the mirror's settings.
func settingRows() []row {
	return []row{{
		Kind: Kind{"max-age", "values are kept longer, or shorter, than at the origin", Repair, ""},
		find: maxAge,
		fix:  follows("max_age"),
	}, {
		Kind: Kind{"history", "more, or fewer, values of each key are kept than at the origin", Repair, ""},
		find: history,
		fix:  follows("max_msgs_per_subject"),
	}, {
		Kind: Kind{"max-value-size", "the largest value is not that of the origin", Repair, ""},
		find: maxValueSize,
		fix:  follows("max_msg_size"),
	}, {
		Kind: Kind{"origin-limit", "the origin drops its oldest values at a limit, and the mirror does not drop the same", Repair, ""},
		find: originLimit,
		fix:  follows("max_msgs", "max_bytes", "discard"),
	}, {
		Kind: Kind{"stops-when-full", "the mirror stops for good when it reaches a limit of its own", None, "raise or remove the limit before it is reached; if it was reached, restart the mirror's server afterwards"},
		find: stopsWhenFull,
	}, {
		Kind:    Kind{"rollup-off", "roll-ups are not allowed, so purges of keys may be lost", Repair, ""},
		find:    rollupOff,
		instead: rollupOffInstead,
		fix:     turnsOn("allow_rollup_hdrs"),
	}, {
		Kind: Kind{"deny-delete-off", "messages can be deleted, after which the mirror differs from its origin", Repair, ""},
		find: denyDeleteOff,
		fix:  turnsOn("deny_delete"),
	}, {
		Kind: Kind{"direct-off", "direct get is off, so only the leader answers reads", Repair, ""},
		find: directOff,
		fix:  turnsOn("allow_direct"),
	}, {
		Kind: Kind{"mirror-direct-off", "the mirror does not answer direct gets for its origin", Repair, ""},
		find: mirrorDirectOff,
		fix:  turnsOn("mirror_direct"),
	}, {
		Kind: Kind{"republish-loop", "the mirror republishes to the subjects of a bucket, so what it republishes may come back without end", None, "take the republishing away, or choose a destination that no bucket and no stream listens on"},
		find: republishLoop,
	}, {
		Kind: Kind{"discard-old", "old values of other keys are dropped when a limit is reached", None, "a mirror needs no limit that its origin does not have"},
		find: discardOld,
	}}
}

// differs says whether a mirror does not follow its origin in one of these fields, and
// nobody chose that.
func (f Facts) differs(fields ...string) bool {
	if f.Origin == nil {
		return false
	}
	differs, _ := kvcfg.Followed(f.Mirror.Config, f.Origin.Config)
	return slices.ContainsFunc(differs, func(c kvcfg.Change) bool { return slices.Contains(fields, c.Field) })
}

func maxAge(f Facts, _ Thresholds) (Severity, string) {
	if !f.differs("max_age") {
		return none()
	}
	here, there := f.Mirror.Config.MaxAge, f.Origin.Config.MaxAge
	switch {
	case here <= 0:
		return found(Critical, "values older than %v are gone at the origin and stay here forever", there)
	case there <= 0:
		return found(Critical, "values older than %v are dropped here, and the origin keeps them forever", here)
	case here > there:
		return found(Warning, "values are kept longer than at the origin: for %v instead of %v", here, there)
	}
	return found(Critical, "values older than %v are dropped here, and the origin keeps them for %v", here, there)
}

func history(f Facts, _ Thresholds) (Severity, string) {
	if !f.differs("max_msgs_per_subject") {
		return none()
	}
	here, there := f.Mirror.Config.MaxMsgsPerSubject, f.Origin.Config.MaxMsgsPerSubject
	more := "fewer"
	if here <= 0 || there > 0 && here > there {
		more = "more"
	}
	return found(Warning, "%s values of each key are kept than at the origin: %s instead of %s", more, limit(here), limit(there))
}

// limit is a limit of which 0 and below mean none.
func limit(n int64) string {
	if n <= 0 {
		return "all"
	}
	return fmt.Sprint(n)
}

func maxValueSize(f Facts, _ Thresholds) (Severity, string) {
	if !f.differs("max_msg_size") {
		return none()
	}
	here, there := f.Mirror.Config.MaxMsgSize, f.Origin.Config.MaxMsgSize
	if here <= 0 || there > 0 && here > there {
		return found(Warning, "the mirror allows larger values than the origin, which allows %d bytes", there)
	}
	return found(Critical, "the mirror takes values of at most %d bytes and the origin larger ones: the first of them stops the mirror", here)
}

// originLimit is about an origin that drops its oldest values at a limit. Of one that
// the mirror alone has, discardOld tells.
func originLimit(f Facts, _ Thresholds) (Severity, string) {
	if !f.differs("max_msgs", "max_bytes", "discard") {
		return none()
	}
	there := dropsAt(f.Origin.Config)
	if !kvcfg.DropsOldest(f.Mirror.Config) {
		return found(Critical, "the origin drops its oldest values at %s, and they stay here forever", there)
	}
	return found(Warning, "the oldest values are dropped at %s here, and at %s at the origin", dropsAt(f.Mirror.Config), there)
}

// dropsAt are the limits of a bucket.
func dropsAt(c stream.Config) string {
	var limits []string
	if c.MaxMsgs > 0 {
		limits = append(limits, counted(uint64(c.MaxMsgs)))
	}
	if c.MaxBytes > 0 {
		limits = append(limits, fmt.Sprintf("%d bytes", c.MaxBytes))
	}
	return strings.Join(limits, " or ")
}

// fillingUp and almostFull are the shares of a limit from which on a mirror that stops
// when it is full is a reason to worry, and critical.
const fillingUp, almostFull = 0.75, 0.9

// stopsWhenFull is no reason to worry where the origin has the limit as well, and the
// mirror does not hold more: the origin then takes no more either.
func stopsWhenFull(f Facts, _ Thresholds) (Severity, string) {
	c := f.Mirror.Config
	if c.Discard != "new" {
		return none()
	}
	fullest, which := 0.0, ""
	note := false
	for _, l := range f.limits() {
		if l.limit <= 0 {
			continue
		}
		if full := float64(l.have) / float64(l.limit); which == "" || full > fullest {
			fullest, which = full, fmt.Sprintf("%d of %d %s", l.have, l.limit, l.name)
			note = l.origins > 0 && l.origins <= l.limit && l.have <= l.there
		}
	}
	if which == "" {
		return none()
	}
	severity := OK
	switch {
	case note || fullest < fillingUp:
	case fullest >= almostFull:
		severity = Critical
	default:
		severity = Warning
	}
	return found(severity, "the mirror stops for good when it is full; it holds %s (%.0f%%)", which, 100*fullest)
}

// limited is what a mirror and its origin hold of something, and their limits.
type limited struct {
	name           string
	have, there    uint64
	limit, origins int64
}

// limits are what a mirror can be full of. The sizes of messages differ between kinds of
// storage, so that limits in bytes cannot be compared then.
func (f Facts) limits() []limited {
	list := []limited{{name: "bytes", have: f.Mirror.State.Bytes, limit: f.Mirror.Config.MaxBytes}, {name: "messages", have: f.Mirror.State.Msgs, limit: f.Mirror.Config.MaxMsgs}}
	if o := f.Origin; o != nil {
		list[1].there, list[1].origins = o.State.Msgs, o.Config.MaxMsgs
		if o.Config.Storage == f.Mirror.Config.Storage {
			list[0].there, list[0].origins = o.State.Bytes, o.Config.MaxBytes
		}
	}
	return list
}

func rollupOff(f Facts, _ Thresholds) (Severity, string) {
	if f.Mirror.Config.AllowRollup {
		return none()
	}
	return found(Warning, "roll-ups are off on the mirror: some servers then lose the purge of a key, and the old value stays")
}

// rollupOffInstead is for mirrors that deny purges: roll-ups require the purge
// permission, which no update gives back (server/stream.go).
func rollupOffInstead(f Facts) (Remedy, string) {
	if f.Mirror.Config.DenyPurge {
		return Recreate, ""
	}
	return "", ""
}

func denyDeleteOff(f Facts, _ Thresholds) (Severity, string) {
	if f.Mirror.Config.DenyDelete {
		return none()
	}
	return found(Warning, "single messages can be deleted from the mirror, which then differs from its origin without a trace")
}

func directOff(f Facts, _ Thresholds) (Severity, string) {
	if f.Mirror.Config.AllowDirect {
		return none()
	}
	return found(Warning, "direct get is off on the mirror: all reads go through the stream's leader")
}

func mirrorDirectOff(f Facts, _ Thresholds) (Severity, string) {
	if f.Mirror.Config.MirrorDirect || f.Mirror.Config.Mirror.External == nil {
		return none() // in its origin's domain, the server decides
	}
	if name := f.Mirror.Config.Metadata[kvcfg.Silenced]; name != "" {
		return found(OK, "the mirror does not answer direct gets for its origin, because bucket %q here was promoted", name)
	}
	return found(Warning, "the mirror does not answer direct gets for its origin: they all go to the origin itself")
}

func republishLoop(f Facts, _ Thresholds) (Severity, string) {
	republish := f.Mirror.Config.RePublish
	if republish == nil {
		return none()
	}
	var subjects []string
	if f.Origin != nil {
		subjects = f.Origin.Config.Subjects
	}
	if !kvcfg.RepublishLoops(republish.Destination, subjects...) {
		return none()
	}
	return found(Critical, "the mirror republishes to %q, which reaches the subjects of a bucket: what comes back to its origin is republished without end", republish.Destination)
}

// discardOld is about a limit at which the mirror alone drops its oldest values: one
// that its origin has as well is followed, see originLimit.
func discardOld(f Facts, _ Thresholds) (Severity, string) {
	c := f.Mirror.Config
	switch {
	case c.Discard == "new", kvcfg.DropsOldest(c) && (f.Origin != nil && kvcfg.DropsOldest(f.Origin.Config) || kvcfg.IsChosen(c, "max_bytes")):
		return none()
	case kvcfg.DropsOldest(c):
		return found(Warning, "the mirror drops its oldest values when it is full, so keys disappear here that the origin has")
	}
	return found(OK, "the mirror would drop its oldest values at a limit, and has none")
}

// replicaRows are the findings about the mirror's replicas.
func replicaRows() []row {
	return []row{{
		Kind: Kind{"replica-offline", "a replica is offline", None, "check its server"},
		find: func(f Facts, _ Thresholds) (Severity, string) {
			return replicas(f, Critical, "offline", func(p stream.PeerInfo) bool { return p.Offline })
		},
	}, {
		Kind: Kind{"replica-behind", "a replica is not current", None, "wait, or check its server"},
		find: func(f Facts, _ Thresholds) (Severity, string) {
			return replicas(f, Warning, "not current", func(p stream.PeerInfo) bool { return !p.Offline && !p.Current })
		},
	}}
}

func replicas(f Facts, s Severity, what string, is func(stream.PeerInfo) bool) (Severity, string) {
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
	are := "are"
	if len(names) == 1 {
		are = "is"
	}
	return found(s, "%d of %d replicas %s %s: %q", len(names), len(f.Mirror.Cluster.Replicas)+1, are, what, names)
}
