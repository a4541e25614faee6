package cli

import (
	"context"
	"fmt"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// editOptions are the flags of edit.
type editOptions struct {
	settings
	bucket string
	force  bool
}

func addEdit(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &editOptions{}
	cmd := app.Command("edit", "Changes a mirror, whatever tool made it")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("Without flags, per-key TTL is turned on if the origin has it. Only what a flag names is changed; all other settings stay as they are, also those that this program does not know.")
	bucketArg(cmd.Arg("bucket", "The mirror to change").Required(), &o.bucket)
	o.addSettings(cmd, "")
	cmd.Flag("force", "Change without asking").Short('f').UnNegatableBoolVar(&o.force)
	jsonFlag(cmd, rt)
	recreate := "delete the mirror and create it again with `" + appName + " recreate`"
	refuse(cmd, "marker-ttl", markerTTLReason, markerTTLHint)
	refuse(cmd, "source", sourceReason, "")
	refuse(cmd, "storage", "no server changes the storage of a stream", "delete the mirror and create it again with `"+appName+" add`")
	refuse(cmd, "filter", "no server changes which keys a mirror takes", recreate)
	for _, name := range []string{"mirror", "mirror-domain", "mirror-api-prefix", "mirror-deliver-prefix"} {
		refuse(cmd, name, "no server changes the origin of a mirror", recreate)
	}
	refuseNegated(cmd, "no-mirror", "taking the mirror out makes a bucket that takes no values, and cannot be undone", "to make it a bucket of its own, use `"+appName+" promote`")
	cmd.Action(reports(rt, selected, o.run, rt.finish))
}

func (o *editOptions) run(ctx context.Context, rt *runtime) (mirror.Report, error) {
	r := mirror.Report{Bucket: o.bucket}
	if err := o.settings.complete(); err != nil {
		return r, err
	}
	c, err := rt.connect(ctx)
	if err != nil {
		return r, err
	}
	defer c.Close()
	plan, err := c.PlanEdit(ctx, mirror.EditRequest{Bucket: o.bucket, Settings: o.settings.Settings})
	if err != nil {
		rt.warn(plan.Warnings, 0)
		return plan.Report, err
	}
	if plan.Action == mirror.Unchanged {
		rt.warn(plan.Warnings, 0)
		rt.say("No differences, bucket %s stays as it is", o.bucket)
		return plan.Report, nil
	}
	may := consent{force: o.force, dryRun: o.dryRun}
	if err := rt.showPlan(may.asks(), func(w writer) error { return render.Differences(w, plan.Changes) }); err != nil {
		return plan.Report, err
	}
	r, err = rt.carryOut(ctx, plan, &plan.Report, may, fmt.Sprintf("Really edit bucket %s?", o.bucket))
	if err != nil || r.Action != mirror.Updated {
		return r, err
	}
	rt.space()
	return r, rt.show(r, "")
}
