package check

import (
	"fmt"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

const (
	upgradeMirror = "upgrade the mirror's server to 2.11 or later"
	upgradeOrigin = "instead, upgrade the origin's server to 2.11 or later"
	honourTTL     = "upgrade the origin's server to 2.11.9 or later"
)

// OriginRaisesTTL is the code of the finding that the origin's server keeps keys longer
// than their TTL.
const OriginRaisesTTL = "origin-raises-ttl"

// ttlRows are the findings about per-key TTL.
func ttlRows() []row {
	return []row{{
		Kind:    Kind{"ttl-off", "the origin has per-key TTL and the mirror does not", Repair, ""},
		find:    ttlOff,
		instead: ttlOffInstead,
		fix:     follows("allow_msg_ttl"),
	}, {
		Kind: Kind{"ttl-origin-off", "the mirror has per-key TTL and the origin does not", None, "nothing needs to be done"},
		find: ttlOriginOff,
	}, {
		Kind: Kind{"ttl-origin-ignored", "the origin's server ignores TTLs that the mirror honours", Recreate, upgradeOrigin},
		find: ttlOriginIgnored,
	}, {
		Kind: Kind{"ttl-lost-above", "per-key TTL is lost further up the chain of origins", None, "turn per-key TTL on in the mirror that the message names, at its own site"},
		find: ttlLostAbove,
	}, {
		Kind: Kind{"chain-unreadable", "the origin is a mirror itself, and what is above it cannot be read", None, "check the origin from its own site"},
		find: chainUnreadable,
	}, {
		Kind: Kind{"server-too-old", "the origin has per-key TTL and the mirror's server does not support it", None, upgradeMirror},
		find: serverTooOld,
	}, {
		Kind: Kind{"server-keeps-expired", "the mirror's server keeps expired messages when per-key TTL is turned on", Recreate, "first, upgrade the mirror's server to 2.12 or later if possible"},
		find: serverKeepsExpired,
	}, {
		Kind: Kind{OriginRaisesTTL, "the origin's server keeps keys longer than their TTL, and the mirror does not", None, honourTTL},
		find: originRaisesTTL,
	}}
}

func ttlOff(f Facts, _ Thresholds) (Severity, string) {
	if !f.originHasTTL() || !f.differs("allow_msg_ttl") {
		return none()
	}
	return found(Critical, "the origin has per-key TTL and the mirror does not: it grows forever")
}

// ttlOffInstead is for servers that cannot turn per-key TTL on in a stream.
func ttlOffInstead(f Facts) (Remedy, string) {
	switch {
	case f.tooOld():
		return None, upgradeMirror
	case f.Mirror.Config.ServerVersion().TTLUpdate() == stream.UpdateRefused:
		return Recreate, ""
	}
	return "", ""
}

// choseNoTTL reports whether the mirror has no per-key TTL because a flag said so.
func (f Facts) choseNoTTL() bool {
	return !f.Mirror.Config.AllowMsgTTL && kvcfg.IsChosen(f.Mirror.Config, "allow_msg_ttl")
}

// tooOld reports whether the mirror's server does not support per-key TTL.
func (f Facts) tooOld() bool { return f.Level != nil && *f.Level < stream.TTLAPILevel }

func ttlOriginOff(f Facts, _ Thresholds) (Severity, string) {
	if !f.onlyMirrorHasTTL() || kvcfg.IgnoresTTL(f.Origin.Config) {
		return none()
	}
	return found(OK, "the mirror has per-key TTL and the origin does not, which does no harm: no TTL comes from there")
}

func ttlOriginIgnored(f Facts, _ Thresholds) (Severity, string) {
	if !f.onlyMirrorHasTTL() || !f.differs("allow_msg_ttl") {
		return none()
	}
	return found(Warning, "the origin's server is older than 2.11 and ignores TTLs: a key with a TTL stays there and disappears here")
}

func (f Facts) onlyMirrorHasTTL() bool {
	return f.Origin != nil && !f.Origin.Config.AllowMsgTTL && f.Mirror.Config.AllowMsgTTL
}

func ttlLostAbove(f Facts, _ Thresholds) (Severity, string) {
	if f.Origin == nil {
		return none()
	}
	// From the origin upwards: a bucket with TTL needs it in each one below.
	below := f.Origin
	for _, above := range f.Above {
		if above.Config.AllowMsgTTL && !below.Config.AllowMsgTTL {
			return found(Critical, "per-key TTL is lost above: bucket %q at %q has it, and its mirror %q at %q does not",
				kvcfg.DisplayName(above.Config.Name), above.Prefix, kvcfg.DisplayName(below.Config.Name), below.Prefix)
		}
		below = above
	}
	return none()
}

func chainUnreadable(f Facts, _ Thresholds) (Severity, string) {
	if f.AboveUnreadable == "" {
		return none()
	}
	// Per-key TTL can be lost only below an origin that has it: where the last one that
	// was read has it, nothing is lost.
	last := f.Origin
	if n := len(f.Above); n > 0 {
		last = f.Above[n-1]
	}
	severity := Unknown
	if last != nil && last.Config.AllowMsgTTL {
		severity = OK
	}
	return found(severity, "the origin is a mirror itself, and what it mirrors cannot be read: %s", f.AboveUnreadable)
}

func originRaisesTTL(f Facts, _ Thresholds) (Severity, string) {
	if !f.originRaisesTTL() {
		return none()
	}
	return found(Warning, "%s", RaisesTTL(f.Origin.Config))
}

// RaisesTTL says what an origin does that [stream.Config.RaisesTTL].
func RaisesTTL(origin stream.Config) string {
	return fmt.Sprintf("the origin's server %v keeps a key with a TTL below %v, that of its limit markers, for that long, and the mirror only for its TTL",
		origin.ServerVersion(), origin.SubjectDeleteMarkerTTL)
}

// originRaisesTTL reports whether the mirror drops what its origin serves, because the
// origin's server keeps it longer than it says.
func (f Facts) originRaisesTTL() bool {
	return f.Origin != nil && f.Mirror.Config.AllowMsgTTL && f.Origin.Config.RaisesTTL()
}

func serverTooOld(f Facts, _ Thresholds) (Severity, string) {
	if !f.originHasTTL() || !f.tooOld() || f.choseNoTTL() {
		return none()
	}
	return found(Critical, "the mirror's server is older than 2.11 and does not support per-key TTL")
}

func serverKeepsExpired(f Facts, _ Thresholds) (Severity, string) {
	v := f.Mirror.Config.ServerVersion()
	if !f.originHasTTL() || f.choseNoTTL() {
		return none()
	}
	switch {
	case v.TTLUpdate() == stream.UpdateCleans,
		v.TTLUpdate() == stream.UpdatePartly && f.Mirror.Config.Storage != "file":
		return none()
	case v.TTLUpdate() == stream.UpdateRefused && f.Mirror.Config.AllowMsgTTL:
		return none() // it was created with per-key TTL, and works
	case v.TTLUpdate() == stream.UpdateRefused:
		return found(Warning, "server %v cannot turn per-key TTL on for an existing mirror", v)
	case f.Mirror.Config.AllowMsgTTL:
		return found(OK, "if per-key TTL was turned on after the mirror was created, server %v keeps what the mirror held then", v)
	}
	return found(Warning, "server %v keeps what the mirror holds when per-key TTL is turned on", v)
}
