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
	gone bool
}

func addPrune(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &pruneOptions{}
	cmd := app.Command("prune", "Removes messages that are left over on mirrors")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("The sequences of mirror and origin are compared, or all messages where that is not possible or with --payload; what is left over on the mirror is purged, and a second comparison verifies it. Settings stay as they are. What is gone at the origin without a trace, as after a purge of its stream or a restored backup, may be the last copy: it is left alone without --gone, or a yes to the question, which shows how much it is.")
	o.manyFlags.addTo(cmd, rt, "prune")
	cmd.Flag("gone", "Purge also what is gone at the origin without a trace").UnNegatableBoolVar(&o.gone)
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
	plan, planErr := c.PlanPrune(ctx, mirror.PruneRequest{Buckets: o.buckets, Content: opts, Gone: o.gone})
	if err := finish(); err != nil {
		return plan.Fleet, errors.Join(err, planErr)
	}
	gone := plan.GoneMessages()
	if gone > 0 && o.asks() && rt.prompt.Available() {
		planErr = plan.AcceptGone() // yes is consent
	}
	rt.noteProblems(plan.Fleet)
	if planErr == nil && rt.sayNone(plan.Fleet) {
		return plan.Fleet, nil
	}
	rt.complete(&plan.Fleet)
	mirrors, messages := plan.Jobs()
	if err := rt.showPlan(o.asks() && mirrors > 0, func(w writer) error { return render.Purges(w, plan.Mirrors, rt.style) }); err != nil {
		return plan.Fleet, err
	}
	if o.dryRun && !plan.Compared() {
		planErr = undecided(planErr, mirrors > 0)
	}
	const nothing = "Nothing was purged"
	switch {
	case mirrors > 0:
		q := question{fmt.Sprintf("Really purge %s from %s?", plural(messages, "message"), plural(mirrors, "mirror")), nothing}
		if gone > 0 {
			q.ask = fmt.Sprintf("Really purge %s from %s, of which %d may be the last copies, gone at the origin without a trace?", plural(messages, "message"), plural(mirrors, "mirror"), gone)
		}
		return rt.carryOutMany(ctx, plan, &plan.Fleet, o.consent, q, planErr)
	case plan.Mirrors == nil:
	case plan.Compared() && gone == 0:
		rt.say("There is nothing to purge on %s", plural(len(plan.Mirrors), "mirror"))
	default:
		rt.say(nothing)
	}
	return plan.Fleet, planErr
}
