package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// recreateOptions are the flags of recreate.
type recreateOptions struct {
	consent
	originFlags
	contentFlags
	settings   kvcfg.Settings
	bucket     string
	acceptLoss *int64
	backup     string
	quick      bool
}

func addRecreate(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &recreateOptions{}
	cmd := app.Command("recreate", "Deletes a mirror and creates it again, for what nothing else fixes")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("Before anything is deleted, the mirror is compared with its origin message by message: what the origin does not hold would be lost. Afterwards it is compared again. All settings stay as they are but for what a flag changes.")
	bucketArg(cmd.Arg("bucket", "The mirror to recreate").Required(), &o.bucket)
	o.originFlags.addTo(cmd, "The bucket to mirror from now on")
	addRoom(cmd, &o.settings)
	countFlag(cmd.Flag("accept-loss", "Accept the loss of so many messages that the origin does not hold"), "accept-loss", &o.acceptLoss).PlaceHolder("MSGS")
	cmd.Flag("from-backup", "File with the saved configuration of a mirror that was deleted and not created again").PlaceHolder("FILE").StringVar(&o.backup)
	o.contentFlags.addTo(cmd, "")
	cmd.Flag("quick", "Afterwards, compare only the sequences of the new mirror with its origin's").UnNegatableBoolVar(&o.quick)
	cmd.Flag("force", "Recreate without asking").Short('f').UnNegatableBoolVar(&o.force)
	cmd.Flag("dry-run", "Show what would be done and do nothing; exit code 2 when there is something to do").UnNegatableBoolVar(&o.dryRun)
	outputFlags(cmd, rt)
	cmd.Action(reports(rt, selected, o.run, rt.finish))
}

func (o *recreateOptions) complete() error {
	switch {
	case o.acceptLoss != nil && *o.acceptLoss < 0:
		return fail(kindUsage, "", "--accept-loss: %d is negative", *o.acceptLoss)
	case o.backup != "" && (o.originFlags.given() || !o.settings.Empty()):
		return fail(kindUsage, "", "--from-backup says all that the mirror is to be, and excludes the other settings")
	case o.quick && o.payload:
		return fail(kindUsage, "", "--quick reads no bodies: leave out --payload")
	}
	return errors.Join(o.settings.Validate(), o.contentFlags.complete())
}

// plan plans as the flags say.
func (o *recreateOptions) plan(ctx context.Context, c *mirror.Client, opts mirror.ContentOptions) (*mirror.RecreatePlan, error) {
	if o.backup != "" {
		return c.PlanRestore(ctx, mirror.RestoreRequest{Bucket: o.bucket, File: o.backup, Content: opts})
	}
	change, err := o.change()
	if err != nil {
		return &mirror.RecreatePlan{}, err
	}
	req := mirror.RecreateRequest{Bucket: o.bucket, Origin: change, Filters: o.filters, Settings: o.settings, Content: opts}
	if o.acceptLoss != nil {
		req.AcceptLoss = uint64(*o.acceptLoss)
	}
	return c.PlanRecreate(ctx, req)
}

func (o *recreateOptions) run(ctx context.Context, rt *runtime) (mirror.Report, error) {
	r := mirror.Report{Bucket: o.bucket}
	err := o.complete()
	if err == nil {
		_, err = o.change()
	}
	if err != nil {
		return r, err
	}
	c, err := rt.connect(ctx)
	if err != nil {
		return r, err
	}
	defer c.Close()
	opts, finish, err := o.options()
	if err != nil {
		return r, err
	}
	opts.Quick = o.quick
	plan, err := o.plan(ctx, c, opts)
	if err = errors.Join(err, finish()); err != nil {
		rt.warn(plan.Warnings, 0)
		return plan.Report, err
	}
	if err := o.show(rt, plan); err != nil {
		return plan.Report, err
	}
	question := fmt.Sprintf("Really delete bucket %s and create it again?", o.bucket)
	if plan.Loss > plan.AcceptLoss && o.asks() && rt.prompt.Available() {
		question = fmt.Sprintf("Really delete bucket %s and lose %s?", o.bucket, plural(plan.Loss, "message"))
		plan.AcceptLoss = plan.Loss // yes is consent
	} else if plan.Loss > plan.AcceptLoss || o.backup != "" {
		question = "" // it is refused; or nothing is deleted
	}
	r, err = rt.carryOut(ctx, plan, &plan.Report, o.consent, question)
	if r.Action == mirror.Recreated && r.Content != nil {
		rt.say("Bucket %s was created again; it %s", o.bucket, render.Sentence(r.Content))
	}
	return r, err
}

// show shows what would be done, and what would be lost.
func (o *recreateOptions) show(rt *runtime, plan *mirror.RecreatePlan) error {
	err := rt.showPlan(o.asks(), func(w writer) error {
		if plan.Loss > 0 {
			if err := render.Compared(w, plan.Bucket, plan.Content, rt.style); err != nil {
				return err
			}
		}
		if len(plan.Changes) == 0 {
			return nil
		}
		return render.Differences(w, plan.Changes)
	})
	if err != nil || !o.dryRun {
		return err
	}
	if o.backup != "" {
		rt.say("Would create bucket %s from %s", o.bucket, o.backup)
	} else {
		rt.say("Would delete bucket %s and create it again", o.bucket)
	}
	return nil
}
