package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// promoteOptions are the flags of promote.
type promoteOptions struct {
	consent
	bucket      string
	into        string
	markerTTL   *time.Duration
	originAlive bool
	quick       bool
}

func addPromote(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &promoteOptions{}
	cmd := app.Command("promote", "Makes a mirror a bucket of its own when the origin is lost")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("The origin is taken out of the mirror, which from then on takes values itself; this cannot be undone. Clients find the keys only in a bucket of the origin's name: of a mirror with another name, --into makes a new bucket and leaves the mirror alone. Refused while the origin answers: two buckets that take values drift apart.")
	bucketArg(cmd.Arg("bucket", "The mirror to promote").Required(), &o.bucket)
	cmd.Flag("into", "Make a new bucket with this name of the mirror's keys and history").PlaceHolder("NAME").SetValue(argument{&o.into})
	cmd.Flag("quick", "With --into, compare the new bucket with the mirror by their sequences alone, where servers keep these").UnNegatableBoolVar(&o.quick)
	durationFlag(cmd.Flag("marker-ttl", "Keep a marker for so long where a limit removes the last value of a key"), "marker-ttl", &o.markerTTL).PlaceHolder("DURATION")
	cmd.Flag("origin-alive", "Promote also while the origin is alive, or may be").UnNegatableBoolVar(&o.originAlive)
	cmd.Flag("force", "Promote without asking").Short('f').UnNegatableBoolVar(&o.force)
	cmd.Flag("dry-run", "Show what would be done and do nothing; exit code 2 when there is something to do").UnNegatableBoolVar(&o.dryRun)
	outputFlags(cmd, rt)
	cmd.Action(reports(rt, selected, o.run, rt.finish))
}

func (o *promoteOptions) complete() error {
	switch {
	case o.into == o.bucket:
		return fail(kindUsage, "without --into, the bucket itself is promoted", "--into: %q is the mirror itself", o.into)
	case o.quick && o.into == "":
		return fail(kindUsage, "", "--quick needs --into")
	case o.markerTTL != nil && *o.markerTTL < kvcfg.MinMarkerTTL:
		return fail(kindUsage, "", "--marker-ttl: it must be %v or longer", kvcfg.MinMarkerTTL)
	}
	return nil
}

func (o *promoteOptions) run(ctx context.Context, rt *runtime) (mirror.Report, error) {
	r := mirror.Report{Bucket: o.bucket}
	if err := o.complete(); err != nil {
		return r, err
	}
	c, err := rt.connect(ctx)
	if err != nil {
		return r, err
	}
	defer c.Close()
	req := mirror.PromoteRequest{Bucket: o.bucket, MarkerTTL: o.markerTTL, OriginAlive: o.originAlive}
	if o.into != "" {
		return o.copyInto(ctx, rt, c, req)
	}
	return o.inPlace(ctx, rt, c, req)
}

// inPlace makes the mirror itself a bucket of its own.
func (o *promoteOptions) inPlace(ctx context.Context, rt *runtime, c *mirror.Client, req mirror.PromoteRequest) (mirror.Report, error) {
	plan, err := c.PlanPromote(ctx, req)
	if err != nil || plan.Action == mirror.Unchanged {
		rt.warn(plan.Warnings, 0)
		if err == nil {
			rt.say("Bucket %s is no mirror, nothing was written", o.bucket)
		}
		return plan.Report, err
	}
	if err := rt.showPlan(o.asks(), func(w writer) error { return render.Differences(w, plan.Changes) }); err != nil {
		return plan.Report, err
	}
	r, err := rt.carryOut(ctx, plan, &plan.Report, o.consent, fmt.Sprintf("Really promote bucket %s? It cannot be undone", o.bucket))
	if err != nil || r.Action != mirror.Promoted {
		return r, err
	}
	rt.say("Bucket %s was promoted: it is a bucket of its own, takes values itself and follows no origin", o.bucket)
	rt.space()
	return r, rt.show(r, "")
}

// copyInto makes a new bucket of what the mirror holds.
func (o *promoteOptions) copyInto(ctx context.Context, rt *runtime, c *mirror.Client, req mirror.PromoteRequest) (mirror.Report, error) {
	plan, err := c.PlanCopy(ctx, mirror.CopyRequest{PromoteRequest: req, Into: o.into, Quick: o.quick})
	if err != nil || plan.Action == mirror.Unchanged {
		rt.warn(plan.Warnings, 0)
		if err == nil {
			rt.say("Bucket %s was made from bucket %s before, nothing was written", o.into, o.bucket)
		}
		return plan.Report, err
	}
	r, err := rt.carryOut(ctx, plan, &plan.Report, consent{force: true, dryRun: o.dryRun}, "")
	switch {
	case err != nil:
		return r, err
	case r.Action == mirror.WouldPromote:
		return r, rt.show(r, fmt.Sprintf("Would make Key-Value Store Bucket %s of bucket %s", o.into, o.bucket))
	}
	rt.say("Bucket %s was made of bucket %s: it is a bucket of its own and takes values itself; bucket %s is as it was", o.into, o.bucket, o.bucket)
	rt.space()
	return r, rt.show(r, "")
}
