package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// EditRequest is what to change of a mirror. With no settings and nothing to follow, the
// mirror is made to follow its origin in all that nobody chose.
type EditRequest struct {
	Bucket   string
	Settings kvcfg.Settings
	// Follow are fields in which the mirror is to follow its origin again (see
	// [kvcfg.FollowField]).
	Follow []string
	// AtOnce says that Apply follows at once, without a question: then the mirror is
	// read a second time beside its origin, which costs no time, and not by Apply.
	AtOnce bool
}

// EditPlan is a change of a mirror.
type EditPlan struct {
	Report
	client  *Client
	edits   kvcfg.Edits
	plan    kvcfg.Plan
	mirror  *stream.Info
	account *jsapi.Account // nil when the server did not say
	origin  originRead
	again   *stream.Info // the mirror as it was read beside its origin; nil when it was not
	readAt  time.Time    // when that was
}

// maxReadAge is how old the read of a mirror beside its origin may be when the mirror
// is written.
const maxReadAge = time.Second

// PlanEdit plans a change. Only what the settings name is changed. The plan has the
// action [WouldUpdate], or [Unchanged] when there is nothing to change; it is valid
// also with an error.
func (c *Client) PlanEdit(ctx context.Context, req EditRequest) (*EditPlan, error) {
	p := &EditPlan{client: c, edits: kvcfg.Edits{Settings: req.Settings, Follow: req.Follow}}
	p.Bucket, p.Stream = req.Bucket, kvcfg.StreamName(req.Bucket)
	var err error
	if p.mirror, p.account, err = c.readMirror(ctx, req.Bucket); err != nil {
		return p, err
	}
	p.set(p.mirror)
	origin, err := kvcfg.OriginOf(p.mirror.Config)
	if err != nil {
		return p, AsError(err)
	}
	p.readBoth(ctx, origin, req.AtOnce)
	p.Origin = p.origin.report(p.mirror)
	if err := p.decide(ctx); err != nil {
		return p, about(p.Bucket, err)
	}
	if p.origin.info == nil {
		p.Warnings.add("origin-unreadable", "the origin was not read: %v", p.origin.err)
	}
	p.Action = Unchanged
	if p.Changes = p.plan.Changes; len(p.Changes) > 0 {
		p.Action = WouldUpdate
		p.warn()
	}
	return p, nil
}

// readBoth reads the origin and, if Apply follows at once, the mirror a second time side
// by side with it: what somebody else writes meanwhile is seen.
func (p *EditPlan) readBoth(ctx context.Context, origin kvcfg.Origin, twice bool) {
	var wg sync.WaitGroup
	wg.Go(func() { p.origin = p.client.readOrigin(ctx, origin) })
	if twice {
		wg.Go(func() {
			p.again, _ = p.client.own.Stream(ctx, p.Stream)
			p.readAt = time.Now()
		})
	}
	wg.Wait()
}

// decide makes the plan, or says why there is none.
func (p *EditPlan) decide(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	plan, err := kvcfg.Edit(p.mirror.Config.Raw(), p.origin.config(), p.edits)
	switch {
	case errors.Is(err, kvcfg.ErrUnread):
		return p.origin.failure()
	case errors.Is(err, kvcfg.ErrTTLStays):
		return fmt.Errorf("bucket %q: %w", p.Bucket, err)
	case err != nil:
		return err
	}
	p.plan = plan
	if !plan.EnablesTTL() {
		return nil
	}
	if p.account != nil && p.account.Level < stream.TTLAPILevel {
		return p.client.tooOldForTTL(Advice{Code: ThenRecreate, Bucket: p.Bucket})
	}
	if v := p.mirror.Config.ServerVersion(); v.TTLUpdate() == stream.UpdateRefused {
		return fail(ErrOldServer, "server %v cannot turn per-key TTL on for a stream that exists", v).advise(Advice{Code: Recreate, Bucket: p.Bucket})
	}
	return nil
}

// warn tells what is to be known before the changes are made.
func (p *EditPlan) warn() {
	origin := p.origin.config()
	s := p.edits.Settings
	if p.plan.EnablesTTL() {
		p.Warnings.add("ttl-stays", "per-key TTL cannot be turned off again; the server has %d messages to scan", p.State.Msgs)
	} else if origin != nil && origin.AllowMsgTTL && !p.mirror.Config.AllowMsgTTL && !kvcfg.IsChosen(p.mirror.Config, "allow_msg_ttl") {
		p.Warnings.add("ttl-differs", "%s", ttlDiffers(true))
		p.Warnings.advise(p.waysToTTL()...)
		s.AllowMsgTTL = nil
	}
	warnOfSettings(&p.Warnings, s, origin)
}

// waysToTTL says how the mirror gets per-key TTL on its server.
func (p *EditPlan) waysToTTL() []Advice {
	switch {
	case p.account != nil && p.account.Level < stream.TTLAPILevel:
		return []Advice{{Code: UpgradeTo, Version: "2.11"}, {Code: ThenRecreate, Bucket: p.Bucket}}
	case p.mirror.Config.ServerVersion().TTLUpdate() == stream.UpdateRefused:
		return []Advice{{Code: Recreate, Bucket: p.Bucket}}
	}
	return []Advice{{Code: AllowTTL, Bucket: p.Bucket}}
}

