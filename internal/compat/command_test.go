//go:build faults

package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// outcome is what a command came to.
type outcome struct {
	Exit   int
	Action string
	Kind   string // of the error, empty without one
}

// document is as much of the command's JSON as is looked at here.
type document struct {
	Did       string `json:"action"`
	PerKeyTTL *bool  `json:"per_key_ttl"`
	Origin    *struct {
		LeftOver *uint64 `json:"left_over"`
	} `json:"origin"`
	Warnings []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint"`
	} `json:"warnings"`
	Error *struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
		Hint    string `json:"hint"`
	} `json:"error"`
	Mirrors []struct {
		Bucket   string      `json:"bucket"`
		Action   string      `json:"action"`
		Content  *comparison `json:"content"`
		Findings []struct {
			Code     string   `json:"code"`
			Severity string   `json:"severity"`
			Fix      []string `json:"fix"`
			Advice   string   `json:"advice"`
		} `json:"findings"`
	} `json:"mirrors"`
}

// result is one run of the command.
type result struct {
	outcome
	document
	stdout, stderr string
}

// run runs the real command at the leaf, with --json.
func (b *binaries) run(ctx context.Context, t *testing.T, p *pair, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(ctx, b.command, append(args, "--json", "--no-context", "--timeout", longTimeout.String(), "--server", p.leaf.url())...)
	cmd.Env = append(os.Environ(), "NATS_URL=", "NATS_CONTEXT=", "LLMFORMAT=", "TESTING=", "XDG_CACHE_HOME="+t.TempDir())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", args, err)
	}
	r := result{stdout: stdout.String(), stderr: stderr.String()}
	if err := json.Unmarshal(stdout.Bytes(), &r.document); err != nil {
		t.Fatalf("%v: %v in %q; stderr: %s", args, err, r.stdout, r.stderr)
	}
	r.outcome = outcome{Exit: cmd.ProcessState.ExitCode(), Action: r.Did}
	if r.Error != nil {
		r.Kind = r.Error.Kind
		// The reason is this program's, not the server's code.
		if strings.Contains(r.Error.Message, "(10") {
			t.Errorf("%v: the user is told the server's code: %s", args, r.Error.Message)
		}
	}
	return r
}

// codes are the codes of what was found on a bucket and is no mere remark,
// sorted.
func (r result) codes(bucket string) []string {
	codes := []string{}
	for _, m := range r.Mirrors {
		for _, f := range m.Findings {
			if m.Bucket == bucket && f.Severity != "ok" {
				codes = append(codes, f.Code)
			}
		}
	}
	slices.Sort(codes)
	return codes
}

// warnsOf says whether there is a warning with this code.
func (r result) warnsOf(code string) bool {
	for _, w := range r.Warnings {
		if w.Code == code {
			return true
		}
	}
	return false
}

// fix is what is said to fix a finding on a bucket.
func (r result) fix(bucket, code string) string {
	for _, m := range r.Mirrors {
		for _, f := range m.Findings {
			if m.Bucket == bucket && f.Code == code {
				return strings.TrimSpace(strings.Join(f.Fix, " ") + " " + f.Advice)
			}
		}
	}
	return ""
}
