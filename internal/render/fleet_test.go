package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
)

const nasty = "a\x1b[31m\u202e\n\"b"

// members are mirrors in all states.
func members() []mirror.Member {
	finding := func(code string, s check.Severity, remedy check.Remedy) check.Finding {
		f := check.Finding{Code: code, Severity: s, Message: "the words of " + code, Remedy: remedy, Fix: []string{}}
		if remedy == check.Repair {
			f.Fix = []string{"nats", "kvmirror", "repair", nasty}
		} else {
			f.Advice = "do something about " + code
		}
		return f
	}
	origin := func(bucket, prefix string) mirror.MemberOrigin {
		return mirror.MemberOrigin{Domain: "hub", Bucket: bucket, Stream: "KV_" + bucket, APIPrefix: prefix, Reachable: true, PerKeyTTL: new(true), LastSeq: new(uint64(2000))}
	}
	return []mirror.Member{
		{
			Domain: "ksds", Bucket: "broken", Stream: "KV_broken", Origin: origin("demo", "$JS.hub.API"), Values: 1234, Bytes: 5 << 20, LastSeq: 1900,
			Behind: new(uint64(100)), Active: new(mirror.Seconds(1500 * time.Millisecond)), State: check.Critical,
			Findings: []check.Finding{finding("ttl-off", check.Critical, check.Repair), finding("stops-when-full", check.Warning, check.None), finding("discard-old", check.OK, check.None)},
			Changes:  []kvcfg.Change{{Field: "allow_msg_ttl", From: json.RawMessage("false"), To: json.RawMessage("true"), Source: kvcfg.FromOrigin}},
			Action:   mirror.WouldUpdate,
		},
		{
			Bucket: "far", Stream: "KV_far", Origin: mirror.MemberOrigin{Bucket: "demo", Stream: "KV_demo", APIPrefix: "JS.A.API"}, PerKeyTTL: true,
			State: check.Unknown, Findings: []check.Finding{{Code: "origin-unreachable", Severity: check.Unknown, Message: "the words of origin-unreachable", Remedy: check.None, Advice: "do something about origin-unreachable", Fix: []string{}}},
		},
		{
			Bucket: nasty, Stream: "KV_" + nasty, Origin: mirror.MemberOrigin{Bucket: nasty, Stream: "KV_" + nasty, APIPrefix: nasty}, State: check.Warning,
			Findings: []check.Finding{{Code: "mirror-error", Severity: check.Warning, Message: nasty + " | x=1", Remedy: check.None, Advice: nasty, Fix: []string{nasty}}},
		},
		{
			Domain: "ksds", Bucket: "fine", Stream: "KV_fine", Origin: origin("demo", "$JS.hub.API"), PerKeyTTL: true, Values: 2, Bytes: 80, LastSeq: 2000,
			Behind: new(uint64(0)), LeftOver: new(uint64(0)), Missing: new(uint64(0)), Active: new(mirror.Seconds(350 * time.Millisecond)), State: check.OK, Findings: []check.Finding{finding("discard-old", check.OK, check.None)},
		},
	}
}

// harmless fails when a text could do something to a terminal.
func harmless(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("a control character is written:\n%q", text)
	}
}

