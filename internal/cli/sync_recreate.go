package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
	"nats-kvmirror/internal/stream"
)

// standsStill is how long a new mirror may get nothing before it is no longer
// waited for.
const standsStill = 30 * time.Second

// recreateOptions are the flags of sync about making a mirror anew.
type recreateOptions struct {
	recreate bool
	originFlags
	allowMsgTTL *bool
	lose        *int64
	config      string
}

func (o *recreateOptions) addRecreate(cmd *fisk.CmdClause) {
	cmd.Flag("recreate", "Delete the mirror and create it again, for what nothing else mends").UnNegatableBoolVar(&o.recreate)
	nameFlag(cmd.Flag("mirror", "With --recreate: the bucket to mirror from now on"), "mirror", &o.mirror).PlaceHolder("ORIGIN")
	o.addTo(cmd, "With --recreate: ")
	boolFlag(cmd.Flag("allow-msg-ttl", "With --recreate: Let keys and delete markers expire, whatever the origin has"), "allow-msg-ttl", &o.allowMsgTTL)
	countFlag(cmd.Flag("lose", "With --recreate: Accept that so many messages are lost that the origin does not hold"), "lose", &o.lose).PlaceHolder("MSGS")
	cmd.Flag("config", "With --recreate: File with the saved configuration of a mirror that was deleted and not created again").PlaceHolder("FILE").StringVar(&o.config)
}

func (o *recreateOptions) complete(buckets []string) error {
	switch {
	case !o.recreate && (o.given() || o.allowMsgTTL != nil || o.lose != nil || o.config != ""):
		return fail(kindUsage, "", "--mirror, --mirror-domain, --mirror-api-prefix, --mirror-deliver-prefix, --filter, --allow-msg-ttl, --lose and --config need --recreate")
	case !o.recreate:
		return nil
	case len(buckets) != 1:
		return fail(kindUsage, "", "--recreate needs the name of one mirror")
	case o.lose != nil && *o.lose < 0:
		return fail(kindUsage, "", "--lose: %d is negative", *o.lose)
	case o.config != "" && (o.given() || o.allowMsgTTL != nil):
		return fail(kindUsage, "", "--config says all that the mirror is to be, and excludes the other settings")
	}
	_, err := o.origin(kvcfg.Origin{Bucket: buckets[0]})
	return err
}

// recreation is a mirror that is deleted and created again.
type recreation struct {
	s      *session
	stream string
	before *stream.Info // nil when it was deleted already
	origin originRead
	plan   kvcfg.Plan
	member *render.Member
	file   string // where the configuration is saved
	ours   bool   // the file was made here, and goes when it is no longer needed
}

// runRecreate deletes a mirror and creates it again.
func (o *syncOptions) runRecreate(ctx context.Context, rt *runtime, s *session, r *render.Fleet) error {
	c, err := o.planRecreation(ctx, rt, s, r)
	if err != nil {
		return err
	}
	if c.before == nil {
		return o.restore(ctx, rt, r, c)
	}
	lost, err := o.loss(ctx, rt, r, c)
	if err != nil {
		return err
	}
	asking := !o.force && !o.dryRun
	if err := o.showPlan(rt, *r, asking); err != nil {
		return err
	}
	o.warnOfRecreation(rt, r, c)
	if o.dryRun {
		c.member.Action, r.Action = render.WouldRecreate, render.WouldRecreate
		rt.say("Would delete bucket %s and create it again", c.member.Bucket)
		return nil
	}
	if yes, err := o.askForRecreation(ctx, rt, c, lost); err != nil || !yes {
		return err
	}
	if err := o.stillHeld(ctx, rt, c, lost); err != nil {
		return err
	}
	if _, err := s.still(ctx, c.before); err != nil {
		return err
	}
	return o.replace(ctx, rt, r, c)
}

