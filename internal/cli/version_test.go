package cli

import (
	goruntime "runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	const revision = "0123456789abcdef0123456789abcdef01234567"
	settings := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: revision}, {Key: "vcs.time", Value: "2026-11-23T21:45:00Z"}, {Key: "vcs.modified", Value: modified}}
	}
	for _, c := range []struct {
		module     string
		settings   []debug.BuildSetting
		want, date string
	}{
		{"(devel)", nil, "development", ""},
		{"", nil, "development", ""},
		{"v1.2.3", nil, "v1.2.3", ""}, // go install …@v1.2.3
		{"(devel)", settings("false"), "development (0123456789ab)", "2026-11-23"},
		{"v0.0.0-20261123214500-0123456789ab+dirty", settings("true"), "development (0123456789ab, modified)", "2026-11-23"},
	} {
		b := buildOf(&debug.BuildInfo{Main: debug.Module{Version: c.module}, Settings: c.settings})
		if line := b.versionLine(); !strings.HasPrefix(line, "nats-kvmirror "+c.want+" go1.") || !strings.HasSuffix(line, " "+goruntime.GOOS+"/"+goruntime.GOARCH) {
			t.Errorf("module %q: --version is %q", c.module, line)
		}
		if b.String() != c.want || b.date != c.date {
			t.Errorf("module %q: %q of %q, want %q of %q", c.module, b, b.date, c.want, c.date)
		}
	}
}
