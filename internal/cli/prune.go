package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// pruneOptions are the flags of prune.
type pruneOptions struct {
	manyFlags
	contentFlags
}

func addPrune(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &pruneOptions{}
	cmd := app.Command("prune", "Removes messages that are left over on mirrors")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("Mirror and origin are compared message by message, what is left over on the mirror is purged, and a second comparison verifies it. Settings stay as they are.")
	o.manyFlags.addTo(cmd, rt, "prune")
	o.contentFlags.addTo(cmd, "")
	cmd.Action(reports(rt, selected, o.run, rt.finishFleet))
}

func (o *pruneOptions) run(ctx context.Context, rt *runtime) (mirror.Fleet, error) {
	var none mirror.Fleet
	if err := o.manyFlags.complete(); err != nil {
		return none, err
	}
	if err := o.contentFlags.complete(); err != nil {
		return none, err
	}
	c, err := rt.connect(ctx)
	if err != nil {
		return none, err
	}
	defer c.Close()
	opts, finish, err := o.options()
	if err != nil {
		return none, err
	}
	plan, planErr := c.PlanPrune(ctx, mirror.PruneRequest{Buckets: o.buckets, Content: opts})
	if err := finish(); err != nil {
		return plan.Fleet, errors.Join(err, planErr)
	}
	rt.noteProblems(plan.Fleet)
	rt.complete(&plan.Fleet)
	mirrors, messages := plan.Jobs()
	if err := rt.showPlan(o.asks() && mirrors > 0, func(w writer) error { return render.Purges(w, plan.Mirrors, rt.style) }); err != nil {
		return plan.Fleet, err
	}
	const nothing = "Nothing was purged"
	switch {
	case mirrors > 0:
		q := question{fmt.Sprintf("Really purge %s from %s?", plural(messages, "message"), plural(mirrors, "mirror")), nothing}
		return rt.carryOutMany(ctx, plan, &plan.Fleet, o.consent, q, planErr)
	case plan.Mirrors == nil:
	case plan.Compared():
		rt.say("There is nothing to purge on %s", plural(len(plan.Mirrors), "mirror"))
	default:
		rt.say(nothing)
	}
	return plan.Fleet, planErr
}
