// nats-kvmirror makes Key-Value mirrors that follow their origin.
//
// Exit codes: 0 done, or nothing to do; 1 failed; 2 --dry-run found
// differences; 3 the outcome of a write is unknown.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	endWithHost(stop) // as an interrupt does
	os.Exit(run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