// planRecreation reads both sides and plans the new mirror.
func (o *syncOptions) planRecreation(ctx context.Context, rt *runtime, s *session, r *render.Fleet) (*recreation, error) {
	bucket := o.buckets[0]
	c := &recreation{s: s, stream: kvcfg.StreamName(bucket)}
	if err := kvcfg.ValidateBucket(bucket); err != nil {
		return nil, err
	}
	before, err := s.own.Stream(ctx, c.stream)
	switch {
	case errors.Is(err, jsapi.ErrNotFound) && o.config != "":
		return c, o.planRestoration(ctx, r, c)
	case errors.Is(err, jsapi.ErrNotFound):
		return nil, fail(kindNotFound, "`add` creates mirrors; what was saved of one that was deleted is given with --config", "bucket %q does not exist: asked on %q", bucket, s.own.InfoSubject(c.stream))
	case err != nil:
		return nil, fmt.Errorf("cannot read bucket %q: %w", bucket, err)
	case o.config != "":
		return nil, fail(kindExists, "without --config it is made anew as it is", "bucket %q exists, and --config is for one that was deleted", bucket)
	}
	c.before = before
	was, err := kvcfg.OriginOf(before.Config)
	if err != nil {
		return nil, err
	}
	is, err := o.origin(was)
	if err != nil {
		return nil, err
	}
	if c.origin, err = s.mustReadOrigin(ctx, is, "nothing is deleted"); err != nil {
		return nil, err
	}
	c.plan, err = kvcfg.Recreate(before.Config.Raw(), kvcfg.Recreation{Origin: is, Filters: o.filters, AllowMsgTTL: o.allowMsgTTL}, c.origin.stream.Config)
	if err != nil {
		return nil, err
	}
	if err := s.knowsTTL(ctx, c.plan); err != nil {
		return nil, err
	}
	c.describe(r, was)
	return c, nil
}

// knowsTTL makes sure, before anything is deleted, that the server has per-key TTL
// if a new mirror is to have it: 2.10 drops the setting without a word.
func (s *session) knowsTTL(ctx context.Context, plan kvcfg.Plan) error {
	if !plan.EnablesTTL() {
		return nil
	}
	account, err := s.own.Account(ctx)
	if err != nil {
		return fmt.Errorf("what the mirror's server supports could not be read, so nothing is deleted: %w", err)
	}
	if account.Level < stream.TTLAPILevel {
		return tooOldForTTL(s, "--no-allow-msg-ttl makes the mirror anew without it, rid of what has expired so far")
	}
	return nil
}

// mustReadOrigin reads an origin that has to be readable; so says what follows when
// it is not.
func (s *session) mustReadOrigin(ctx context.Context, origin kvcfg.Origin, so string) (originRead, error) {
	read := s.readOrigin(ctx, origin)
	if read.stream != nil {
		return read, nil
	}
	if read.missing() || errors.Is(read.err, context.Canceled) {
		return read, read.failure()
	}
	return read, fail(kindOriginUnread, read.hint(), "the origin, %v, cannot be read, so %s: %w", origin, so, read.err)
}

// describe makes the mirror the one member of the document.
func (c *recreation) describe(r *render.Fleet, origin kvcfg.Origin) {
	facts := check.Facts{Mirror: c.before, Origin: c.origin.stream}
	bucket, _ := kvcfg.BucketName(c.stream)
	m := member(fleet.Mirror{Bucket: bucket, Origin: origin, Facts: facts}, c.s.own.Prefix(), nil)
	m.Action, m.Changes = render.Unchanged, c.plan.Changes
	r.Mirrors = []render.Member{m}
	c.member = &r.Mirrors[0]
}

