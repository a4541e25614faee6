package render

import (
	"fmt"
	"io"
	"strings"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// nagiosFindings is how many findings of a severity a line for a monitoring
// plugin names; the rest is counted.
const nagiosFindings = 20

// Nagios writes the result of a check as the one line of a monitoring plugin: status, what
// is wrong, the worst first, and after a bar the numbers, which end with their thresholds.
// It is written here because jsm.go's knows no UNKNOWN.
func Nagios(w io.Writer, f mirror.Fleet, t check.Thresholds) error {
	status := statusOf(f)
	text := fmt.Sprintf("%s %s", strings.ToUpper(string(status)), tally(f, status, ""))
	var last check.Severity
	shown := map[check.Severity]int{}
	left := map[check.Severity]int{}
	all := groups(f)
	for _, g := range all {
		if shown[g.Severity]++; shown[g.Severity] > nagiosFindings {
			left[g.Severity]++
		}
	}
	clear(shown)
	for _, g := range all {
		switch shown[g.Severity]++; {
		case shown[g.Severity] == nagiosFindings+1:
			text += fmt.Sprintf("; and %d more", left[g.Severity])
			continue
		case shown[g.Severity] > nagiosFindings:
			continue
		}
		text += "; "
		if g.Severity != last {
			text += string(g.Severity) + ": "
			last = g.Severity
		}
		text += g.String()
		if len(g.of) > 1 {
			text += ": " + names(g.of)
		}
	}
	// What follows a bar is data.
	_, err := fmt.Fprintf(w, "%s | %s\n", strings.ReplaceAll(text, "|", `\x7c`), nagiosNumbers(f, t))
	return err
}

// nagiosNumbers are how many mirrors are in which state, and how far behind they are.
func nagiosNumbers(f mirror.Fleet, t check.Thresholds) string {
	n := numbersOf(f)
	return fmt.Sprintf("mirrors=%d ok=%d warning=%d critical=%d unknown=%d behind_max=%d;%d;%d",
		len(f.Mirrors), n.in[check.OK], n.in[check.Warning], n.in[check.Critical], n.in[check.Unknown]+n.unread, n.behind, t.LagWarn, t.LagCritical)
}

// numbers are how many mirrors are in which state, how many domains could not be read, and
// how many messages the last of the mirrors is behind.
type numbers struct {
	in     map[check.Severity]int
	unread int
	behind uint64
}

func numbersOf(f mirror.Fleet) numbers {
	n := numbers{in: map[check.Severity]int{}}
	for _, m := range f.Mirrors {
		n.in[m.State]++
		if m.Behind != nil {
			n.behind = max(n.behind, *m.Behind)
		}
	}
	n.in[check.Unknown] += f.Unread
	for _, d := range f.Domains {
		if d.Problem != "" {
			n.unread++
		}
	}
	return n
}
