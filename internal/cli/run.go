package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/choria-io/fisk"
	"golang.org/x/term"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitDifferences = 2
	exitUnknown     = 3
)

// streams are where a run reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// isTerminal says whether a stream is one.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// style is how text on stdout is to look.
func (rt *runtime) style(scheme string) render.Style {
	style := render.Style{ColorScheme: scheme, Terminal: isTerminal(rt.Out)}
	if style.Terminal {
		if width, _, err := term.GetSize(int(rt.Out.(*os.File).Fd())); err == nil {
			style.Width = width
		}
	}
	return style
}

// runtime is what every command works with.
type runtime struct {
	Streams
	globals globals
	prompt  prompter
	json    bool
	log     *log.Logger // for --trace
}

// run is the whole program but for the process: it parses args, runs the
// command that they name and returns the exit code. ctx ends on an interrupt.
// The environment is the process's, because fisk, natscontext and columns read
// it there.
func Run(ctx context.Context, args []string, s Streams) int {
	rt := &runtime{Streams: s, log: log.New(s.Err, "", log.Ltime)}
	rt.prompt = newTerminal(rt)
	if code, done := rt.completion(ctx, args); done {
		return code
	}
	if wantsMan(args) {
		return rt.finish(render.Report{}, writeMan(s.Out, newApp(rt, func(command) {}), thisBuild()))
	}
	cmd, code := parse(rt, args)
	if cmd == nil {
		return code
	}
	return cmd(ctx)
}

// command is a parsed command, ready to run; it returns the exit code.
type command func(ctx context.Context) int

// reports makes a command's run function the action that fisk calls: it selects
// the command, which then shows its report with finish.
func reports[R any](rt *runtime, selected func(command), run func(context.Context, *runtime) (R, error), finish func(R, error) int) fisk.Action {
	return func(*fisk.ParseContext) error {
		selected(func(ctx context.Context) int { return finish(run(ctx, rt)) })
		return nil
	}
}

// exited is what fisk's terminate function panics with, so that --help and
// --version end the parse without ending the process.
type exited int

// parse reads the command line. It returns no command, but an exit code, when
// all is done, as for --help or for a command line that is wrong.
func parse(rt *runtime, args []string) (cmd command, code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exited)
			if !ok {
				panic(r)
			}
			cmd, code = nil, int(e)
		}
	}()
	app := newApp(rt, func(c command) { cmd = c })
	app.Terminate(func(code int) { panic(exited(code)) })
	normal, err := normalizeArgs(app.Model(), args)
	if err == nil {
		_, err = app.Parse(normal)
	}
	if err != nil {
		rt.json = wantsJSON(app.Model(), args)
		return nil, rt.wrongLine(commandIn(app, args), usageFailure(err))
	}
	return cmd, exitOK
}

// commandIn is the command that a wrong command line names; "" when it is not
// known.
func commandIn(app *fisk.Application, args []string) string {
	if pc, _ := app.ParseContext(args); pc != nil && pc.SelectedCommand != nil {
		return pc.SelectedCommand.Model().Name
	}
	return ""
}

// wrongLine says what is wrong with a command line, with the document and the
// exit code of its command.
func (rt *runtime) wrongLine(name string, err error) int {
	switch name {
	case "check":
		return (&checkOptions{format: "nagios"}).finish(rt, checkResult{err: err})
	case "ls", "sync":
		return rt.finishFleet(render.Fleet{}, err)
	}
	return rt.finish(render.Report{}, err)
}

// usageFailure makes an error of the command line a failure.
func usageFailure(err error) error {
	if f := (*failure)(nil); errors.As(err, &f) {
		return f
	}
	if errors.Is(err, kvcfg.ErrInvalidName) {
		return err
	}
	hint := ""
	for _, known := range []error{
		fisk.ErrUnknownLongFlag, fisk.ErrUnknownShortFlag, fisk.ErrExpectedFlagArgument, fisk.ErrExpectedKnownCommand,
		fisk.ErrRequiredArgument, fisk.ErrRequiredFlag, fisk.ErrFlagCannotRepeat, fisk.ErrUnexpectedArgument,
	} {
		if errors.Is(err, known) {
			hint = "add --help to see the arguments and flags"
		}
	}
	return &failure{kind: kindUsage, err: err, hint: hint}
}

