package check

import (
	"fmt"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// settingRows are the findings about the mirror's settings.
func settingRows() []row {
	return []row{{
		Kind: Kind{"max-age", "values are kept longer than at the origin", Repair, ""},
		find: maxAge,
		fix: func(mirror, origin stream.Config) []setting {
			return []setting{
				{"max_age", origin.MaxAge, kvcfg.FromOrigin},
				{"duplicate_window", kvcfg.DuplicateWindow(origin.MaxAge, mirror.DuplicateWindow), kvcfg.FromDerived},
			}
		},
	}, {
		Kind: Kind{"history", "fewer values of each key are kept than at the origin", Repair, ""},
		find: history,
		fix: func(_, origin stream.Config) []setting {
			return []setting{{"max_msgs_per_subject", stream.Limit(origin.MaxMsgsPerSubject), kvcfg.FromOrigin}}
		},
	}, {
		Kind: Kind{"max-value-size", "the origin allows larger values than the mirror", Repair, ""},
		find: maxValueSize,
		fix: func(_, origin stream.Config) []setting {
			return []setting{{"max_msg_size", stream.Limit(origin.MaxMsgSize), kvcfg.FromOrigin}}
		},
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
		Kind: Kind{"discard-old", "old values of other keys are dropped when a limit is reached", None, "remove the limit"},
		find: discardOld,
	}}
}

func maxAge(f Facts, _ Thresholds) (Severity, string) {
	if f.Origin == nil || f.Origin.Config.MaxAge <= 0 {
		return none()
	}
	here, there := f.Mirror.Config.MaxAge, f.Origin.Config.MaxAge
	switch {
	case here <= 0:
		return found(Critical, "values older than %v are gone at the origin and stay here forever", there)
	case here > there:
		return found(Warning, "values are kept longer than at the origin: for %v instead of %v", here, there)
	}
	return none()
}

func history(f Facts, _ Thresholds) (Severity, string) {
	if f.Origin == nil {
		return none()
	}
	here, there := stream.Limit(f.Mirror.Config.MaxMsgsPerSubject), stream.Limit(f.Origin.Config.MaxMsgsPerSubject)
	if here < 0 || there > 0 && here >= there {
		return none()
	}
	all := "all"
	if there > 0 {
		all = fmt.Sprint(there)
	}
	return found(Warning, "fewer values of each key are kept than at the origin: %d instead of %s", here, all)
}

func maxValueSize(f Facts, _ Thresholds) (Severity, string) {
	if f.Origin == nil {
		return none()
	}
	here, there := stream.Limit(f.Mirror.Config.MaxMsgSize), stream.Limit(f.Origin.Config.MaxMsgSize)
	if here < 0 || there > 0 && here >= there {
		return none()
	}
	return found(Critical, "the mirror takes values of at most %d bytes and the origin larger ones: the first of them stops the mirror", here)
}

// almostFull is the share of a limit from which on a mirror that stops when it is
// full is critical.
const almostFull = 0.9

func stopsWhenFull(f Facts, _ Thresholds) (Severity, string) {
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
	if which == "" {
		return none()
	}
	severity := Warning
	if fullest >= almostFull {
		severity = Critical
	}
	return found(severity, "the mirror stops for good when it is full; it holds %s (%.0f%%)", which, 100*fullest)
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

func discardOld(f Facts, _ Thresholds) (Severity, string) {
	c := f.Mirror.Config
	if c.Discard == "new" {
		return none()
	}
	if c.MaxBytes > 0 || c.MaxMsgs > 0 {
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
