package stream

import (
	"fmt"
	"strconv"
	"strings"
)

// TTLAPILevel is the JetStream API level from which on streams can have
// per-message TTL (ADR-43, ADR-44): server 2.11.
const TTLAPILevel = 1

// Version is a nats-server version; the zero value is an unknown one.
type Version struct{ Major, Minor, Patch int }

// ParseVersion reads "2.11.6", also with a leading v or a suffix as in
// "2.15.0-RC.1"; anything else is the zero Version.
func ParseVersion(s string) Version {
	s = strings.TrimPrefix(s, "v")
	if i := strings.IndexAny(s, "-+"); i >= 0 {
		s = s[:i]
	}
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return Version{}
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 {
			return Version{}
		}
		n[i] = v
	}
	return Version{n[0], n[1], n[2]}
}

// String is the version as the server spells it, or "unknown".
func (v Version) String() string {
	if v == (Version{}) {
		return "unknown"
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}

// TTLUpdate is what a server does with an existing mirror on which per-key TTL
// is turned on.
type TTLUpdate int

// The behaviours, as measured on real servers.
const (
	// UpdateCleans: expired messages are gone before the reply (2.12 and later;
	// nats-server pull request 7117), or the version is unknown.
	UpdateCleans TTLUpdate = iota
	// UpdateRefused: the server answers 10052 (2.11.0 and 2.11.1).
	UpdateRefused
	// UpdateAfterRestart: accepted and echoed, but nothing expires until the
	// server has been restarted (2.11.2 to 2.11.4). What was stored before stays
	// even then where the server was shut down in order, because the counts of
	// TTLs that it saved are 0 (server/filestore.go, recoverTTLState).
	UpdateAfterRestart
	// UpdateNewOnly: what comes from then on expires, what was stored before
	// does not (2.11.5 and 2.11.6).
	UpdateNewOnly
	// UpdatePartly: memory streams are cleaned, file streams only in the blocks
	// that the server happens to read again (2.11.7 and later 2.11).
	UpdatePartly
)

// TTLUpdate is what a server of this version does.
func (v Version) TTLUpdate() TTLUpdate {
	if v.Major != 2 || v.Minor != 11 {
		return UpdateCleans
	}
	switch {
	case v.Patch <= 1:
		return UpdateRefused
	case v.Patch <= 4:
		return UpdateAfterRestart
	case v.Patch <= 6:
		return UpdateNewOnly
	}
	return UpdatePartly
}

// RaisesTTL says whether a server of this version may keep a message longer than the TTL
// in its header says: one with a TTL below that of the limit markers, where a key can
// have several messages. It expires as late as the markers do, and the header stays as
// it was until 2.11.9 (server/stream.go, processJetStreamMsg), so that a mirror drops
// what the origin serves.
func (v Version) RaisesTTL() bool { return v.Major == 2 && v.Minor == 11 && v.Patch <= 8 }

// RaisesTTL says whether the stream may keep messages longer than their headers say; see
// [Version.RaisesTTL].
func (c Config) RaisesTTL() bool {
	return c.AllowMsgTTL && c.SubjectDeleteMarkerTTL > 0 && c.MaxMsgsPerSubject != 1 && c.ServerVersion().RaisesTTL()
}

// PromoteAPILevel is the JetStream API level from which on a mirror can be made
// a stream of its own by an update: server 2.12. Older ones answer 10055
// (server/stream.go, configUpdateCheck).
const PromoteAPILevel = 2

// CanPromote says whether a server of this version can make a mirror a stream of
// its own; ok is false when the version is not known.
func (v Version) CanPromote() (can, ok bool) {
	return v.Major > 2 || v.Major == 2 && v.Minor >= 12, v != Version{}
}

// VersionKey is the metadata key under which servers from 2.11 on say their
// version (ADR-44).
const VersionKey = ReservedMetadata + "ver"

// ServerVersion is the version of the server that hosts the stream, as told in
// its metadata; zero before 2.11.
func (c Config) ServerVersion() Version { return ParseVersion(c.Metadata[VersionKey]) }
