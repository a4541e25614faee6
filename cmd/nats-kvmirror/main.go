// nats-kvmirror makes Key-Value mirrors that follow their origin.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"nats-kvmirror/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	cli.EndWithHost(stop) // as an interrupt does
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
