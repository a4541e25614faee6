package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// RecreateRequest is a mirror to delete and create again. What it leaves open stays
// as it is.
type RecreateRequest struct {
	Bucket   string
	Origin   OriginChange
	Filters  []string       // keys to mirror
	Settings kvcfg.Settings // but for the storage
	// AcceptLoss is consent to the loss of so many messages that the origin does not
	// hold.
	AcceptLoss uint64
	Content    ContentOptions
	// BackupDir is where the configuration is saved until the mirror is created
	// again; "" for the user's cache.
	BackupDir string
}

// OriginChange is what to change of a mirror's origin; nil leaves a part as it is.
type OriginChange struct {
	Bucket, APIPrefix, DeliverPrefix *string
}

// Apply is the origin with the changes.
func (o OriginChange) Apply(origin kvcfg.Origin) kvcfg.Origin {
	for _, part := range []struct{ to, from *string }{{&origin.Bucket, o.Bucket}, {&origin.APIPrefix, o.APIPrefix}, {&origin.DeliverPrefix, o.DeliverPrefix}} {
		if part.from != nil {
			*part.to = *part.from
		}
	}
	return origin
}

// RecreatePlan is a mirror that would be deleted and created again, or only created
// from its saved configuration.
type RecreatePlan struct {
	Report
	// Loss is how many messages of the mirror its new origin does not hold. Where
	// that is not known it is all of them, and LossUnknown says why.
	Loss        uint64
	LossUnknown string
	// AcceptLoss is the request's. A surface that has asked for consent raises it.
	AcceptLoss uint64

	client   *Client
	options  ContentOptions
	settings kvcfg.Settings
	dir      string
	before   *stream.Info // nil when it was deleted already
	origin   originRead
	plan     kvcfg.Plan
	// provedAt is when it was proved that the new mirror can be created.
	provedAt time.Time
	backup   string // file with the saved configuration
	ours     bool   // the file was made here, and goes when it is no longer needed
}

// PlanRecreate plans to delete a mirror and to create it again, after it was found
// out what of its messages the origin does not hold. The origin must be readable. The
// plan is valid also with an error.
func (c *Client) PlanRecreate(ctx context.Context, req RecreateRequest) (*RecreatePlan, error) {
	p := &RecreatePlan{client: c, options: req.Content, settings: req.Settings, dir: req.BackupDir, AcceptLoss: req.AcceptLoss}
	p.Bucket, p.Stream = req.Bucket, kvcfg.StreamName(req.Bucket)
	before, err := c.readBucket(ctx, req.Bucket)
	if errors.Is(err, ErrNotFound) {
		return p, AsError(err).advise(Advice{Code: AddOrRestore, Bucket: req.Bucket})
	}
	if err != nil {
		return p, err
	}
	p.before = before
	p.set(before)
	was, err := kvcfg.OriginOf(before.Config)
	if err != nil {
		return p, AsError(err)
	}
	is := req.Origin.Apply(was)
	if p.origin, err = c.requireOrigin(ctx, is, "nothing is deleted"); err != nil {
		return p, err
	}
	p.Origin = p.origin.report(before)
	p.plan, err = kvcfg.Recreate(before.Config.Raw(), kvcfg.Recreation{Origin: is, Filters: req.Filters, Settings: req.Settings}, p.origin.info.Config)
	if err != nil {
		return p, about(p.Bucket, err)
	}
	p.Changes = p.plan.Changes
	if err := p.checkLevel(ctx); err != nil {
		return p, err
	}
	if err := p.verifyCreatable(ctx); err != nil {
		return p, err
	}
	if p.Loss, p.LossUnknown, err = p.loss(ctx, p.options); err != nil {
		return p, err
	}
	p.Action = WouldRecreate
	p.warn()
	warnOfSettings(&p.Warnings, req.Settings, p.origin.config())
	return p, nil
}

