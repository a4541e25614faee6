package mirror

import (
	"context"
	"errors"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// PromoteRequest is a mirror to make a bucket of its own.
type PromoteRequest struct {
	Bucket    string
	MarkerTTL *time.Duration // limit markers; nil leaves them off
	// OriginAlive is consent to two buckets that take values: the mirror is promoted
	// also while its origin is alive, or may be.
	OriginAlive bool
}

// promotion is what the two ways to promote a mirror have in common.
type promotion struct {
	Report
	client   *Client
	request  PromoteRequest
	mirror   *stream.Info
	account  *jsapi.Account // nil when the server did not say
	origin   originRead
	storedAs string    // the bucket as whose keys the mirror's messages are stored
	watched  time.Time // until when a sign of life of the origin was looked for
	answer   []string  // streams that answer direct gets of the name
}

// PromotePlan is a mirror that would become a bucket of its own.
type PromotePlan struct {
	promotion
	plan kvcfg.Plan
}

// PlanPromote plans to take the origin out of a mirror, which from then on takes
// values itself. It cannot be undone. An origin that is alive is [ErrRefused] unless
// the request consents to it. A bucket that is no mirror, as after a promotion, has
// the action [Unchanged]. The plan is valid also with an error.
func (c *Client) PlanPromote(ctx context.Context, req PromoteRequest) (*PromotePlan, error) {
	p := &PromotePlan{}
	if err := p.read(ctx, c, req); err != nil {
		return p, err
	}
	if p.promoted() {
		p.Action = Unchanged
		return p, nil
	}
	if err := p.readOrigin(ctx); err != nil {
		return p, err
	}
	plan, err := kvcfg.Promote(p.mirror.Config.Raw(), p.storedAs, req.MarkerTTL)
	if errors.Is(err, kvcfg.ErrOtherKeys) {
		return p, fail(ErrRefused, "bucket %q: its keys are stored as those of bucket %q, where no client of bucket %q would find them", p.Bucket, p.storedAs, p.Bucket).
			advise(Advice{Code: PromoteInto, Bucket: p.Bucket, Into: p.storedAs})
	}
	if err != nil {
		return p, about(p.Bucket, err)
	}
	p.plan, p.Changes = plan, plan.Changes
	if err := p.canPromoteInPlace(); err != nil {
		return p, err
	}
	if _, err := p.checkOriginAlive(ctx); err != nil {
		return p, err
	}
	if p.answer, err = c.directGetMirrors(ctx, &p.Report, p.Bucket); err != nil {
		return p, err
	}
	p.Action = WouldPromote
	p.Warnings.add("irreversible", "this cannot be undone: bucket %s takes values itself from now on, and follows no origin again", p.Bucket)
	if p.origin.info == nil && !p.origin.missing() {
		p.Warnings.add("origin-unreadable", "the origin does not answer, as it also does when only the link is down; if it is alive, there are two buckets that take values")
	}
	p.warnOfConfig()
	return p, nil
}

// read reads the mirror.
func (p *promotion) read(ctx context.Context, c *Client, req PromoteRequest) (err error) {
	p.client, p.request = c, req
	p.Bucket, p.Stream = req.Bucket, kvcfg.StreamName(req.Bucket)
	if req.MarkerTTL != nil && *req.MarkerTTL < kvcfg.MinMarkerTTL {
		return fail(ErrInvalid, "marker ttl: it must be %v or longer", kvcfg.MinMarkerTTL)
	}
	if p.mirror, p.account, err = c.readMirror(ctx, req.Bucket); err != nil {
		return err
	}
	p.set(p.mirror)
	return nil
}

// promoted says that the bucket is what promoting makes of a mirror.
func (p *promotion) promoted() bool {
	c, marker := p.mirror.Config, p.request.MarkerTTL
	return errors.Is(kvcfg.CheckMirror(c), kvcfg.ErrNotMirror) && (marker == nil || *marker == c.SubjectDeleteMarkerTTL)
}

// readOrigin reads the origin, and finds out as whose keys the mirror's are stored.
func (p *promotion) readOrigin(ctx context.Context) error {
	origin, err := kvcfg.OriginOf(p.mirror.Config)
	if err != nil {
		return AsError(err)
	}
	if err := p.findStoredAs(ctx); err != nil {
		return err
	}
	p.origin = p.client.readOrigin(ctx, origin)
	p.Origin = p.origin.report(p.mirror)
	return nil
}

// findStoredAs finds the bucket as whose keys the mirror's messages are stored, told
// by its first message, or by its configuration when it has none or may not be
// asked: above its origin there may be others.
func (p *promotion) findStoredAs(ctx context.Context) error {
	bucket, ok := kvcfg.StoredAs(p.mirror.Config)
	if ok && p.mirror.State.Msgs > 0 {
		subject, err := p.client.own.FirstSubject(ctx, p.Stream)
		switch {
		case err == nil:
			bucket, ok = kvcfg.SubjectBucket(subject)
		case errors.Is(err, context.Canceled):
			return AsError(err)
		}
	}
	if !ok {
		return fail(ErrRefused, "bucket %q stores its keys as those of several buckets, or of none, so they cannot become those of one", p.Bucket)
	}
	p.storedAs = bucket
	return nil
}

// serverCanPromote says whether the mirror's server can take the origin out of a
// mirror; known is false when it did not say its version.
func (p *promotion) serverCanPromote() (can, known bool) {
	can, known = p.mirror.Config.ServerVersion().CanPromote()
	if !known && p.account != nil {
		return p.account.Level >= stream.PromoteAPILevel, true
	}
	return can, known
}

// canPromoteInPlace refuses a server that is known to be too old.
func (p *PromotePlan) canPromoteInPlace() error {
	if can, known := p.serverCanPromote(); can || !known {
		return nil
	}
	server := "the mirror's server"
	if version := p.mirror.Config.ServerVersion(); version != (stream.Version{}) {
		server = "server " + version.String()
	}
	return fail(ErrOldServer, "%s cannot make a mirror a bucket of its own", server).advise(Advice{Code: UpgradeTo, Version: "2.12"}, p.intoAnother())
}

func (p *PromotePlan) intoAnother() Advice {
	return Advice{Code: PromoteInto, Bucket: p.Bucket, Into: p.Bucket + "2"}
}

// mirrorCannotChange makes the answer of a server that cannot promote a failure that
// says so; other errors stay what they are.
func mirrorCannotChange(err error, advice Advice) error {
	if e := (*jsapi.Error)(nil); errors.As(err, &e) && e.Code == jsapi.CodeMirrorStays {
		return fail(ErrOldServer, "%w", err).advise(Advice{Code: UpgradeTo, Version: "2.12"}, advice)
	}
	return err
}

// checkOriginAlive says whether the origin shows a sign of life, which is an error
// without consent, and a warning with it.
func (p *promotion) checkOriginAlive(ctx context.Context) (alive bool, err error) {
	sign, err := p.client.signOfLife(ctx, p.origin, p.mirror)
	p.watched = time.Now()
	switch {
	case err != nil && ctx.Err() == nil && p.request.OriginAlive:
		p.Warnings.add("origin-unknown", "%v", err)
		return true, nil
	case err != nil:
		return false, err
	case sign == "":
		return false, nil
	case p.request.OriginAlive:
		p.Warnings.add("split-brain", "SPLIT BRAIN: %s; once it is promoted there are two buckets that take values, and what is written to one never reaches the other", sign)
		return true, nil
	}
	return true, originAlive(sign)
}

func originAlive(sign string) error {
	return fail(ErrRefused, "%s: two buckets that take values would drift apart", sign).advise(Advice{Code: OriginAlive})
}

// verifyOriginGone makes sure, before the write, that neither the mirror nor what was
// seen of its origin has changed since the plan.
func (p *PromotePlan) verifyOriginGone(ctx context.Context) error {
	asked := time.Now()
	now, err := p.client.verifyUnchanged(ctx, p.mirror)
	if err != nil {
		return err
	}
	if !p.request.OriginAlive {
		if sign := signOfLifeSince(p.watched, p.client.readOrigin(ctx, p.origin.origin), now, asked); sign != "" {
			return originAlive(sign)
		}
	}
	if err := ctx.Err(); err != nil {
		return AsError(err)
	}
	return nil
}

// warnOfConfig tells what of a mirror's configuration is in the way of one that takes
// values itself.
func (p *promotion) warnOfConfig() {
	c := p.mirror.Config
	if !c.AllowRollup {
		p.Warnings.add("rollup-off", "roll-ups are not allowed on the bucket, so clients cannot purge a key")
		p.Warnings.advise(Advice{Code: RepairRollups, Bucket: p.Bucket})
	}
	if c.Filtered() {
		p.Warnings.add("filtered", "the mirror took only some of its origin's keys; the bucket has no others")
	}
}

// Apply promotes the mirror, after it made sure that nothing has changed since the
// plan. The result is valid also with an error.
func (p *PromotePlan) Apply(ctx context.Context) (*Report, error) {
	if p.Action != WouldPromote {
		return &p.Report, nil
	}
	if err := p.verifyOriginGone(ctx); err != nil {
		return &p.Report, err
	}
	disabled, err := p.client.disableMirrorDirect(ctx, &p.Report, p.Bucket, p.answer, p.request.OriginAlive)
	if err != nil {
		return &p.Report, withDisabled(err, p.Bucket, disabled)
	}
	promoted, err := p.client.update(ctx, p.Stream, p.plan, 0)
	if promoted != nil {
		p.set(promoted)
	}
	if err != nil {
		return &p.Report, withDisabled(mirrorCannotChange(err, p.intoAnother()), p.Bucket, disabled)
	}
	p.Action, p.Origin = Promoted, nil
	return &p.Report, nil
}
