package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
	"nats-kvmirror/internal/stream"
)

// editOptions are the flags of edit.
type editOptions struct {
	settings
	bucket string
	force  bool
}

func addEdit(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &editOptions{}
	cmd := app.Command("edit", "Changes a mirror, whoever made it")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("Without flags, per-key TTL is turned on if the origin has it. Only what a flag names is changed; all other settings stay as they are, also those that this program does not know.")
	bucketArg(cmd.Arg("bucket", "The mirror to change").Required(), &o.bucket)
	o.addSettings(cmd, "")
	cmd.Flag("force", "Change without asking").Short('f').UnNegatableBoolVar(&o.force)
	jsonFlag(cmd, rt)
	const recreate = "delete the mirror and create it again with `" + appName + " add`"
	refuse(cmd, "marker-ttl", markerTTLReason, markerTTLHint)
	refuse(cmd, "source", sourceReason, "")
	refuse(cmd, "storage", "no server changes the storage of a stream", recreate)
	refuse(cmd, "filter", "no server changes which keys a mirror takes", recreate)
	for _, name := range []string{"mirror", "mirror-domain", "mirror-api-prefix", "mirror-deliver-prefix"} {
		refuse(cmd, name, "no server changes the origin of a mirror", recreate)
	}
	refuseNegated(cmd, "no-mirror", "taking the mirror out makes a bucket that takes no values, and cannot be undone", recreate)
	cmd.Action(reports(rt, selected, o.run, rt.finish))
}

func (o *editOptions) run(ctx context.Context, rt *runtime) (render.Report, error) {
	r := render.Report{Bucket: o.bucket, Stream: kvcfg.StreamName(o.bucket)}
	if err := o.settings.complete(); err != nil {
		return r, err
	}
	s, err := rt.connect(ctx)
	if err != nil {
		return r, err
	}
	defer s.conn.Close()

	mirror, account, err := s.readMirror(ctx, o.bucket)
	if err != nil {
		return r, err
	}
	r.SetStream(mirror)
	origin, err := kvcfg.OriginOf(mirror.Config)
	if err != nil {
		return r, err
	}
	read, again, at := o.readOn(ctx, s, origin, mirror)
	r.Origin = read.report(mirror)
	plan, err := o.plan(ctx, rt, s, &r, mirror, read, account)
	if err != nil {
		return r, err
	}
	r.Changes = plan.Changes

	if len(plan.Changes) == 0 {
		r.Action = render.Unchanged
		rt.say("No differences, bucket %s stays as it is", o.bucket)
		return r, nil
	}
	asking := !o.force && !o.dryRun
	if err := rt.showChanges(r, asking); err != nil {
		return r, err
	}
	o.warnOfPlan(rt, &r, plan, read, account)
	if o.dryRun {
		r.Action = render.WouldUpdate
		return r, nil
	}
	if asking {
		yes, err := o.ask(ctx, rt, s)
		if err != nil || !yes {
			r.Action = render.Unchanged
			return r, err
		}
		again = nil // the answer may have taken long
	}
	if err := s.unchanged(ctx, mirror, again, at); err != nil {
		return r, err
	}
	updated, err := s.update(ctx, r.Stream, plan, r.State.Msgs)
	if updated != nil {
		r.SetStream(updated)
	}
	if err != nil {
		return r, err
	}
	r.Action = render.Updated
	o.warnOfReplicas(rt, &r)
	if plan.EnablesTTL() {
		o.checkCleaned(ctx, rt, s, &r, read)
	}
	rt.space()
	return r, rt.show(r, s.style)
}

// readOn reads the origin and, side by side with it, the mirror once more: what
// somebody else writes meanwhile is seen. again is nil when it could not be
// read, and at is when it was.
func (o *editOptions) readOn(ctx context.Context, s *session, origin kvcfg.Origin, mirror *stream.Info) (read originRead, again *stream.Info, at time.Time) {
	var wg sync.WaitGroup
	wg.Go(func() { read = s.readOrigin(ctx, origin) })
	if !o.dryRun {
		wg.Go(func() {
			again, _ = s.own.Stream(ctx, mirror.Config.Name)
			at = time.Now()
		})
	}
	wg.Wait()
	return read, again, at
}

// plan decides what to change, or why nothing can be.
func (o *editOptions) plan(ctx context.Context, rt *runtime, s *session, r *render.Report, mirror *stream.Info, read originRead, account *jsapi.Account) (kvcfg.Plan, error) {
	if err := ctx.Err(); err != nil {
		return kvcfg.Plan{}, err
	}
	plan, err := kvcfg.Edit(mirror.Config.Raw(), read.config(), o.wishes)
	switch {
	case errors.Is(err, kvcfg.ErrUnread):
		return plan, read.failure()
	case errors.Is(err, kvcfg.ErrTTLStays):
		return plan, fmt.Errorf("bucket %q: %w", o.bucket, err)
	case err != nil:
		return plan, err
	case read.stream == nil:
		rt.warn(r, "the origin was not read: %v", read.err)
	}
	if plan.EnablesTTL() {
		if account != nil && account.Level < stream.TTLAPILevel {
			return plan, tooOldForTTL(s, "until then only a new mirror is rid of what has expired: delete this one and create it again with `"+appName+" add --no-allow-msg-ttl`")
		}
		if v := mirror.Config.ServerVersion(); v.TTLUpdate() == stream.UpdateRefused {
			return plan, fail(kindOldServer, "delete the mirror and create it again with `"+appName+" add`: a new mirror can have it",
				"server %v cannot turn per-key TTL on for a stream that exists", v)
		}
	}
	return plan, nil
}

