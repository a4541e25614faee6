package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// manyFlags name the mirrors of a command on many, and how they may be changed.
type manyFlags struct {
	consent
	buckets []string
	all     bool
}

func (o *manyFlags) addTo(cmd *fisk.CmdClause, rt *runtime, verb string) {
	cmd.Arg("bucket", "The mirrors to "+verb).StringsVar(&o.buckets)
	cmd.Flag("all", "Mean all mirrors").UnNegatableBoolVar(&o.all)
	cmd.Flag("force", "Change without asking").Short('f').UnNegatableBoolVar(&o.force)
	dryRunFlag(cmd, rt, "Show what would be changed and change nothing; exit code 2 when there is something to change, 3 when that is not known", &o.dryRun)
	domainsFlag(cmd, rt)
	outputFlags(cmd, rt)
}

func (o *manyFlags) complete() error {
	switch {
	case o.all && len(o.buckets) > 0:
		return fail(kindUsage, "", "--all and names of buckets exclude each other")
	case !o.all && len(o.buckets) == 0:
		return fail(kindUsage, "add --all to mean all mirrors", "no bucket is named")
	}
	return nil
}

// fleetApplier is a plan for many mirrors.
type fleetApplier interface {
	Apply(ctx context.Context) (*mirror.Fleet, error)
}

// question is what is asked before many mirrors are changed, and what no is answered
// with.
type question struct{ ask, no string }

// carryOutMany asks the question, if there is one to be asked, and carries a plan for
// many mirrors out. planErr is what could not be planned; carrying out tells it too.
func (rt *runtime) carryOutMany(ctx context.Context, p fleetApplier, planned *mirror.Fleet, c consent, q question, planErr error) (mirror.Fleet, error) {
	rt.warn(planned.Warnings, 0)
	if c.dryRun {
		return *planned, planErr
	}
	if c.asks() {
		yes, err := rt.confirm(ctx, q.ask, q.no)
		if err != nil || !yes {
			planned.Action = mirror.Unchanged
			if err == nil {
				err = planErr
			}
			return *planned, err
		}
	}
	f, err := p.Apply(ctx)
	return *f, err
}

// repairOptions are the flags of repair.
type repairOptions struct {
	manyFlags
	only []string
}

func addRepair(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &repairOptions{}
	cmd := app.Command("repair", "Fixes the settings that check finds")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("Shows for every mirror what will be changed, asks once, and changes several at a time. What no update fixes is listed with its fix. A second run does what is left, and nothing when nothing is. No message is deleted.")
	o.addTo(cmd, rt, "repair")
	cmd.Flag("only", "Fix only the findings with this code (can be repeated)").PlaceHolder("CODE").HintOptions(check.FixableCodes()...).StringsVar(&o.only)
	cmd.Action(reports(rt, selected, o.run, rt.finishFleet))
}

func (o *repairOptions) complete() error {
	for _, code := range o.only {
		if !slices.Contains(check.FixableCodes(), code) {
			return fail(kindUsage, "the codes are "+strings.Join(check.FixableCodes(), ", "), "--only: there is no finding %q that an update fixes", code)
		}
	}
	return o.manyFlags.complete()
}

func (o *repairOptions) run(ctx context.Context, rt *runtime) (mirror.Fleet, error) {
	if err := o.complete(); err != nil {
		return mirror.Fleet{}, err
	}
	c, err := rt.connect(ctx)
	if err != nil {
		return mirror.Fleet{}, err
	}
	defer c.Close()
	plan, err := c.PlanRepair(ctx, mirror.RepairRequest{Buckets: o.buckets, Only: o.only})
	rt.noteProblems(plan.Fleet)
	if err == nil && rt.sayNone(plan.Fleet) {
		return plan.Fleet, nil
	}
	rt.complete(&plan.Fleet)
	asking := o.asks() && plan.Jobs() > 0
	if err := rt.showPlan(asking, func(w writer) error { return render.MemberChanges(w, plan.Mirrors, rt.fixer(o.buckets)) }); err != nil {
		return plan.Fleet, err
	}
	const nothing = "Nothing was changed"
	if plan.Jobs() > 0 {
		return rt.carryOutMany(ctx, plan, &plan.Fleet, o.consent, question{fmt.Sprintf("Really repair %s?", plural(plan.Jobs(), "mirror")), nothing}, err)
	}
	rt.warn(plan.Warnings, 0)
	switch {
	case err == nil:
		rt.say("There is nothing to change on %s", plural(len(plan.Mirrors), "mirror"))
	case plan.Mirrors != nil:
		rt.say(nothing)
	}
	return plan.Fleet, err
}