// checkLevel makes sure, before anything is deleted, that the server has per-key TTL
// if a new mirror is to have it: 2.10 drops the setting without a word.
func (p *RecreatePlan) checkLevel(ctx context.Context) error {
	if !p.plan.EnablesTTL() {
		return nil
	}
	account, err := p.client.own.Account(ctx)
	if err != nil {
		return AsError(err).wrap("what the mirror's server supports could not be read, so nothing is deleted")
	}
	if account.Level < stream.TTLAPILevel {
		return p.client.tooOldForTTL(Advice{Code: RecreateWithoutTTL, Bucket: p.Bucket})
	}
	return nil
}

// loss compares the mirror with what is to be its origin and returns how many of
// its messages the origin does not hold. What has expired is no loss; by the settings
// of another stream than the one that the mirror was filled from, nothing has. When
// the loss is not known it is all of them, and unknown says why.
func (p *RecreatePlan) loss(ctx context.Context, o ContentOptions) (lost uint64, unknown string, err error) {
	o.Quick, o.foreign = false, p.foreign()
	compared, foundErr, err := p.client.compare(ctx, p.origin.pair(p.Bucket, p.before), o, nil)
	switch {
	case ctx.Err() != nil:
		return 0, "", AsError(ctx.Err())
	case foundErr != nil:
		return 0, "", AsError(foundErr)
	}
	p.Content = compared
	switch {
	case err != nil:
		return p.before.State.Msgs, err.Error(), nil
	case compared.OriginUnreadable != "":
		return p.before.State.Msgs, compared.OriginUnreadable, nil
	}
	// What could not be compared, or may be gone at the origin, is not known to be held.
	lost = compared.DifferentCount() + compared.Pending + compared.Kept + compared.MissingAbove + compared.Unresolved + compared.Unreadable
	if here, there := p.before.Config.MaxMsgsPerSubject, p.origin.info.Config.MaxMsgsPerSubject; there > 0 && (here <= 0 || here > there) {
		lost += compared.Uncertain
	}
	for reason, n := range compared.LeftOver {
		if !content.Explained(reason) {
			lost += n
		}
	}
	return lost, "", nil
}

// foreign says that the origin is not known to be the stream that the mirror was filled
// from: it is another one, or was created after the mirror.
func (p *RecreatePlan) foreign() bool {
	origin := p.origin.info
	return !p.originStays() || p.before.Created.Before(origin.Created) || p.before.State.LastSeq > origin.State.LastSeq
}

// warn tells what goes with the mirror.
func (p *RecreatePlan) warn() {
	switch {
	case p.LossUnknown != "":
		p.Warnings.add("loss-unknown", "how many messages would be lost is not known (%s): up to %d", p.LossUnknown, p.Loss)
	case p.Loss > 0:
		p.Warnings.add("loss", "up to %s would be lost, which the origin does not hold", count(p.Loss, "message"))
	}
	p.Warnings.add("recreate", "bucket %s is deleted and created again: until it has caught up, its readers find less than there is", p.Bucket)
	if n := p.before.State.Consumers; n > 0 {
		p.Warnings.add("consumers", "%s of the mirror will be gone: its watchers, and mirrors of this mirror, have to start again", count(n, "consumer"))
	}
}

// refuseLoss is the failure that messages would be lost without consent; nil when
// none would, or there is consent.
func (p *RecreatePlan) refuseLoss() error {
	if p.Loss <= p.AcceptLoss {
		return nil
	}
	because := fmt.Sprintf("the origin, %v, does not hold them", p.origin.origin)
	if p.LossUnknown != "" {
		because = "how many is not known: " + p.LossUnknown
	}
	return fail(ErrRefused, "up to %s of bucket %q would be lost: %s", count(p.Loss, "message"), p.Bucket, because).
		advise(Advice{Code: AcceptLoss, Count: p.Loss})
}