// Apply makes the changes, after it made sure that the mirror is as it was planned
// for. The result is valid also with an error.
func (p *EditPlan) Apply(ctx context.Context) (*Report, error) {
	if p.Action != WouldUpdate {
		return &p.Report, nil
	}
	if err := p.verifyUnchanged(ctx); err != nil {
		return &p.Report, err
	}
	updated, err := p.client.update(ctx, p.Stream, p.plan, p.State.Msgs)
	if updated != nil {
		p.set(updated)
	}
	if err != nil {
		return &p.Report, err
	}
	p.Action = Updated
	p.Origin = p.origin.report(updated)
	p.warnOfReplicas(p.edits.Settings)
	if p.plan.EnablesTTL() {
		p.checkExpired(ctx)
	}
	return &p.Report, nil
}

func (p *EditPlan) verifyUnchanged(ctx context.Context) error {
	if p.again != nil && time.Since(p.readAt) <= maxReadAge {
		return sameStream(p.mirror, p.again)
	}
	_, err := p.client.verifyUnchanged(ctx, p.mirror)
	return err
}

// checkExpired compares the mirror with its origin after per-key TTL was turned on,
// since a server that echoes the setting may keep what had expired. The states that
// were read on the way mostly suffice; if not, both are read again until they agree
// or Waits.Settle is over.
func (p *EditPlan) checkExpired(ctx context.Context) {
	if p.origin.info == nil {
		p.Origin = p.origin.report(nil)
		p.Warnings.add("left-over-unknown", "whether expired messages are left over on the mirror is not known, because the origin was not read")
		return
	}
	mirror, origin := p.Info, p.origin
	compare := func() check.Comparison {
		return check.Compare(mirror.Config, origin.info.Config, mirror.State, origin.info.State, origin.pending)
	}
	start, first := time.Now(), true
	lost := jsapi.Poll(ctx, p.client.waits.Poll, func() (bool, error) {
		var err error
		if !first {
			mirror, origin, err = p.client.readAgain(ctx, mirror, origin)
		}
		first = false
		c := compare()
		return c.Same() || c.Behind == 0 && !c.Counted || mirror.Config.Filtered() || time.Since(start) >= p.client.waits.Settle, err
	})
	p.set(mirror)
	p.Origin = origin.report(mirror)
	if errors.Is(lost, jsapi.ErrDisconnected) {
		p.Warnings.add("left-over-unknown", "whether expired messages are left over on the mirror is not known: %v", lost)
		return
	}
	p.warnOfRest(compare())
}

// readAgain reads a mirror and its origin again, side by side; what cannot be read
// stays as it was. The error is that the connection was lost.
func (c *Client) readAgain(ctx context.Context, mirror *stream.Info, origin originRead) (*stream.Info, originRead, error) {
	var again *stream.Info
	var read originRead
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { again, err = c.own.Stream(ctx, mirror.Config.Name) })
	wg.Go(func() { read = c.readOrigin(ctx, origin.origin) })
	wg.Wait()
	if err == nil {
		mirror = again
	}
	if read.info != nil {
		origin = read
	}
	if !errors.Is(err, jsapi.ErrDisconnected) {
		err = nil
	}
	return mirror, origin, err
}

// warnOfRest tells what the comparison and the server's version leave to fear.
func (p *EditPlan) warnOfRest(c check.Comparison) {
	version := p.Info.Config.ServerVersion()
	switch {
	case c.LeftOver() > 0:
		p.Warnings.add("left-over", "the mirror holds at least %s that its origin does not, and server %v will not remove what is left over", count(c.LeftOver(), "message"), version)
		p.Warnings.advise(Advice{Code: Prune, Bucket: p.Bucket})
	case c.Missing > 0:
		p.Warnings.add("missing", "the mirror holds %s fewer than the origin", count(c.Missing, "message"))
	case c.Behind > 0 && !p.Info.Config.Filtered():
		p.Warnings.add("behind", "the mirror is %s behind its origin, so whether expired messages are left over is not known", count(c.Behind, "message"))
	case !c.Counted:
		p.Warnings.add("left-over-unknown", "the mirror does not hold as much as its origin by design, so whether expired messages are left over is not known")
	}
	switch version.TTLUpdate() {
	case stream.UpdateAfterRestart:
		p.Warnings.add("server-keeps-expired", "on server %v nothing expires on a mirror edited like this until the server is restarted, and what was stored before now may stay even then", version)
	case stream.UpdateNewOnly:
		p.Warnings.add("server-keeps-expired", "on server %v what was stored before now never expires on the mirror", version)
	case stream.UpdatePartly:
		if p.Info.Config.Storage != "file" {
			return
		}
		p.Warnings.add("server-keeps-expired", "server %v overlooks expired messages in files that it has not read again", version)
	default:
		return
	}
	p.Warnings.advise(Advice{Code: Recreate, Bucket: p.Bucket})
}

// count is so many of something.
func count[N int | int64 | uint64](n N, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return fmt.Sprintf("%d %s", n, many[0])
	}
	return fmt.Sprintf("%d %ss", n, one)
}