// lostBy compares the mirror with what is to be its origin and returns how many of
// its messages the origin does not hold. What has expired is no loss. When that is
// not known it is all of them, and unknown says why.
func (o *syncOptions) lostBy(ctx context.Context, rt *runtime, c *recreation, found func(content.Item) error) (lost uint64, unknown string, err error) {
	m := fleet.Mirror{Bucket: c.member.Bucket, Origin: c.origin.origin, Facts: check.Facts{Mirror: c.before}}
	compared, err := rt.compare(ctx, c.s, &o.messages, m, o.messages.comparer(c.s, m), found)
	if ctx.Err() != nil {
		return 0, "", ctx.Err()
	}
	c.member.Content = compared
	switch {
	case err != nil:
		return c.before.State.Msgs, err.Error(), nil
	case compared.OriginUnreadable != "":
		return c.before.State.Msgs, compared.OriginUnreadable, nil
	}
	return compared.LeftOver[content.Gone] + content.Sum(compared.Different) + compared.Pending + compared.Kept, "", nil
}

// loss finds out how many messages would be lost, and whether that is accepted.
func (o *syncOptions) loss(ctx context.Context, rt *runtime, r *render.Fleet, c *recreation) (uint64, error) {
	file, err := createItemFile(o.messages.outfile)
	if err != nil {
		return 0, err
	}
	lost, why, err := o.lostBy(ctx, rt, c, func(i content.Item) error { return file.add(c.member.Bucket, i) })
	if err = errors.Join(err, file.close()); err != nil {
		return 0, err
	}
	if lost > 0 && !rt.json {
		if err := render.Contents(rt.Out, []render.Member{*c.member}, c.s.style); err != nil {
			return 0, err
		}
	}
	if lost > 0 && !o.accepts(lost) && !o.force && !o.dryRun {
		because := fmt.Sprintf("the origin, %v, does not hold them", c.origin.origin)
		if why != "" {
			because = "how many is not known: " + why
		}
		return lost, fail(kindRefused, fmt.Sprintf("--lose %d accepts it; --force asks at the prompt", lost),
			"up to %s of bucket %q would be lost: %s", plural(int(lost), "message"), c.member.Bucket, because)
	}
	switch {
	case why != "":
		rt.warn(r, "how many messages would be lost is not known (%s): up to %d", why, lost)
	case lost > 0:
		rt.warn(r, "up to %s would be lost, which the origin does not hold", plural(int(lost), "message"))
	}
	return lost, nil
}

// accepts says whether the flags accept that so many messages are lost.
func (o *recreateOptions) accepts(lost uint64) bool {
	return lost == 0 || o.lose != nil && uint64(*o.lose) >= lost
}

// stillHeld makes sure, right before the mirror is deleted, that the origin still
// holds what it held, but for so many messages whose loss was accepted. What
// happens between this look and the deletion is not seen.
func (o *syncOptions) stillHeld(ctx context.Context, rt *runtime, c *recreation, accepted uint64) error {
	before := c.origin.stream
	again, err := c.s.mustReadOrigin(ctx, c.origin.origin, "nothing is deleted")
	if err != nil {
		return err
	}
	c.origin = again
	now := again.stream.State
	switch {
	case !again.stream.Created.Equal(before.Created) || now.LastSeq < before.State.LastSeq:
		return fail(kindConflict, "run the command again", "the origin, %v, was created again since the mirror was compared with it, so nothing is deleted", again.origin)
	case now.Msgs-before.State.Msgs == now.LastSeq-before.State.LastSeq:
		return nil // it has only grown
	}
	lost, _, err := o.lostBy(ctx, rt, c, func(content.Item) error { return nil })
	if err != nil {
		return err
	}
	if lost > accepted && !o.accepts(lost) {
		return fail(kindConflict, "run the command again", "%s of bucket %q would be lost now, because the origin, %v, has changed since, so nothing is deleted", plural(int(lost), "message"), c.member.Bucket, again.origin)
	}
	return nil
}

// warnOfRecreation says what else goes with the mirror.
func (o *syncOptions) warnOfRecreation(rt *runtime, r *render.Fleet, c *recreation) {
	rt.warn(r, "to make bucket %s anew it is deleted and created again: until it has caught up, its readers find less than there is", c.member.Bucket)
	if n := c.before.State.Consumers; n > 0 {
		rt.warn(r, "%s of the mirror will be gone then: its watchers, and mirrors of this mirror, have to begin anew", plural(n, "consumer"))
	}
}