func listed(t *testing.T, style Style) string {
	t.Helper()
	var b strings.Builder
	if err := List(&b, members(), style); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestList(t *testing.T) {
	for _, format := range []string{"", "csv", "tsv", "md"} {
		t.Run("as "+format, func(t *testing.T) {
			human(t)
			t.Setenv("NATS_TABLE_FORMAT", format)
			text := listed(t, Style{})
			if format != "" && listed(t, Style{Terminal: true, Width: 60}) != text {
				t.Errorf("a terminal has another %s", format)
			}
			harmless(t, text)
			golden(t, strings.TrimSuffix("list-"+format, "-"), text)
		})
	}
	t.Run("for models", func(t *testing.T) {
		human(t)
		t.Setenv("LLMFORMAT", "1")
		golden(t, "list-md", listed(t, Style{}))
		golden(t, "list-md", listed(t, Style{Terminal: true, ColorScheme: "red"}))
	})
}

// On a terminal what needs attention has its color, and nothing is wider than
// the terminal.
func TestListOnTerminal(t *testing.T) {
	human(t)
	t.Setenv("NATS_TABLE_FORMAT", "")
	text := listed(t, Style{Terminal: true})
	for _, want := range []string{"\x1b[31mcritical: ttl-off, stops-when-full\x1b[0m", "\x1b[33munknown: origin-unreachable\x1b[0m", "\x1b[33mwarning: mirror-error\x1b[0m", " ok "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b[31mok") {
		t.Error("what is fine has a color")
	}
}

// A table is never wider than the terminal: first columns go that matter less, and what is
// left is shortened so that it can be told apart.
func TestListFits(t *testing.T) {
	human(t)
	t.Setenv("NATS_TABLE_FORMAT", "")
	all := members()
	for _, end := range []string{"east", "west"} {
		m := all[0]
		m.Bucket, m.Several = strings.Repeat("orders-", 10)+end, true
		all = append(all, m)
	}
	for _, width := range []int{40, 50, 60, 80, 100, 120, 200, 300} {
		var b strings.Builder
		if err := List(&b, all, Style{Terminal: true, Width: width}); err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer("\x1b[31m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(b.String())
		harmless(t, text)
		for line := range strings.Lines(text) {
			if n := len([]rune(line)) - 1; n > width {
				t.Errorf("a line of %d characters on a terminal of %d: %q", n, width, line)
			}
		}
		if width >= 80 {
			for _, want := range []string{"east ", "west ", " critical: ttl-of", " Domain ", " demo (hub) "} {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not on a terminal of %d characters:\n%s", want, width, text)
				}
			}
		}
		if width == 80 {
			golden(t, "list-80", text)
		}
		if width == 300 && strings.Contains(text, "…") {
			t.Errorf("a wide terminal shortens:\n%s", text)
		}
	}
}

// fixer names what it is asked about.
func fixer(f check.Finding, of []mirror.Member) []string {
	var names []string
	for _, m := range of {
		names = append(names, m.Bucket)
	}
	return []string{strings.TrimSpace("fix " + f.Code + " " + strings.Join(names, " "))}
}

func TestMemberChanges(t *testing.T) {
	var b strings.Builder
	all := members()
	// A finding that an update fixes, and of which nothing is to be done now.
	all[3].Findings = append(all[3].Findings, check.Finding{Code: "rollup-off", Severity: check.Warning, Message: "roll-ups are off", Remedy: check.Repair})
	if err := MemberChanges(&b, append(all, mirror.Member{Bucket: "nothing", State: check.OK}), fixer); err != nil {
		t.Fatal(err)
	}
	harmless(t, b.String())
	golden(t, "member-changes", b.String())
}

// Mirrors of which the same is to be changed stand in one line, and so does what is to be
// done about them besides.
func TestMemberChangesTogether(t *testing.T) {
	var all []mirror.Member
	for i := range 43 {
		m := members()[0]
		m.Bucket, m.Domain, m.Several = fmt.Sprintf("m%02d", i), []string{"east", "west"}[i%2], true
		switch i {
		case 40: // alone in what is to be changed
			m.Changes = append(m.Changes, kvcfg.Change{Field: "max_age", From: json.RawMessage("0"), To: json.RawMessage("3600000000000")})
		case 41, 42: // and of these nothing is
			m.Changes = nil
		}
		all = append(all, m)
	}
	var b strings.Builder
	if err := MemberChanges(&b, all, fixer); err != nil {
		t.Fatal(err)
	}
	golden(t, "member-changes-together", b.String())
	if want := "40 mirrors: allow_msg_ttl false → true: m00 (east), m01 (west), "; !strings.HasPrefix(b.String(), want) || !strings.Contains(b.String(), " … and 32 more\n") {
		t.Errorf("%q does not begin with %q", b.String(), want)
	}
}

func TestFleetWriteErrors(t *testing.T) {
	chained := []mirror.Member{chain(mirror.Node{Bucket: "a"}, mirror.Node{Bucket: "b"})}
	for name, err := range map[string]error{
		"list":    List(broken{}, members(), Style{}),
		"changes": MemberChanges(broken{}, members(), fixer),
		"tree":    Tree(broken{}, chained, Style{}),
		"dot":     Dot(broken{}, chained),
	} {
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v, want %v", name, err, io.ErrClosedPipe)
		}
	}
}

// The document has all of its fields, with empty lists as [] and unknown values
// as null.
func TestFleetJSON(t *testing.T) {
	var b strings.Builder
	status := check.Critical
	f := mirror.Fleet{Action: mirror.Checked, Status: &status, Mirrors: members(), Problems: []string{nasty}, Warnings: mirror.Warnings{{Code: "a", Message: "<&>"}}}
	if err := JSON(&b, f); err != nil {
		t.Fatal(err)
	}
	harmless(t, strings.ReplaceAll(b.String(), "\u202e", "")) // JSON has no need to escape it
	golden(t, "fleet.json", b.String())

	b.Reset()
	if err := JSON(&b, mirror.Fleet{Action: mirror.Listed}); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`"domains": []`, `"mirrors": []`, `"findings": []`, `"problems": []`, `"warnings": []`, `"status": null`, `"error": null`} {
		if !strings.Contains(b.String(), field) {
			t.Errorf("%s is not in:\n%s", field, b.String())
		}
	}
}
