package main

import (
	"context"

	"github.com/choria-io/fisk"
)

func addDemo(app *fisk.Application, rt *runtime, selected func(command)) {
	cmd := app.Command("demo", "Plays a mirror's story on a hub and a leaf in this process")
	cmd.Action(func(*fisk.ParseContext) error {
		selected(func(ctx context.Context) int { return 0 })
		return nil
	})
}