// askForRecreation asks whether to go on. What would be lost is asked about also
// with --force, unless --lose accepts it.
func (o *syncOptions) askForRecreation(ctx context.Context, rt *runtime, c *recreation, lost uint64) (bool, error) {
	question := fmt.Sprintf("Really delete bucket %s and create it again?", c.member.Bucket)
	switch {
	case o.accepts(lost) && o.force:
		return true, nil
	case !o.accepts(lost):
		question = fmt.Sprintf("Really delete bucket %s and lose %s?", c.member.Bucket, plural(int(lost), "message"))
		if !rt.prompt.Available() {
			return false, fail(kindNoTerminal, fmt.Sprintf("--lose %d accepts the loss", lost), "there is no terminal to ask on whether %s may be lost", plural(int(lost), "message"))
		}
	}
	yes, err := rt.prompt.Confirm(ctx, question, c.s.style.ColorScheme)
	if err == nil && !yes {
		rt.say("Bucket %s was not changed", c.member.Bucket)
	}
	return yes, err
}

// replace deletes the mirror and creates the new one. Between the two, nothing
// interrupts it.
func (o *syncOptions) replace(ctx context.Context, rt *runtime, r *render.Fleet, c *recreation) error {
	var err error
	if c.file, err = saveConfig(c.before.Config.Raw(), c.member.Bucket, time.Now()); err != nil {
		return err
	}
	c.ours = true
	fmt.Fprintf(rt.Err, "the configuration of bucket %s is saved in %s until it is created again\n", c.member.Bucket, c.file)
	steady := context.WithoutCancel(ctx)
	if err := c.s.remove(steady, c.stream); err != nil {
		c.member.Action, c.member.Failure = render.Failed, failureOf(err)
		if explain(err).kind == kindUnknownOutcome {
			c.member.Action = render.Unknown
			return c.withRestore(err)
		}
		c.forget() // it is still there
		return err
	}
	created, err := c.create(steady, c.plan.Config)
	if err != nil {
		return o.putBack(steady, c, err)
	}
	r.Action, c.member.Action = render.Recreated, render.Recreated
	return o.prove(ctx, rt, c, created)
}

// putBack creates the mirror as it was, since the new one could not be created.
func (o *syncOptions) putBack(ctx context.Context, c *recreation, cause error) error {
	c.member.Action, c.member.Failure = render.Failed, failureOf(cause)
	switch explain(cause).kind {
	case kindUnknownOutcome:
		c.member.Action = render.Unknown
		return c.withRestore(cause)
	case kindNotKept: // it is there
		return c.withRestore(cause)
	}
	old, err := kvcfg.ForCreation(c.before.Config.Raw())
	if err == nil {
		_, err = c.create(ctx, old)
	}
	if err != nil {
		return c.withRestore(fmt.Errorf("bucket %q was deleted and could not be created again: %w", c.member.Bucket, cause))
	}
	c.forget()
	return fmt.Errorf("bucket %q was created again as it was, because the server refused the new one: %w", c.member.Bucket, cause)
}

// withRestore adds to a failure how to get the mirror back.
func (c *recreation) withRestore(err error) error {
	f := explain(err)
	return &failure{kind: f.kind, err: err, hint: fmt.Sprintf("the mirror's configuration is in %s; `%s sync --recreate %s --config %s` creates it again", c.file, appName, c.member.Bucket, c.file)}
}

// forget removes what was saved, when it is no longer needed.
func (c *recreation) forget() {
	if c.ours {
		_ = os.Remove(c.file)
	}
}

