package cli

import (
	"context"
	"fmt"
	"strings"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitDifferences = 2
	exitUnknown     = 3
)

// finish shows how a command on one bucket failed, if it did, writes the document
// and returns the exit code.
func (rt *runtime) finish(r mirror.Report, err error) int {
	var code int
	r.Type = rt.documentType()
	r.Action, r.Error, code = rt.outcome(r.Action, err)
	rt.addHints(r.Warnings)
	return rt.document(r, r.Action, code)
}

// finishFleet is finish for a command on many mirrors.
func (rt *runtime) finishFleet(f mirror.Fleet, err error) int {
	var code int
	f.Type = rt.documentType()
	f.Action, f.Error, code = rt.outcome(f.Action, err)
	rt.complete(&f)
	return rt.document(f, f.Action, code)
}

// outcome is what a command that did something, or failed to, came to: the
// action, the failure if there is one, and the exit code.
func (rt *runtime) outcome(done mirror.Action, err error) (mirror.Action, *mirror.Failure, int) {
	code, failed := rt.verdict(err)
	switch {
	case failed != nil && failed.Kind == mirror.ErrOutcomeUnknown:
		return mirror.Unknown, failed, code
	case failed != nil && code == exitDifferences:
		return done, failed, code
	case failed != nil:
		return mirror.Failed, failed, code
	case done.Planned():
		return done, nil, exitDifferences
	}
	return done, nil, code
}

// verdict says on stderr why a command failed, and returns the exit code and
// the failure for its document; nil when it did not fail.
func (rt *runtime) verdict(err error) (int, *mirror.Failure) {
	if err == nil {
		return exitOK, nil
	}
	f := rt.explain(err)
	fmt.Fprintf(rt.Err, "%s: error: %s\n", appName, render.Clean(f.Error()))
	if f.usage != "" {
		fmt.Fprintln(rt.Err, f.usage)
	}
	rt.showHints(f.hint)
	return rt.exitCode(err, f.kind), &mirror.Failure{Kind: f.kind, Message: f.Error(), Hint: f.hint}
}

// showHints writes hints, line by line.
func (rt *runtime) showHints(hints string) {
	for line := range strings.Lines(hints) {
		mark := "hint: "
		if strings.HasPrefix(line, "  ") {
			mark = "" // to be pasted
		}
		fmt.Fprintf(rt.Err, "%s%s\n", mark, render.Clean(strings.TrimSuffix(line, "\n")))
	}
}

// documentType is the type of the run's document: the version of all documents, and the
// command, or error where the command line names none that has a document.
func (rt *runtime) documentType() string {
	const version = "nats-kvmirror/v1/"
	switch rt.name {
	case "add", "edit", "info", "ls", "check", "repair", "prune", "recreate", "promote":
		return version + rt.name
	}
	return version + "error"
}

// document writes the JSON document if one is wanted, and returns the code, or
// a failure's when it cannot be written.
func (rt *runtime) document(doc any, done mirror.Action, code int) int {
	if !rt.json {
		return code
	}
	if err := render.JSON(rt.stdout, doc); err != nil {
		if done.Wrote() {
			err = fmt.Errorf("what was %s cannot be shown: %w", done, err)
		}
		fmt.Fprintf(rt.Err, "%s: error: %v\n", appName, err)
		return max(code, exitFailed)
	}
	return code
}

// addHints fills in the hints of warnings for a document.
func (rt *runtime) addHints(all mirror.Warnings) {
	for i := range all {
		all[i].Hint = rt.hints(all[i].Advice)
	}
}

// complete fills in what the surface says of many mirrors: what fixes a finding, why a
// mirror failed, and hints.
func (rt *runtime) complete(f *mirror.Fleet) {
	rt.addHints(f.Warnings)
	rt.fixAll(f.Findings, "")
	for i := range f.Mirrors {
		m := &f.Mirrors[i]
		in := rt.in(m.Domain)
		in.fixAll(m.Findings, m.Bucket)
		if m.Err != nil {
			m.Failure = in.failed(m.Err)
		}
	}
}

// fixAll says what fixes the findings of a mirror; "" for the fleet as a whole.
func (rt *runtime) fixAll(findings []check.Finding, bucket string) {
	for i := range findings {
		findings[i].Fix = rt.fix(findings[i], bucket)
	}
}

// warn shows warnings from one on, unless they end up in a JSON document, and returns
// how many there are.
func (rt *runtime) warn(all mirror.Warnings, from int) int {
	if !rt.json {
		for _, w := range all[from:] {
			fmt.Fprintf(rt.Err, "warning: %s\n", render.Clean(w.Message))
			rt.showHints(rt.hints(w.Advice))
		}
	}
	return len(all)
}

// say writes a line of the result, which a JSON document says otherwise.
func (rt *runtime) say(format string, a ...any) {
	if !rt.json {
		fmt.Fprintln(rt.Out, render.Clean(fmt.Sprintf(format, a...)))
	}
}

// space separates what was written from what comes.
func (rt *runtime) space() { rt.say("") }

// show writes the bucket's block.
func (rt *runtime) show(r mirror.Report, heading string) error {
	if rt.json {
		return nil
	}
	err := render.Text(rt.Out, r, heading, rt.style)
	if err != nil && r.Action.Wrote() {
		return fmt.Errorf("bucket %q was %s, and cannot be shown: %w", r.Bucket, r.Action, err)
	}
	return err
}

// showPlan writes what is planned; when stdout takes no text, only for a person who is
// about to be asked, on stderr.
func (rt *runtime) showPlan(asking bool, write func(w writer) error) error {
	switch {
	case !rt.json && !rt.quiet:
		return write(rt.Out)
	case asking:
		return write(rt.Err)
	}
	return nil
}

// confirm asks whether to go on; no is said to change nothing.
func (rt *runtime) confirm(ctx context.Context, question, no string) (bool, error) {
	yes, err := rt.prompt.Confirm(ctx, question, rt.style.ColorScheme)
	if err == nil && !yes {
		rt.say("%s", no)
	}
	return yes, err
}

// consent is how a command may change things.
type consent struct {
	force  bool // without asking
	dryRun bool // not at all
}

// asks says whether a question is to be asked.
func (c consent) asks() bool { return !c.force && !c.dryRun }

// applier is a plan for one bucket.
type applier interface {
	Apply(ctx context.Context) (*mirror.Report, error)
}

// carryOut asks the question, if there is one to be asked, and carries a plan out.
// What is planned was shown already. shown is how many of the report's warnings were.
func (rt *runtime) carryOut(ctx context.Context, p applier, planned *mirror.Report, c consent, question string) (mirror.Report, error) {
	shown := rt.warn(planned.Warnings, 0)
	if c.dryRun {
		return *planned, nil
	}
	if c.asks() && question != "" {
		yes, err := rt.confirm(ctx, question, fmt.Sprintf("Bucket %s was not changed", planned.Bucket))
		if err != nil || !yes {
			planned.Action = mirror.Unchanged
			return *planned, err
		}
	}
	r, err := p.Apply(ctx)
	rt.warn(r.Warnings, shown)
	return *r, err
}
