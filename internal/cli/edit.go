package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// editOptions are the flags of edit.
type editOptions struct {
	settings
	originFlags
	bucket string
	follow followed
	force  bool
}

// followed are the fields of --follow.
type followed []string

// Set takes the name of a setting.
func (f *followed) Set(name string) error {
	field, err := kvcfg.FollowField(name)
	if err != nil {
		return invalidFlag("follow", err)
	}
	*f = append(*f, field)
	return nil
}

// String is the fields.
func (f *followed) String() string { return strings.Join(*f, ",") }

// IsCumulative tells fisk that the flag can be repeated.
func (*followed) IsCumulative() bool { return true }

func addEdit(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &editOptions{}
	cmd := app.Command("edit", "Changes a mirror, whatever tool made it")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("Without flags, the mirror is made to follow its origin in per-key TTL, maximum age, history and maximum value size, but for what a flag chose before. With flags, only what a flag names is changed; all other settings stay as they are, also those that this program does not know.")
	bucketArg(cmd.Arg("bucket", "The mirror to change").Required(), &o.bucket)
	o.addSettings(cmd, rt, "")
	cmd.Flag("follow", "Follow the origin again in this setting, whatever was chosen (can be repeated)").PlaceHolder("SETTING").HintOptions(kvcfg.FollowNames()...).SetValue(&o.follow)
	cmd.Flag("force", "Change without asking").Short('f').UnNegatableBoolVar(&o.force)
	outputFlags(cmd, rt)
	refuse(cmd, "marker-ttl", markerTTLReason, markerTTLHint)
	refuse(cmd, "source", sourceReason, "")
	refuse(cmd, "storage", "no server changes the storage of a stream", "delete the mirror and create it again with `"+appName+" add`")
	o.originFlags.refuse(cmd)
	refuseNegated(cmd, "no-mirror", "taking the mirror out makes a bucket that takes no values, and cannot be undone", "to make it a bucket of its own, use `"+appName+" promote`")
	cmd.Action(reports(rt, selected, o.run, rt.finish))
}

func (o *editOptions) run(ctx context.Context, rt *runtime) (mirror.Report, error) {
	r := mirror.Report{Bucket: o.bucket}
	if err := cmp.Or(o.originFlags.refused(rt, o.bucket), o.settings.complete()); err != nil {
		return r, err
	}
	c, err := rt.connect(ctx)
	if err != nil {
		return r, err
	}
	defer c.Close()
	may := consent{force: o.force, dryRun: o.dryRun}
	plan, err := c.PlanEdit(ctx, mirror.EditRequest{Bucket: o.bucket, Settings: o.settings.Settings, Follow: o.follow, AtOnce: may.force && !may.dryRun})
	if err != nil {
		rt.warn(plan.Warnings, 0)
		return plan.Report, err
	}
	if plan.Action == mirror.Unchanged {
		rt.warn(plan.Warnings, 0)
		rt.say("No differences, bucket %s stays as it is", o.bucket)
		return plan.Report, nil
	}
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
