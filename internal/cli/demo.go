package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/demo"
	"nats-kvmirror/internal/mirror"
)

// demoOptions are the flags of demo.
type demoOptions struct {
	keep  bool
	model func() *fisk.ApplicationModel // of the command line, for the runs within
}

func addDemo(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &demoOptions{model: app.Model}
	cmd := app.Command("demo", "Plays a mirror's story on a hub and a leaf in this process")
	cmd.Tag("scope:user", "impact:ro")
	cmd.HelpLong("Two servers are started on 127.0.0.1 for it, with files that are removed at the end. No other server is connected to: flags and variables that say how to connect are ignored.")
	cmd.Flag("keep", "Leave both servers running after the story, until Ctrl-C").UnNegatableBoolVar(&o.keep)
	quietFlag(cmd, rt)
	cmd.Action(func(*fisk.ParseContext) error {
		selected(func(ctx context.Context) int { return rt.finish(mirror.Report{}, o.run(ctx, rt)) })
		return nil
	})
}

// run plays the story.
func (o *demoOptions) run(ctx context.Context, rt *runtime) error {
	ctx, stop := endInOrder(ctx)
	defer stop()
	err := demo.Play(ctx, demo.Options{
		Out: rt.Out, Style: rt.newStyle(rt.globals.colors), Program: rt.self, Keep: o.keep,
		Run: func(ctx context.Context, server string, args ...string) error {
			return o.runWithin(ctx, rt, append(args, o.connection(rt.globals, server)...))
		},
	})
	if err != nil && ctx.Err() != nil {
		return fail(mirror.ErrInterrupted, "", "interrupted, the demo's servers are stopped and their files removed")
	}
	return err
}

// endInOrder handles two signals that otherwise end the process at once and
// leave the servers' files behind: SIGHUP, when the terminal is closed, ends the
// context as Ctrl-C does; SIGPIPE, when the reader of stdout is gone, becomes the
// error of a write.
func endInOrder(ctx context.Context) (context.Context, func()) {
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	stop := func() { signal.Stop(broken) }
	if signal.Ignored(syscall.SIGHUP) {
		return ctx, stop // nohup
	}
	ctx, stopHangup := signal.NotifyContext(ctx, syscall.SIGHUP)
	return ctx, func() { stopHangup(); stop() }
}

// runWithin runs this program in this process.
func (o *demoOptions) runWithin(ctx context.Context, rt *runtime, args []string) error {
	// Its own report of an interrupt would be a second one.
	errs := writerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return len(p), nil
		}
		return rt.Err.Write(p)
	})
	if code := Run(ctx, args, Streams{In: strings.NewReader(""), Out: rt.Out, Err: errs}); code != exitOK {
		return fmt.Errorf("failed with exit code %d", code)
	}
	return nil
}

// connection are the flags that connect a run to server, whatever the user's
// environment says: a flag that would be read from a variable is given its
// default. (A creds file that is not there, or a proxy, would fail the run
// although the demo's servers ask for no credentials.)
func (o *demoOptions) connection(g globals, server string) []string {
	flags := []string{"--server=" + server, "--no-context"}
	if g.colors != "" {
		flags = append(flags, "--colors="+g.colors)
	}
	if g.trace {
		flags = append(flags, "--trace")
	}
	for _, f := range o.model().Flags {
		if f.Envar != "" && f.Name != "server" && f.Name != "colors" {
			flags = append(flags, "--"+f.Name+"="+strings.Join(f.Default, ""))
		}
	}
	return flags
}

// writerFunc is a function that is an io.Writer.
type writerFunc func([]byte) (int, error)

// Write calls f.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
