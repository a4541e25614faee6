package main

import (
	"runtime/debug"
	"testing"
)

func TestVersion(t *testing.T) {
	const revision = "0123456789abcdef0123456789abcdef01234567"
	settings := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: revision}, {Key: "vcs.time", Value: "2026-11-23T21:45:00Z"}, {Key: "vcs.modified", Value: modified}}
	}
	for _, c := range []struct {
		release, module string
		settings        []debug.BuildSetting
		want, date      string
	}{
		{"", "(devel)", nil, "development", ""},
		{"", "", nil, "development", ""},
		{"", "v1.2.3", nil, "v1.2.3", ""}, // go install …@v1.2.3
		{"", "v0.0.0-20261123214500-0123456789ab+dirty", settings("true"), "development (0123456789ab, modified)", "2026-11-23"},
		{"1.2.3", "(devel)", settings("false"), "1.2.3 (0123456789ab)", "2026-11-23"},
		{"1.2.3", "v1.2.2-0.20261123214500-0123456789ab", settings("true"), "1.2.3 (0123456789ab, modified)", "2026-11-23"},
		{"1.2.3", "", nil, "1.2.3", ""},
	} {
		b := buildOf(c.release, &debug.BuildInfo{Main: debug.Module{Version: c.module}, Settings: c.settings})
		if b.String() != c.want || b.date != c.date {
			t.Errorf("release %q, module %q: %q of %q, want %q of %q", c.release, c.module, b, b.date, c.want, c.date)
		}
	}
}