// finish shows what a command on one bucket did, and how it failed if it did,
// and returns the exit code.
func (rt *runtime) finish(r render.Report, err error) int {
	var code int
	r.Action, r.Error, code = rt.outcome(r.Action, err)
	return rt.document(r, r.Action, code)
}

// outcome is what a command that did something, or failed to, came to: the
// action, the failure if there is one, and the exit code.
func (rt *runtime) outcome(done render.Action, err error) (render.Action, *render.Failure, int) {
	code, failed := rt.verdict(err)
	switch {
	case failed != nil && code == exitUnknown:
		return render.Unknown, failed, code
	case failed != nil:
		return render.Failed, failed, code
	case done == render.WouldCreate || done == render.WouldUpdate || done == render.WouldRecreate || done == render.WouldPromote:
		return done, nil, exitDifferences
	}
	return done, nil, code
}

// verdict says on stderr why a command failed, and returns the exit code and
// the failure for its document; nil when it did not fail.
func (rt *runtime) verdict(err error) (int, *render.Failure) {
	if err == nil {
		return exitOK, nil
	}
	f := explain(err)
	fmt.Fprintf(rt.Err, "%s: error: %s\n", appName, render.Clean(f.Error()))
	for line := range strings.Lines(f.hint) {
		mark := "hint: "
		if strings.HasPrefix(line, "  ") {
			mark = "" // to be pasted
		}
		fmt.Fprintf(rt.Err, "%s%s\n", mark, render.Clean(strings.TrimSuffix(line, "\n")))
	}
	code := exitFailed
	if f.kind == kindUnknownOutcome {
		code = exitUnknown
	}
	return code, &render.Failure{Kind: f.kind, Message: f.Error(), Hint: f.hint}
}

// document writes the JSON document if one is wanted, and returns the code, or
// a failure's when it cannot be written.
func (rt *runtime) document(doc any, done render.Action, code int) int {
	if !rt.json {
		return code
	}
	if err := render.JSON(rt.Out, doc); err != nil {
		if wrote(done) {
			err = fmt.Errorf("what was %s cannot be shown: %w", done, err)
		}
		fmt.Fprintf(rt.Err, "%s: error: %v\n", appName, err)
		return max(code, exitFailed)
	}
	return code
}

// warned is a document that warnings go into.
type warned interface{ Warn(text string) }

// warn adds a warning to the document and, unless it ends up in a JSON document,
// shows it at once.
func (rt *runtime) warn(r warned, format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	r.Warn(text)
	if !rt.json {
		fmt.Fprintf(rt.Err, "warning: %s\n", render.Clean(text))
	}
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
func (rt *runtime) show(r render.Report, style render.Style) error {
	if rt.json {
		return nil
	}
	err := render.Text(rt.Out, r, style)
	if err != nil && wrote(r.Action) {
		return fmt.Errorf("bucket %q was %s, and cannot be shown: %w", r.Bucket, r.Action, err)
	}
	return err
}

// wrote says of what a command did that something was changed.
func wrote(done render.Action) bool {
	return slices.Contains([]render.Action{render.Created, render.Updated, render.Recreated, render.Promoted}, done)
}

// showChanges writes the differences; when stdout belongs to a JSON document,
// only for somebody who is about to be asked, on stderr.
func (rt *runtime) showChanges(r render.Report, asking bool) error {
	switch {
	case !rt.json:
		return render.Differences(rt.Out, r.Changes)
	case asking:
		return render.Differences(rt.Err, r.Changes)
	}
	return nil
}
