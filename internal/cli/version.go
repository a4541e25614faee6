package cli

import (
	"cmp"
	"fmt"
	goruntime "runtime"
	"runtime/debug"
	"strings"
)

// These are set by the linker in release builds (.goreleaser.yaml). What Go
// itself records lacks the revision in a worktree, and depends on the tags that
// a clone has.
var (
	release   string // the version
	revision  string // the commit
	committed string // when the commit was made, as 2026-11-23T21:45:00Z
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
		return newBuild(release, revision, modified, committed)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildOf(info)
}

// newBuild takes the commit, whether it was modified and its time as Go records
// them.
func newBuild(version, revision, modified, committed string) build {
	day, _, _ := strings.Cut(committed, "T")
	return build{version: version, revision: revision[:min(len(revision), 12)], modified: modified == "true", date: day}
}

// buildOf is the build as Go records it.
func buildOf(info *debug.BuildInfo) build {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	b := newBuild(info.Main.Version, settings["vcs.revision"], settings["vcs.modified"], settings["vcs.time"])
	if b.version == "(devel)" || b.revision != "" && strings.Contains(b.version, b.revision) {
		b.version = "" // it says no more than the revision
	}
	b.version = cmp.Or(b.version, "development")
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

// versionLine is what --version prints: name, version, revision, Go and platform.
func (b build) versionLine() string {
	return fmt.Sprintf("%s %v %s %s/%s", appName, b, goruntime.Version(), goruntime.GOOS, goruntime.GOARCH)
}
