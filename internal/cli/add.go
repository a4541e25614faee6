package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
	"nats-kvmirror/internal/stream"
)

// addOptions are the flags of add.
type addOptions struct {
	settings
	originFlags
	bucket string
	wait   *time.Duration

	target kvcfg.NewMirror // what the flags add up to
}

func addAdd(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &addOptions{}
	cmd := app.Command("add", "Creates a mirror of a bucket that follows its origin").Alias("new")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("Per-key TTL, history, maximum age and maximum value size are the origin's unless a flag says otherwise. Running the same command twice changes nothing the second time.")
	bucketArg(cmd.Arg("bucket", "Name of the mirror; the origin's when that is in another domain or account"), &o.bucket)
	nameFlag(cmd.Flag("mirror", "The bucket to mirror, its origin").Required(), "mirror", &o.mirror).PlaceHolder("ORIGIN")
	o.originFlags.addTo(cmd, "")
	storage := optional[string]{"storage", &o.wishes.Storage, parseStorage}
	cmd.Flag("storage", "Where to store the data (file, memory)").PlaceHolder("BACKEND").HintOptions("file", "memory").SetValue(storage)
	o.addSettings(cmd, "; default: the origin's")
	durationFlag(cmd.Flag("wait", "Wait until the mirror has all that the origin has now"), "wait", &o.wait).PlaceHolder("DURATION")
	jsonFlag(cmd, rt)
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

// complete validates the flags and adds them up.
func (o *addOptions) complete() error {
	if err := o.settings.complete(); err != nil {
		return err
	}
	origin, err := o.origin(kvcfg.Origin{})
	if err != nil {
		return err
	}
	bucket := o.bucket
	if bucket == "" {
		if !origin.External() {
			return fail(kindUsage, "name the mirror: add NAME --mirror "+origin.Bucket, "a mirror beside its origin needs a name of its own")
		}
		bucket = origin.Bucket
	}
	if bucket == origin.Bucket && !origin.External() {
		return mirrorsItself(bucket)
	}
	if err := kvcfg.ValidateBucket(bucket); err != nil {
		return err
	}
	if o.wait != nil && *o.wait == 0 {
		return fail(kindUsage, "", "--wait: it must be longer than 0")
	}
	if o.wait != nil && o.dryRun {
		return fail(kindUsage, "", "--wait and --dry-run exclude each other")
	}
	o.target = kvcfg.NewMirror{Bucket: bucket, Origin: origin, Filters: o.filters, Settings: o.wishes}
	return nil
}

func mirrorsItself(bucket string) error {
	return fail(kindUsage, "give the mirror another name, or name the origin's domain", "bucket %q cannot mirror itself", bucket)
}

// beforeAdd is what is read before anything is created.
type beforeAdd struct {
	account    jsapi.Account
	accountErr error
	existing   *stream.Info
	existErr   error
	origin     originRead
}

func (o *addOptions) run(ctx context.Context, rt *runtime) (render.Report, error) {
	r := render.Report{Bucket: o.bucket}
	if err := o.complete(); err != nil {
		return r, err
	}
	r.Bucket, r.Stream = o.target.Bucket, kvcfg.StreamName(o.target.Bucket)
	s, err := rt.connect(ctx)
	if err != nil {
		return r, err
	}
	defer s.conn.Close()

	before := o.read(ctx, s)
	r.Origin = before.origin.report(before.existing)
	plan, err := o.plan(ctx, rt, s, &r, before)
	if err != nil {
		return r, err
	}
	r.Changes = plan.Changes

	if before.existing != nil {
		if err := o.sameAs(before.existing, plan); err != nil {
			return r, err
		}
		r.Action, r.Changes = render.Unchanged, nil
		r.SetStream(before.existing)
		rt.say("Bucket %s exists with this configuration, nothing was written", r.Bucket)
		rt.space()
	} else if o.dryRun {
		return r, o.showPlan(rt, s, &r, plan)
	} else if err := o.create(ctx, rt, s, &r, plan, before); err != nil {
		return r, err
	}
	var waited error
	if o.wait != nil {
		waited = o.waitFor(ctx, rt, s, &r, before.origin)
	}
	return r, errors.Join(rt.show(r, s.style), waited)
}

// read reads all that decides about the mirror, side by side.
func (o *addOptions) read(ctx context.Context, s *session) beforeAdd {
	var b beforeAdd
	var wg sync.WaitGroup
	wg.Go(func() { b.account, b.accountErr = s.own.Account(ctx) })
	wg.Go(func() { b.existing, b.existErr = s.own.Stream(ctx, kvcfg.StreamName(o.target.Bucket)) })
	wg.Go(func() { b.origin = s.readOrigin(ctx, o.target.Origin) })
	wg.Wait()
	return b
}

// plan decides what to create, or why nothing can be.
func (o *addOptions) plan(ctx context.Context, rt *runtime, s *session, r *render.Report, b beforeAdd) (kvcfg.Plan, error) {
	if err := ctx.Err(); err != nil {
		return kvcfg.Plan{}, err
	}
	if b.existErr != nil && !errors.Is(b.existErr, jsapi.ErrNotFound) {
		return kvcfg.Plan{}, fmt.Errorf("cannot look for bucket %q: %w", o.target.Bucket, b.existErr)
	}
	if sameAPI(o.target.Origin.APIPrefix, s.own.Prefix(), b.account.Domain) {
		// Servers accept an external origin in their own domain and never
		// connect to it (seen on 2.15.2).
		o.target.Origin.APIPrefix, o.target.Origin.DeliverPrefix = "", ""
		if o.target.Bucket == o.target.Origin.Bucket {
			return kvcfg.Plan{}, mirrorsItself(o.target.Bucket)
		}
	}
	if b.accountErr != nil && b.existing == nil && o.target.Origin.External() {
		rt.warn(r, "which domain the mirror is in was not read (%v): if it is that of its origin, the mirror never connects, and --mirror-domain has to be left out", b.accountErr)
	}
	if b.existing != nil {
		if err := isMirrorOf(b.existing.Config, o.target.Origin); err != nil {
			return kvcfg.Plan{}, err
		}
	}
	if b.origin.stream == nil {
		if b.origin.missing() || o.wishes.AllowMsgTTL == nil {
			return kvcfg.Plan{}, b.origin.failure()
		}
		rt.warn(r, "the origin was not read (%v): that it exists, and its history, maximum age and maximum value size, are not verified", b.origin.err)
	}
	plan, err := kvcfg.New(o.target, b.origin.config())
	if err != nil {
		return kvcfg.Plan{}, err
	}
	if plan.EnablesTTL() && b.existing == nil {
		if err := o.checkLevel(rt, r, s, b); err != nil {
			return kvcfg.Plan{}, err
		}
	}
	o.warnOfPlan(rt, r, b)
	return plan, nil
}

// sameAPI says whether a prefix leads to the mirror's own API.
func sameAPI(prefix, own, domain string) bool {
	return prefix == "" || prefix == own || domain != "" && prefix == kvcfg.DomainPrefix(domain)
}

// isMirrorOf says why an existing bucket cannot become the mirror of origin.
func isMirrorOf(c stream.Config, origin kvcfg.Origin) error {
	const hint = "choose another name, or remove that bucket first"
	is, err := kvcfg.OriginOf(c)
	switch {
	case errors.Is(err, kvcfg.ErrNotMirror):
		return fail(kindExists, hint, "%w, and exists", err)
	case err != nil:
		return fail(kindExists, hint, "%w", err)
	case is != origin:
		bucket, _ := kvcfg.BucketName(c.Name)
		return fail(kindExists, hint, "bucket %q exists and mirrors %v, not %v", bucket, is, origin)
	}
	return nil
}

// checkLevel makes sure that the mirror's server knows per-key TTL.
func (o *addOptions) checkLevel(rt *runtime, r *render.Report, s *session, b beforeAdd) error {
	if b.accountErr != nil {
		if errors.Is(b.accountErr, jsapi.ErrNoJetStream) || errors.Is(b.accountErr, context.Canceled) {
			return b.accountErr
		}
		rt.warn(r, "the mirror's server did not say what it supports: %v", b.accountErr)
		return nil
	}
	if b.account.Level < stream.TTLAPILevel {
		return tooOldForTTL(s, "--no-allow-msg-ttl makes a mirror without it, which keeps for ever what expires at the origin")
	}
	return nil
}

func tooOldForTTL(s *session, hint string) error {
	return fail(kindOldServer, "the mirror's server must be 2.11 or later\n"+hint,
		"per-key TTL needs API level %d, and the mirror's server at %q has none (connected to version %s)", stream.TTLAPILevel, s.own.Prefix(), s.conn.ServerVersion())
}

// warnOfPlan warns of what is allowed and ends badly.
func (o *addOptions) warnOfPlan(rt *runtime, r *render.Report, b beforeAdd) {
	if o.wishes.MaxBucketSize != nil && *o.wishes.MaxBucketSize > 0 {
		rt.warn(r, "%s", fullMirrorStops)
	}
	origin := b.origin.config()
	if origin == nil {
		return
	}
	if o.wishes.AllowMsgTTL != nil && *o.wishes.AllowMsgTTL != origin.AllowMsgTTL {
		rt.warn(r, "%s", ttlUnlikeOrigin(origin.AllowMsgTTL))
	}
	if o.wishes.MaxValueSize != nil && tooSmall(*o.wishes.MaxValueSize, origin.MaxMsgSize) {
		rt.warn(r, "%s", valuesTooLarge)
	}
}

const (
	fullMirrorStops = "a mirror that reaches its maximum bucket size stops for good, without an error"
	valuesTooLarge  = "the origin allows larger values than the mirror: the first one stops the mirror"
)

func ttlUnlikeOrigin(origin bool) string {
	if origin {
		return "the origin has per-key TTL and the mirror has not: what expires at the origin stays here for ever"
	}
	return "the mirror has per-key TTL and the origin has not: what carries a TTL disappears here alone"
}

// tooSmall compares limits of which 0 and below mean none.
func tooSmall(limit, origin int64) bool { return limit > 0 && (origin <= 0 || limit < origin) }

// sameAs returns nil when the existing mirror is what add would create.
func (o *addOptions) sameAs(existing *stream.Info, plan kvcfg.Plan) error {
	different := plan.Against(existing.Config.Raw())
	if len(different) == 0 {
		return nil
	}
	var fields []string
	for _, c := range different {
		fields = append(fields, fmt.Sprintf("%s is %s and not %s", c.Field, render.Value(c.Field, c.From), render.Value(c.Field, c.To)))
	}
	return fail(kindExists, hintToChange(o.target.Bucket, different), "bucket %q exists with another configuration: %s", o.target.Bucket, strings.Join(fields, ", "))
}

// hintToChange says how a mirror gets what it differs in.
func hintToChange(bucket string, different []kvcfg.Change) string {
	is := func(fields ...string) bool {
		return slices.ContainsFunc(different, func(c kvcfg.Change) bool { return slices.Contains(fields, c.Field) })
	}
	switch {
	case is("storage"):
		return "no server changes the storage of a stream: delete the mirror and create it again"
	case is("mirror"):
		return fmt.Sprintf("no server changes the filters of a mirror: `%s sync --recreate %s` with --filter makes it anew", appName, bucket)
	case is("allow_rollup_hdrs", "deny_delete", "allow_direct", "mirror_direct"):
		return fmt.Sprintf("`%s sync %s` gives a mirror what it should have", appName, bucket)
	}
	return fmt.Sprintf("change it with `%s edit %s`, see edit --help", appName, bucket)
}

// showPlan shows the bucket that would be created.
func (o *addOptions) showPlan(rt *runtime, s *session, r *render.Report, plan kvcfg.Plan) error {
	config, err := plan.Config.Config()
	if err != nil {
		return err
	}
	r.Action = render.WouldCreate
	r.PerKeyTTL, r.Config = &config.AllowMsgTTL, plan.Config
	r.Source = &stream.Info{Config: config}
	r.Heading = fmt.Sprintf("Would create Key-Value Store Bucket %s", r.Bucket)
	return rt.show(*r, s.style)
}

// create creates the mirror and checks what the server made of it.
func (o *addOptions) create(ctx context.Context, rt *runtime, s *session, r *render.Report, plan kvcfg.Plan, b beforeAdd) error {
	w := jsapi.Write{Config: plan.Config}
	if plan.EnablesTTL() {
		w.Level = stream.TTLAPILevel
	}
	created, err := s.own.Create(ctx, w)
	if created == nil {
		return writeFailure(r.Stream, "created", "created", err)
	}
	err = writeFailure(r.Stream, "created", "created", err)
	r.SetStream(created)
	r.Origin = b.origin.report(created)
	if err != nil {
		return err
	}
	r.Action = render.Created
	o.warnOfReplicas(rt, r)
	return nil
}
