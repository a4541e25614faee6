package cli

import (
	"cmp"
	"runtime/debug"
	"strings"
)

// These are set by the linker in release builds (internal/release). What Go
// itself records lacks the revision in a worktree, and depends on the tags that
// a clone has.
var (
	release   string // the version
	revision  string // the commit
	committed string // the day of the commit, as 2026-11-23
	modified  string // "true" when files differed from the commit
)

// build is what this program was built from, as far as it is known.
type build struct {
	version  string // the release, or "development"
	revision string // the first 12 digits of the commit
	modified bool   // files differed from the commit
	date     string // of the commit, as 2026-11-23
}

// thisBuild is the build of this program.
func thisBuild() build {
	if release != "" {
		return build{version: release, revision: short(revision), modified: modified == "true", date: committed}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildOf(info)
}

func short(revision string) string { return revision[:min(len(revision), 12)] }

// buildOf is the build as Go records it.
func buildOf(info *debug.BuildInfo) build {
	var b build
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.revision = short(s.Value)
		case "vcs.modified":
			b.modified = s.Value == "true"
		case "vcs.time":
			b.date, _, _ = strings.Cut(s.Value, "T")
		}
	}
	module := info.Main.Version
	if module == "(devel)" || b.revision != "" && strings.Contains(module, b.revision) {
		module = "" // it says no more than the revision
	}
	b.version = cmp.Or(module, "development")
	return b
}

// String is the version and, when known, the revision.
func (b build) String() string {
	switch {
	case b.revision == "":
		return b.version
	case b.modified:
		return b.version + " (" + b.revision + ", modified)"
	}
	return b.version + " (" + b.revision + ")"
}

// version is the release and, when known, the revision that it was built from.
func version() string { return thisBuild().String() }
