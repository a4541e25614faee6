package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/choria-io/fisk"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
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
	cmd.HelpLong("Two servers are started on 127.0.0.1 for it, with files that are removed at the end. No other server is connected to: flags and variables that say how to connect are left aside.")
	cmd.Flag("keep", "Leave both servers running after the story, until Ctrl-C").UnNegatableBoolVar(&o.keep)
	cmd.Action(func(*fisk.ParseContext) error {
		selected(func(ctx context.Context) int { return rt.finish(mirror.Report{}, o.run(ctx, rt)) })
		return nil
	})
}

// run plays the story; when it returns, both servers are gone.
func (o *demoOptions) run(ctx context.Context, rt *runtime) error {
	ctx, stop := endInOrder(ctx)
	defer stop()
	if err := o.onServers(ctx, rt); err != nil {
		if ctx.Err() != nil {
			return fail(mirror.ErrInterrupted, "", "interrupted, the demo's servers are stopped and their files removed")
		}
		return err
	}
	return nil
}

// endInOrder handles two signals that otherwise end the process at once and
// leave the servers' files behind: the terminal is closed, which ends the
// context as Ctrl-C does, and nobody reads stdout any more, which is then the
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

// onServers starts the servers, plays the story on them and stops them.
func (o *demoOptions) onServers(ctx context.Context, rt *runtime) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		return fmt.Errorf("cannot start the demo's servers: %w", err)
	}
	defer sites.Stop()

	d := &demo{rt: rt, hubURL: sites.Hub.URL(), leafURL: sites.Leaf.URL(), model: o.model()}
	if err := d.play(ctx); err != nil || !o.keep {
		return err
	}
	if err := d.explainKeep(); err != nil {
		return err
	}
	<-ctx.Done() // the expected end
	return nil
}

// demo is one performance of the story.
type demo struct {
	rt              *runtime
	hubURL, leafURL string
	model           *fisk.ApplicationModel

	hub, leaf jetstream.JetStream
	origin    jetstream.KeyValue
	broken    error  // why stdout takes no more
	lastSeq   uint64 // the origin's last sequence once all TTLs are over
	before    sight  // the buckets before the repair
}

// say writes a line of the story. It goes on in silence once stdout is broken;
// the step that is played then is the last.
func (d *demo) say(format string, a ...any) {
	if d.broken == nil {
		_, d.broken = fmt.Fprintf(d.rt.Out, format+"\n", a...)
	}
}

// shell shows a command as somebody would type it at a site.
func (d *demo) shell(site, command string) {
	d.say("%s$ %s", site, command)
}

// explainKeep says how to use the servers from elsewhere.
func (d *demo) explainKeep() error {
	d.say("\nBoth servers keep running until Ctrl-C. In another shell, to be at the leaf:\n")
	d.say("export NATS_URL=%s\n", d.leafURL)
	d.say("The hub, where the origin is, is at %s. Something to try:\n", d.hubURL)
	d.say("nats --server %s kv create demo badge B2 --ttl 20s", d.hubURL)
	d.say("%s info ours", appName)
	return d.writeFailure()
}

func (d *demo) writeFailure() error {
	if d.broken != nil {
		return fmt.Errorf("cannot go on with the demo: %w", d.broken)
	}
	return nil
}

// connect opens the JetStream API of a site.
func (d *demo) connect(url string) (jetstream.JetStream, func(), error) {
	nc, err := nats.Connect(url,
		nats.Name(appName+" demo"),
		// The library's own handler writes to stderr.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return js, nc.Close, nil
}

// runHere shows a command of this program and runs it at the leaf, in this
// process, with its real output.
func (d *demo) runHere(ctx context.Context, args ...string) error {
	command := appName + " " + strings.Join(args, " ")
	d.shell("leaf", command)
	d.say("")
	// Its own report of an interrupt would be a second one.
	errs := writerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return len(p), nil
		}
		return d.rt.Err.Write(p)
	})
	code := Run(ctx, append(args, d.connection()...), Streams{In: strings.NewReader(""), Out: d.rt.Out, Err: errs})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case code != exitOK:
		return fmt.Errorf("`%s` has failed with exit code %d", command, code)
	}
	return nil
}

// connection are the flags that lead a run to the leaf, whatever the user's
// environment says: a flag that would be read from a variable is given its
// default. (A creds file that is not there, or a proxy, would fail the run
// although the demo's servers ask for no credentials.)
func (d *demo) connection() []string {
	flags := []string{"--server=" + d.leafURL, "--no-context"}
	if d.rt.globals.colors != "" {
		flags = append(flags, "--colors="+d.rt.globals.colors)
	}
	if d.rt.globals.trace {
		flags = append(flags, "--trace")
	}
	for _, f := range d.model.Flags {
		if f.Envar != "" && f.Name != "server" && f.Name != "colors" {
			flags = append(flags, "--"+f.Name+"="+strings.Join(f.Default, ""))
		}
	}
	return flags
}

// writerFunc is a function that is an io.Writer.
type writerFunc func([]byte) (int, error)

var _ io.Writer = writerFunc(nil)

// Write calls f.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