// warnOfPlan says what is to be known before the changes are made.
func (o *editOptions) warnOfPlan(rt *runtime, r *render.Report, plan kvcfg.Plan, read originRead, account *jsapi.Account) {
	origin := read.config()
	if plan.EnablesTTL() {
		rt.warn(r, "per-key TTL can not be turned off again; the server has %d messages to scan", r.State.Msgs)
		if origin != nil && !origin.AllowMsgTTL {
			rt.warn(r, "%s", ttlUnlikeOrigin(false))
		}
	} else if origin != nil && origin.AllowMsgTTL && !r.Source.Config.AllowMsgTTL {
		rt.warn(r, "%s; %s", ttlUnlikeOrigin(true), o.waysToTTL(r.Source.Config.ServerVersion(), account))
	}
	if o.wishes.MaxBucketSize != nil && *o.wishes.MaxBucketSize > 0 {
		rt.warn(r, "%s", fullMirrorStops)
	}
	if origin != nil && o.wishes.MaxValueSize != nil && tooSmall(*o.wishes.MaxValueSize, origin.MaxMsgSize) {
		rt.warn(r, "%s", valuesTooLarge)
	}
}

// waysToTTL says how the mirror gets per-key TTL on its server.
func (o *editOptions) waysToTTL(version stream.Version, account *jsapi.Account) string {
	switch {
	case account != nil && account.Level < stream.TTLAPILevel:
		return "the mirror's server has to be 2.11 or later for it"
	case version.TTLUpdate() == stream.UpdateRefused:
		return fmt.Sprintf("`%s sync --recreate %s` makes a mirror that has it", appName, o.bucket)
	}
	return fmt.Sprintf("`%s edit %s` turns it on", appName, o.bucket)
}

// ask asks whether to go on.
func (o *editOptions) ask(ctx context.Context, rt *runtime, s *session) (bool, error) {
	yes, err := rt.prompt.Confirm(ctx, fmt.Sprintf("Really edit bucket %s?", o.bucket), s.style.ColorScheme)
	if err == nil && !yes {
		rt.say("Bucket %s was not changed", o.bucket)
	}
	return yes, err
}

// settleTime is how long expiry may take to remove on the mirror what the
// origin has just removed; servers look once a second.
const settleTime = 3 * time.Second

// checkCleaned compares the mirror with its origin after per-key TTL was turned
// on, since a server that echoes the setting may yet keep what had expired. The
// states that were read on the way mostly suffice; if not, both are read again
// until they agree or settleTime is over.
func (o *editOptions) checkCleaned(ctx context.Context, rt *runtime, s *session, r *render.Report, before originRead) {
	if before.stream == nil {
		r.Origin = before.report(nil)
		rt.warn(r, "whether expired messages are left over on the mirror is not known, because the origin was not read")
		return
	}
	mirror, origin := r.Source, before
	compare := func() check.Comparison {
		return check.Compare(mirror.Config, origin.stream.Config, mirror.State, origin.stream.State)
	}
	c := compare()
	var lost error
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for start := time.Now(); !c.Same() && !mirror.Config.Filtered() && time.Since(start) < settleTime && ctx.Err() == nil && lost == nil; {
		var wg sync.WaitGroup
		wg.Go(func() {
			again, err := s.own.Stream(ctx, r.Stream)
			switch {
			case err == nil:
				mirror = again
			case errors.Is(err, jsapi.ErrDisconnected):
				lost = err
			}
		})
		wg.Go(func() {
			if again := s.readOrigin(ctx, before.origin); again.stream != nil {
				origin = again
			}
		})
		wg.Wait()
		if c = compare(); c.Same() {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	r.SetStream(mirror)
	r.Origin = origin.report(mirror)
	if lost != nil {
		rt.warn(r, "whether expired messages are left over on the mirror is not known: %v", lost)
		return
	}
	o.warnOfRest(rt, r, c)
}

// warnOfRest says what the comparison and the server's version leave to fear.
func (o *editOptions) warnOfRest(rt *runtime, r *render.Report, c check.Comparison) {
	version := r.Source.Config.ServerVersion()
	cure := "; `" + appName + " sync --content " + o.bucket + "` purges it"
	switch {
	case c.LeftOver() > 0:
		rt.warn(r, "the mirror holds at least %s that its origin does not, and server %v will not remove what is left over%s", plural(int(c.LeftOver()), "message"), version, cure)
	case c.Missing > 0:
		rt.warn(r, "the mirror holds %s less than the origin", plural(int(c.Missing), "message"))
	case c.Behind > 0 && !r.Source.Config.Filtered():
		rt.warn(r, "the mirror is %d messages behind its origin, so whether expired messages are left over is not known", c.Behind)
	case !c.Counted:
		rt.warn(r, "the mirror does not hold as much as its origin by design, so whether expired messages are left over is not known")
	}
	switch version.TTLUpdate() {
	case stream.UpdateAfterRestart:
		rt.warn(r, "on server %v nothing expires on a mirror edited like this until the server is restarted, and what was stored before now may stay even then; delete and create it to be sure", version)
	case stream.UpdateNewOnly:
		rt.warn(r, "on server %v what was stored before now never expires on the mirror; delete and create it to be sure", version)
	case stream.UpdatePartly:
		if r.Source.Config.Storage == "file" {
			rt.warn(r, "server %v overlooks expired messages in files that it has not read again; delete and create the mirror to be sure", version)
		}
	}
}
