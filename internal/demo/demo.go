// Package demo plays the story of a mirror on a hub and a leaf, which run in
// this process. The story's own commands are run by the caller, so that their
// output is the real one.
package demo

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
	"nats-kvmirror/internal/render"
)

// Options say where and how the story is played.
type Options struct {
	Out     io.Writer
	Style   render.Style // of the tables
	Program string       // how a command of this program begins when it is typed
	Keep    bool         // leave the servers running after the story, until the context ends

	// Run runs a command of this program, connected to server, with its output on
	// Out.
	Run func(ctx context.Context, server string, args ...string) error
}

// Play starts the servers and plays the story on them. When it returns, both
// servers are stopped and their files removed.
func Play(ctx context.Context, o Options) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		return fmt.Errorf("cannot start the demo's servers: %w", err)
	}
	defer sites.Stop()

	s := &story{Options: o, hubURL: sites.Hub.URL(), leafURL: sites.Leaf.URL()}
	if err := s.play(ctx); err != nil || !o.Keep {
		return err
	}
	if err := s.explainKeep(); err != nil {
		return err
	}
	<-ctx.Done() // the expected end
	return nil
}

// story is one run of the story.
type story struct {
	Options
	hubURL, leafURL string

	hub, leaf jetstream.JetStream
	origin    jetstream.KeyValue
	broken    error   // the first failed write to Out
	lastSeq   uint64  // the origin's last sequence once all TTLs are over
	before    buckets // before the repair
}

// say writes a line of the story. After a failed write it writes nothing more,
// and the story ends with the current step.
func (s *story) say(format string, a ...any) {
	if s.broken == nil {
		_, s.broken = fmt.Fprintf(s.Out, format+"\n", a...)
	}
}

// shell shows a command as it is typed at a site.
func (s *story) shell(site, command string) {
	s.say("%s$ %s", site, command)
}

// explainKeep says how to use the servers from another shell.
func (s *story) explainKeep() error {
	s.say("\nBoth servers keep running until Ctrl-C. In another shell, to be at the leaf:\n")
	s.say("export NATS_URL=%s\n", s.leafURL)
	s.say("The hub, where the origin is, is at %s. Something to try:\n", s.hubURL)
	s.say("nats --server %s kv create %s badge B2 --ttl 20s", s.hubURL, originBucket)
	s.say("%s info %s", s.Program, ourMirror)
	return s.writeFailure()
}

func (s *story) writeFailure() error {
	if s.broken != nil {
		return fmt.Errorf("cannot go on with the demo: %w", s.broken)
	}
	return nil
}

// run shows a command of this program and runs it at the leaf.
func (s *story) run(ctx context.Context, args ...string) error {
	command := s.Program + " " + strings.Join(args, " ")
	s.shell("leaf", command)
	s.say("")
	if err := s.Run(ctx, s.leafURL, args...); err != nil {
		return fmt.Errorf("`%s` %w", command, err)
	}
	return ctx.Err()
}

// connect opens the JetStream API of a site.
func (s *story) connect(url string) (jetstream.JetStream, func(), error) {
	nc, err := nats.Connect(url,
		nats.Name(s.Program+" demo"),
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