// Apply deletes the mirror and creates it again, waits until it has caught up, and
// compares it with its origin. It is refused when more would be lost than is accepted,
// and when mirror or origin have changed since the plan. Between the deletion and the
// creation, the end of ctx does not interrupt it. The result is valid also with an
// error.
func (p *RecreatePlan) Apply(ctx context.Context) (*Report, error) {
	if p.before == nil {
		return p.restore(ctx)
	}
	if err := p.refuseLoss(); err != nil {
		return &p.Report, err
	}
	if err := p.verifyHeld(ctx); err != nil {
		return &p.Report, err
	}
	if time.Since(p.provedAt) > maxProofAge {
		if err := p.verifyCreatable(ctx); err != nil {
			return &p.Report, err
		}
	}
	if _, err := p.client.verifyUnchanged(ctx, p.before); err != nil {
		return &p.Report, err
	}
	return &p.Report, p.replace(ctx)
}

// verifyHeld makes sure, right before the mirror is deleted, that the origin holds
// what it held, but for so many messages whose loss was accepted. What happens
// between this read and the deletion is not seen.
func (p *RecreatePlan) verifyHeld(ctx context.Context) error {
	before := p.origin.info
	again, err := p.client.requireOrigin(ctx, p.origin.origin, "nothing is deleted")
	if err != nil {
		return err
	}
	p.origin = again
	now := again.info.State
	switch {
	case !again.info.Created.Equal(before.Created) || now.LastSeq < before.State.LastSeq:
		return fail(ErrConflict, "the origin, %v, was created again since the mirror was compared with it, so nothing is deleted", again.origin).advise(Advice{Code: RunAgain})
	case now.Msgs-before.State.Msgs == now.LastSeq-before.State.LastSeq:
		return nil // it has only grown
	}
	o := p.options
	o.Found = nil // they were told of
	lost, _, err := p.loss(ctx, o)
	if err != nil {
		return err
	}
	if lost > p.AcceptLoss {
		return fail(ErrConflict, "%s of bucket %q would be lost now, because the origin, %v, has changed since, so nothing is deleted", count(lost, "message"), p.Bucket, again.origin).advise(Advice{Code: RunAgain})
	}
	return nil
}

// replace deletes the mirror and creates the new one.
func (p *RecreatePlan) replace(ctx context.Context) error {
	var err error
	if p.backup, err = saveBackup(p.dir, p.before.Config.Raw(), p.Bucket, time.Now()); err != nil {
		return err
	}
	p.ours = true
	p.client.observer.Saved(p.Bucket, p.backup)
	steady := context.WithoutCancel(ctx)
	if err := p.client.delete(steady, p.Stream); err != nil {
		if errors.Is(err, ErrOutcomeUnknown) {
			p.gone() // it may be
			return p.withRestore(err)
		}
		p.removeBackup() // the mirror is there
		return err
	}
	created, err := p.create(steady, p.plan.Config)
	if err != nil {
		return p.putBack(steady, err)
	}
	return p.finish(ctx, created)
}

// create creates the mirror, trying again while the servers are not done with
// the deletion or do not answer.
func (p *RecreatePlan) create(ctx context.Context, config stream.Raw) (*stream.Info, error) {
	var created *stream.Info
	var failed error
	deadline := time.Now().Add(p.client.conn.Timeout())
	err := jsapi.Poll(ctx, p.client.waits.Poll, func() (bool, error) {
		created, failed = p.client.create(ctx, config)
		again := created == nil && failed != nil && (errors.Is(failed, jsapi.ErrNoResponders) || jsapi.NotYetGone(failed))
		return !again || time.Now().After(deadline), nil
	})
	return created, errors.Join(failed, err)
}

// putBack creates the mirror as it was, since the new one could not be created.
func (p *RecreatePlan) putBack(ctx context.Context, cause error) error {
	p.gone()
	if errors.Is(cause, ErrOutcomeUnknown) || errors.Is(cause, ErrNotKept) {
		return p.withRestore(cause)
	}
	var created *stream.Info
	old, err := kvcfg.ForCreation(p.before.Config.Raw())
	if err == nil {
		created, err = p.create(ctx, old)
	}
	if created != nil {
		p.set(created)
	}
	if err != nil {
		return p.withRestore(AsError(cause).wrap("bucket %q was deleted and could not be created again", p.Bucket))
	}
	p.removeBackup()
	return AsError(cause).wrap("bucket %q was created again as it was, because the server refused the new one", p.Bucket)
}

