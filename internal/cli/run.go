package cli

import (
	"context"
	"io"
	"log"
	"os"

	"github.com/choria-io/fisk"
	"golang.org/x/term"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// Streams are where a run reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

type writer = io.Writer

// isTerminal says whether a stream is one.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// newStyle is how text on stdout is to look.
func (s Streams) newStyle(scheme string) render.Style {
	style := render.Style{ColorScheme: scheme, Terminal: isTerminal(s.Out)}
	if style.Terminal {
		if width, _, err := term.GetSize(int(s.Out.(*os.File).Fd())); err == nil {
			style.Width = width
		}
	}
	return style
}

// runtime is what every command works with.
type runtime struct {
	Streams
	globals globals
	name    string // of the command
	domain  string // of the mirrors, as the flags and the context say; "" when they do not
	prompt  prompter
	json    bool
	domains []string  // in which a command on many mirrors looks; none for that of the connection
	quiet   bool      // Out takes nothing
	stdout  io.Writer // where a JSON document goes
	// comparing is set by --dry-run of commands that say by their exit code whether a
	// mirror differs from its origin.
	comparing bool
	log       *log.Logger // for --trace
	style     render.Style
	self      string // how this program is called
}

// Run is the whole program but for the process: it parses args, runs the
// command that they name and returns the exit code: 0 done, or nothing to do; 1
// failed; 2 --dry-run found differences; 3 the outcome of a write, or with --dry-run whether
// anything differs, is unknown. Those of
// check are those of monitoring plugins. ctx ends on an interrupt. The environment is
// the process's, because fisk, natscontext and columns read it there.
func Run(ctx context.Context, args []string, s Streams) int {
	rt := &runtime{Streams: s, stdout: s.Out, log: log.New(s.Err, "", log.Ltime), style: s.newStyle(""), self: appName}
	if belowHost() {
		rt.self = hostName + " " + pluginName
	}
	rt.prompt = newTerminal(rt)
	if code, done := rt.completion(ctx, args); done {
		return code
	}
	if wantsMan(args) {
		return rt.finish(mirror.Report{}, writeMan(s.Out, newApp(rt, func(command) {}), thisBuild()))
	}
	cmd, code := parse(rt, args)
	if cmd == nil {
		return code
	}
	return cmd(ctx)
}

// silence leaves stdout to a JSON document.
func (rt *runtime) silence() { rt.quiet, rt.Out = true, io.Discard }

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
		rt.name, err = app.Parse(normal)
	}
	if err != nil {
		rt.json = wantsJSON(app.Model(), args)
		if asksFor(app.Model(), args, "quiet", 'q') {
			rt.silence()
		}
		line, _ := app.ParseContext(args) // as far as it goes
		if line != nil && line.SelectedCommand != nil {
			rt.name = line.SelectedCommand.Model().Name
		}
		return nil, rt.wrongLine(rt.usageFailure(app.Model(), line, err))
	}
	return cmd, exitOK
}

// wrongLine says what is wrong with a command line, with the document and the
// exit code of its command.
func (rt *runtime) wrongLine(err error) int {
	switch rt.name {
	case "check":
		return (&checkOptions{}).finish(rt, mirror.Fleet{}, err)
	case "ls", "repair", "prune":
		return rt.finishFleet(mirror.Fleet{}, err)
	}
	return rt.finish(mirror.Report{}, err)
}