// create creates the mirror, trying again while the servers are not done with
// the deletion or do not answer.
func (c *recreation) create(ctx context.Context, config stream.Raw) (*stream.Info, error) {
	known, err := config.Config()
	if err != nil {
		return nil, err
	}
	w := jsapi.Write{Config: config}
	if known.AllowMsgTTL {
		w.Level = stream.TTLAPILevel
	}
	deadline := time.Now().Add(c.s.conn.Timeout())
	for {
		created, err := c.s.own.Create(ctx, w)
		if created != nil {
			return created, writeFailure(c.stream, "created", "created", err)
		}
		again := errors.Is(err, jsapi.ErrNoResponders) || jsapi.NotYetGone(err)
		if !again || time.Now().After(deadline) {
			return nil, writeFailure(c.stream, "created", "created", err)
		}
		time.Sleep(pollInterval)
	}
}

// prove waits until the new mirror has all, and compares it with its origin.
func (o *syncOptions) prove(ctx context.Context, rt *runtime, c *recreation, created *stream.Info) error {
	c.forget()
	m := c.member
	m.PerKeyTTL = created.Config.AllowMsgTTL
	m.Note = "it was created and is not compared with its origin"
	if c.origin.stream == nil {
		rt.sayOf(m)
		return fail(kindOriginUnread, c.proveIt(), "bucket %q was created again, and could not be compared with its origin, %v: %w", m.Bucket, c.origin.origin, c.origin.err)
	}
	bar := newWaitBar(rt, c.s.style, m.Bucket)
	mirror, err := c.caughtUp(ctx, created, bar)
	bar.stop()
	m.Values, m.Bytes, m.LastSeq = mirror.State.Msgs, mirror.State.Bytes, mirror.State.LastSeq
	if err != nil {
		return err
	}
	if c.before != nil && mirror.Created.Equal(c.before.Created) {
		return fail(kindConflict, "run the command again to see how it is now", "bucket %q was deleted and created again, as the server says, and is the old one still: the server is wrong", m.Bucket)
	}
	target := fleet.Mirror{Bucket: m.Bucket, Origin: c.origin.origin, Facts: check.Facts{Mirror: mirror}}
	compared, err := rt.compare(ctx, c.s, &o.messages, target, o.messages.comparer(c.s, target), func(content.Item) error { return nil })
	if ctx.Err() != nil {
		return fail(kindInterrupted, c.proveIt(), "interrupted: bucket %q was created again", m.Bucket)
	}
	m.Content = compared
	m.Note = "it " + compared.Sentence()
	rt.sayOf(m)
	switch {
	case err != nil:
		return fail(explain(err).kind, c.proveIt(), "bucket %q was created again, and the proof failed: %w", m.Bucket, err)
	case compared.Verdict != content.Identical:
		return fail(kindIncomplete, c.proveIt(), "bucket %q was created again and is not proved to hold what its origin holds", m.Bucket)
	}
	return nil
}

// proveIt is how to prove later what could not be proved now.
func (c *recreation) proveIt() string {
	return fmt.Sprintf("`%s check %s --content` compares it with its origin", appName, c.member.Bucket)
}

// caughtUp waits until the mirror has come to where its origin was. It gives up
// when nothing has come for long, or when the mirror cannot be read.
func (c *recreation) caughtUp(ctx context.Context, mirror *stream.Info, bar *bar) (*stream.Info, error) {
	target := c.origin.stream.State.LastSeq
	mirror, err := c.s.reach(ctx, mirror, c.origin, target, bar, func(standing time.Duration) bool { return standing > standsStill })
	switch {
	case err == nil:
		return mirror, nil
	case errors.Is(err, errGivenUp):
		err = fail(kindNotCaughtUp, fmt.Sprintf("see `%s info %s`", appName, c.member.Bucket),
			"bucket %q was created again, and nothing came for %v: it is at sequence %d of %d", c.member.Bucket, standsStill, mirror.State.LastSeq, target)
	case ctx.Err() != nil:
		err = fail(kindInterrupted, c.proveIt(), "interrupted: bucket %q was created again and is at sequence %d of %d", c.member.Bucket, mirror.State.LastSeq, target)
	default:
		err = fail(explain(err).kind, c.proveIt(), "bucket %q was created again, and cannot be read since: %w", c.member.Bucket, err)
	}
	return mirror, err
}
