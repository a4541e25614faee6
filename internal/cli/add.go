package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// addOptions are the flags of add.
type addOptions struct {
	settings
	originFlags
	bucket string
	update bool
	wait   *time.Duration
}

func addAdd(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &addOptions{}
	cmd := app.Command("add", "Creates a mirror of a bucket that follows its origin").Alias("new")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("Per-key TTL, history, maximum age and maximum value size are the origin's unless a flag says otherwise. Running the same command twice changes nothing the second time. When the origin's settings were changed since, --update brings the mirror in line; what a flag chose before stays.")
	bucketArg(cmd.Arg("bucket", "Name of the mirror; the origin's when that is in another domain or account"), &o.bucket)
	o.originFlags.addTo(cmd, "The bucket to mirror, its origin")[0].Required()
	storage := optional[string]{"storage", &o.settings.Storage, parseStorage}
	cmd.Flag("storage", "Where to store the data (file, memory)").PlaceHolder("BACKEND").HintOptions("file", "memory").SetValue(storage)
	o.addSettings(cmd, rt, "; default: the origin's")
	cmd.Flag("update", "Bring a mirror that exists in line with its origin and the flags").UnNegatableBoolVar(&o.update)
	durationFlag(cmd.Flag("wait", "Wait until the mirror has all that the origin has now"), "wait", &o.wait).PlaceHolder("DURATION")
	outputFlags(cmd, rt)
	refuse(cmd, "marker-ttl", markerTTLReason, markerTTLHint)
	refuse(cmd, "source", sourceReason, "`nats kv add --source` makes a bucket that sources others")
	cmd.Action(reports(rt, selected, o.run, rt.finish))
}

func parseStorage(s string) (string, error) {
	switch s {
	case "file", "f":
		return "file", nil
	case "memory", "m":
		return "memory", nil
	}
	return "", fmt.Errorf("%q is neither file nor memory", s)
}

// request validates the flags and adds them up.
func (o *addOptions) request() (mirror.AddRequest, error) {
	req := mirror.AddRequest{Bucket: o.bucket, Filters: o.filters, Update: o.update}
	if err := o.settings.complete(); err != nil {
		return req, err
	}
	req.Settings = o.settings.Settings
	change, err := o.change()
	if err != nil {
		return req, err
	}
	req.Origin = change.Apply(kvcfg.Origin{})
	switch {
	case o.delivers != nil && o.apiPrefix == nil:
		return req, fail(kindUsage, "", "--mirror-deliver-prefix needs --mirror-api-prefix")
	case o.wait != nil && *o.wait == 0:
		return req, fail(kindUsage, "", "--wait: it must be longer than 0")
	case o.wait != nil && o.dryRun:
		return req, fail(kindUsage, "", "--wait and --dry-run exclude each other")
	}
	return req, nil
}

func (o *addOptions) run(ctx context.Context, rt *runtime) (mirror.Report, error) {
	req, err := o.request()
	if err != nil {
		return mirror.Report{Bucket: o.bucket}, err
	}
	c, err := rt.connect(ctx)
	if err != nil {
		return mirror.Report{Bucket: o.bucket}, err
	}
	defer c.Close()
	plan, err := c.PlanAdd(ctx, req)
	if o.dryRun && plan.Action == mirror.WouldUpdate && !o.update {
		err = nil // it is a difference that was found, and no failure
		plan.Warnings = append(plan.Warnings, mirror.Warning{Code: "needs-update", Message: fmt.Sprintf("bucket %q exists, and is not changed without --update", plan.Bucket)})
	}
	if err != nil {
		rt.warn(plan.Warnings, 0)
		return plan.Report, err
	}
	switch plan.Action {
	case mirror.Unchanged:
		rt.say("Bucket %s exists with this configuration, nothing was written", plan.Bucket)
	case mirror.WouldUpdate:
		if err := rt.showPlan(false, func(w writer) error { return render.Differences(w, plan.Changes) }); err != nil {
			return plan.Report, err
		}
	}
	r, err := rt.carryOut(ctx, plan, &plan.Report, consent{force: true, dryRun: o.dryRun}, "")
	heading := ""
	switch {
	case err != nil, r.Action == mirror.WouldUpdate:
		return r, err
	case r.Action == mirror.WouldCreate:
		heading = fmt.Sprintf("Would create Key-Value Store Bucket %s", r.Bucket)
	case o.wait != nil:
		told := len(plan.Warnings)
		err = plan.Wait(ctx, *o.wait)
		r = plan.Report
		rt.warn(plan.Warnings, told)
	}
	if r.Action == mirror.Unchanged && err == nil && !rt.style.Terminal {
		return r, nil // a script has read enough
	}
	if r.Action == mirror.Unchanged || r.Action == mirror.Updated {
		rt.space()
	}
	return r, errors.Join(rt.show(r, heading), err)
}