// withRestore adds to a failure how to get the mirror back.
func (p *RecreatePlan) withRestore(err error) error {
	e := *AsError(err)
	e.Advice = []Advice{{Code: Restore, Bucket: p.Bucket, File: p.backup}}
	return &e
}

// finish waits until the new mirror has caught up, and compares it with its origin.
func (p *RecreatePlan) finish(ctx context.Context, created *stream.Info) error {
	p.removeBackup()
	p.Action = Recreated
	p.set(created)
	p.warnOfReplicas(p.settings)
	p.Content = nil
	compare := Advice{Code: CompareContent, Bucket: p.Bucket}
	if p.origin.info == nil {
		return fail(ErrOriginUnreadable, "bucket %q was created again, and could not be compared with its origin, %v: %w", p.Bucket, p.origin.origin, p.origin.err).advise(compare)
	}
	mirror, err := p.waitForOrigin(ctx, created)
	p.set(mirror)
	p.Origin = p.origin.report(mirror)
	if err != nil {
		return err
	}
	if p.before != nil && mirror.Created.Equal(p.before.Created) {
		return fail(ErrConflict, "bucket %q was deleted and created again, as the server says, and is the old one: the server is wrong", p.Bucket).advise(Advice{Code: RunAgain})
	}
	compared, err := p.compareNew(ctx, mirror)
	if ctx.Err() != nil {
		return fail(ErrInterrupted, "interrupted: bucket %q was created again, and is not compared with its origin", p.Bucket).advise(compare)
	}
	p.Content = compared
	switch {
	case err != nil:
		return fail(AsError(err).Kind, "bucket %q was created again, and could not be compared with its origin: %w", p.Bucket, err).advise(compare)
	case compared.Verdict != Identical && compared.Verdict != SameSequences:
		return fail(ErrIncomplete, "bucket %q was created again and is not verified to hold what its origin holds", p.Bucket).advise(compare)
	}
	return nil
}

// compareNew compares the new mirror with its origin: by their sequences, and then, unless
// these are enough, message by message.
func (p *RecreatePlan) compareNew(ctx context.Context, mirror *stream.Info) (*Content, error) {
	o := p.options
	o.Found, o.Quick = nil, !o.Bodies
	compared, _, err := p.client.compare(ctx, p.origin.pair(p.Bucket, mirror), o, nil)
	if err == nil && compared.Verdict == SameSequences && !p.options.Quick {
		o.Quick = false
		compared, _, err = p.client.compare(ctx, p.origin.pair(p.Bucket, mirror), o, nil)
	}
	return compared, err
}

// waitForOrigin waits until the mirror has come to where its origin was. It gives up
// when nothing has come for long, or when the mirror cannot be read.
func (p *RecreatePlan) waitForOrigin(ctx context.Context, mirror *stream.Info) (*stream.Info, error) {
	target := p.origin.info.State.LastSeq
	stall := p.client.waits.Stall
	mirror, err := p.client.waitForSeq(ctx, mirror, p.origin, target, func(idle time.Duration) bool { return idle > stall })
	compare := Advice{Code: CompareContent, Bucket: p.Bucket}
	switch {
	case err == nil:
		return mirror, nil
	case errors.Is(err, errGivenUp):
		err = fail(ErrNotCaughtUp, "bucket %q was created again, and nothing came for %v: it is at sequence %d of %d", p.Bucket, stall, mirror.State.LastSeq, target).advise(Advice{Code: ShowInfo, Bucket: p.Bucket})
	case ctx.Err() != nil:
		err = fail(ErrInterrupted, "interrupted: bucket %q was created again and is at sequence %d of %d", p.Bucket, mirror.State.LastSeq, target).advise(compare)
	default:
		err = fail(AsError(err).Kind, "bucket %q was created again, and cannot be read since: %w", p.Bucket, err).advise(compare)
	}
	return mirror, err
}
