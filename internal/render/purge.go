package render

import (
	"fmt"
	"io"
	"strings"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// Purges writes what is to be purged from mirrors, and what is wrong besides.
func Purges(w io.Writer, members []mirror.Member, style Style) error {
	for _, m := range members {
		if err := Contents(w, []mirror.Member{m}, style); err != nil {
			return err
		}
		var b strings.Builder
		if m.Purge != nil && m.Purge.Messages > 0 {
			fmt.Fprintf(&b, "- purge %s of %s\n", counted(m.Purge.Messages, "message"), counted(m.Purge.Keys, "key"))
		}
		if m.Purge != nil && m.Purge.Gone > 0 {
			fmt.Fprintf(&b, "! %s gone at the origin without a trace: the mirror may hold the last copies\n", are(m.Purge.Gone))
		}
		if m.Purge != nil && m.Purge.UnpurgeableKeys > 0 {
			b.WriteString(unpurgeable(m.Purge))
		}
		if m.Note != "" {
			fmt.Fprintf(&b, "! %s\n", Clean(m.Note))
		}
		if m.Failure != nil {
			fmt.Fprintf(&b, "! %s\n", Clean(m.Failure.Message))
		}
		for _, f := range m.Findings {
			if f.Severity != check.OK && f.Code != "left-over" {
				b.WriteString(finding(f, fixOf(f)))
			}
		}
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}

// are is so many messages and what they do.
func are(n uint64) string {
	if n == 1 {
		return "1 message is"
	}
	return counted(n, "message") + " are"
}

// unpurgeable is a line about the keys that are left alone.
func unpurgeable(p *mirror.Purge) string {
	text := "! " + counted(p.UnpurgeableKeys, "key") + " are left alone, because a purge would remove more than what is left over, or another key"
	if p.UnpurgeableKeys == 1 {
		text = strings.Replace(text, " are ", " is ", 1)
	}
	if n := len(p.Unpurgeable); n > 0 && n < p.UnpurgeableKeys {
		text += "; the first are"
	}
	if len(p.Unpurgeable) > 0 {
		text += ": " + Clean(strings.Join(p.Unpurgeable, ", "))
	}
	return text + "\n"
}

// finding is a line about a finding and what fixes it.
func finding(f check.Finding, fix string) string {
	text := "! " + f.Code + ": " + Clean(f.Message)
	if fix != "" {
		text += "; fix: " + fix
	}
	return text + "\n"
}

// fixOf is what is to be done about a finding: the command, and other advice.
func fixOf(f check.Finding) string {
	var parts []string
	if len(f.Fix) > 0 {
		parts = append(parts, "run `"+CommandLine(f.Fix)+"`")
	}
	if f.Advice != "" {
		parts = append(parts, f.Advice)
	}
	return Clean(strings.Join(parts, "; "))
}
