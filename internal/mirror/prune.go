package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
)

const (
	// maxPurgedKeys is how many keys are purged between two comparisons: what is
	// known of them is held in memory.
	maxPurgedKeys = 250_000
	// maxPruneRounds is how often a mirror is purged of what is left over since the
	// round before.
	maxPruneRounds = 3
)

// PruneRequest is what to prune.
type PruneRequest struct {
	Buckets []string // none means all
	Content ContentOptions
	// Gone is consent to purge also what is gone at the origin without a trace, as
	// after a purge of its stream or a restored backup: the mirror may hold the last
	// copy.
	Gone bool
}

// PrunePlan is what would be purged of many mirrors.
type PrunePlan struct {
	Fleet
	client  *Client
	options ContentOptions
	gone    bool
	jobs    []*pruneJob
	unread  error // what could not be read
}

// pruneJob is a mirror that left-over messages can be purged from, with consent or
// without.
type pruneJob struct {
	client    *Client // of the mirror's domain
	mirror    fleet.Mirror
	member    *Member
	leftovers *content.Leftovers
	purges    []content.Purge // of what is left over, as far as there is consent
	gaps      *content.Gaps
}

// PlanPrune compares the messages of mirrors with those of their origins, one mirror
// after the other, and plans to purge what is left over. The error tells what could
// not be read; the rest of the plan is valid and can be applied.
func (c *Client) PlanPrune(ctx context.Context, req PruneRequest) (*PrunePlan, error) {
	p := &PrunePlan{client: c, options: req.Content, gone: req.Gone}
	p.options.Quick = !req.Content.Bodies
	p.Action = Unchanged
	read, err := c.readFleet(ctx, &p.Fleet, req.Buckets)
	if err != nil {
		return p, err
	}
	p.unread = together(unreadableParts(read), c.unreadableOrigins(read))
	p.Mirrors = make([]Member, 0, len(read.Mirrors))
	for _, m := range read.Mirrors {
		if err := p.plan(ctx, m); err != nil {
			return p, AsError(err)
		}
	}
	return p, p.decide()
}

// AcceptGone is consent to purge also what is gone at the origin without a trace. The
// error takes the place of that of [Client.PlanPrune].
func (p *PrunePlan) AcceptGone() error {
	p.gone = true
	return p.decide()
}

// GoneMessages is how many messages are gone at the origin without a trace, which are
// purged only with consent.
func (p *PrunePlan) GoneMessages() (n uint64) {
	for _, j := range p.jobs {
		n += j.member.Purge.Gone
	}
	return n
}

// decide says of each mirror what is purged from it. The error tells what is not known,
// and, where nothing is purged, what is left.
func (p *PrunePlan) decide() error {
	for _, j := range p.jobs {
		j.leftovers.Gone = p.gone
		j.purges = j.leftovers.Purges()
		j.member.Purge.Keys, j.member.Purge.Messages = len(j.purges), messagesOf(j.purges)
		j.member.Purge.Gone = j.leftovers.GoneMessages()
		if len(j.purges) > 0 {
			j.member.Action, p.Action = WouldUpdate, WouldUpdate
		}
	}
	if p.Action == WouldUpdate {
		return together(p.notCompared(), p.unread)
	}
	return together(p.unverified(), p.unread)
}

// plan compares one mirror and plans what to purge.
func (p *PrunePlan) plan(ctx context.Context, m fleet.Mirror) error {
	leftovers := p.newLeftovers(m)
	client, options := p.client.at(m), p.options
	options.gaps = &content.Gaps{}
	compared, foundErr, err := client.compare(ctx, m, options, leftovers)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case foundErr != nil:
		return foundErr
	}
	m.Facts.Content = contentFacts(compared, err)
	p.Mirrors = append(p.Mirrors, client.member(m, check.Findings(m.Facts, check.DefaultThresholds())))
	member := &p.Mirrors[len(p.Mirrors)-1]
	member.Action, member.Content = Unchanged, compared
	if err != nil {
		member.writeFailed(AsError(err))
		return nil
	}
	if p.purgeable(m, member, leftovers) {
		p.jobs = append(p.jobs, &pruneJob{client: client, mirror: m, member: member, leftovers: leftovers, gaps: options.gaps})
	}
	return nil
}

// newLeftovers gathers what is left over on a mirror.
func (p *PrunePlan) newLeftovers(m fleet.Mirror) *content.Leftovers {
	return &content.Leftovers{Max: maxPurgedKeys, Gone: p.gone, TopUnknown: m.Facts.AboveUnreadable != ""}
}

// purgeable says whether something can be purged from a mirror, and notes what
// cannot.
func (p *PrunePlan) purgeable(m fleet.Mirror, member *Member, leftovers *content.Leftovers) bool {
	kept := leftovers.Unpurgeable()
	member.Purge = &Purge{UnpurgeableKeys: len(kept), Unpurgeable: []string{}}
	for _, subject := range kept[:min(len(kept), p.options.Shown)] {
		member.Purge.Unpurgeable = append(member.Purge.Unpurgeable, kvcfg.Key(subject))
	}
	if member.Content.OriginUnreadable == "" && !leftovers.Purgeable() {
		return false
	}
	if why := unsafeToPurge(m, member); why != "" {
		member.Note = "nothing is purged, because " + why
		return false
	}
	return true
}

// unsafeToPurge says why nothing at all may be purged from a mirror, "" when it
// may. What is gone at an origin that is another one now, or that counts its
// messages otherwise, may be the last copy, or the value of a key that lives.
func unsafeToPurge(m fleet.Mirror, member *Member) string {
	recreated := func(f check.Finding) bool { return f.Code == check.OriginRecreated }
	switch {
	case member.Content.OriginUnreadable != "":
		return "the origin's messages cannot be read"
	case slices.ContainsFunc(member.Findings, recreated):
		return "the origin was created again, so the mirror may hold the last copy of a message"
	case member.Content.DifferentCount() > 0:
		return "messages are different at the same sequence, so what seems to be left over may be in its place"
	case m.Facts.Mirror.Config.DenyPurge:
		return "the mirror denies it (deny_purge)"
	}
	return ""
}

// Jobs is how many mirrors would be purged, and of how many messages.
func (p *PrunePlan) Jobs() (mirrors int, messages uint64) {
	for _, j := range p.jobs {
		if j.member.Action == WouldUpdate {
			mirrors++
			messages += j.member.Purge.Messages
		}
	}
	return mirrors, messages
}

// Compared says whether all mirrors could be compared.
func (p *PrunePlan) Compared() bool { return !slices.ContainsFunc(p.Mirrors, notCompared) }

// Apply purges what is left over, one mirror after the other, and compares again. A
// purge whose answer does not come is not sent again: the comparison shows that it was
// done, or it is not known. The result is valid also with an error.
func (p *PrunePlan) Apply(ctx context.Context) (*Fleet, error) {
	p.Action = Updated
	var members []*Member
	var purged uint64
	for _, j := range p.jobs {
		if j.member.Action != WouldUpdate {
			continue
		}
		if ctx.Err() != nil {
			j.member.skip(notReached)
			j.member.interrupted = true
		} else {
			p.prune(ctx, j)
		}
		p.client.observer.Finished(*j.member)
		members = append(members, j.member)
		purged += j.member.Purge.Purged
	}
	// Whatever else went wrong: what is purged is purged.
	if failure := AsError(together(summary(members, "pruned"), p.unverified(), p.unread)); failure != nil {
		return &p.Fleet, failure.wrap("%s purged", count(purged, "message"))
	}
	return &p.Fleet, nil
}

// prune purges round after round, until nothing is left over that can be purged.
func (p *PrunePlan) prune(ctx context.Context, j *pruneJob) {
	for round := 1; ; round++ {
		if err := j.client.verifyPair(ctx, j.mirror); err != nil {
			if ctx.Err() != nil {
				j.interrupt()
			} else {
				j.fail(err)
			}
			return
		}
		named, more := j.purges, j.leftovers.Full()
		purged, err := p.purge(ctx, j, p.joined(ctx, j))
		j.member.Purge.Purged += purged
		unknown := err != nil && jsapi.OutcomeUnknown(err)
		switch {
		case err == nil && ctx.Err() != nil:
			j.interrupt()
			return
		case err != nil && !unknown:
			j.fail(err)
			return
		}
		if !p.verifyPurged(ctx, j, named, err) {
			return
		}
		if unknown {
			j.member.Purge.Purged += max(messagesOf(named), purged) - purged // no answer counted them, and they are gone
		}
		left := j.member.Content.DifferentCount() == 0 && len(j.purges) > 0 // what has come since cannot be told from what is in its place
		if !left || purged == 0 && !unknown || !more && round >= maxPruneRounds {
			j.finish(left)
			return
		}
	}
}

// verifyPurged compares the mirror again, and says whether what was named is gone from
// it. If not, the job has ended, with a failure. purgeErr is of an unknown outcome, if
// it is not nil.
func (p *PrunePlan) verifyPurged(ctx context.Context, j *pruneJob, named []content.Purge, purgeErr error) bool {
	j.leftovers = p.newLeftovers(j.mirror)
	options := p.options
	options.Found = nil // they were told of
	options.gaps = j.gaps
	compared, _, err := j.client.compare(ctx, j.mirror, options, j.leftovers)
	verified := err == nil && compared.OriginUnreadable == ""
	held := j.leftovers.StillHeld(named)
	switch {
	case purgeErr == nil && ctx.Err() != nil:
		j.interrupt()
		return false
	case purgeErr != nil && (!verified || held > 0):
		j.member.writeFailed(fail(ErrOutcomeUnknown, "what became of some purges is not known: %w", purgeErr).advise(Advice{Code: RunAgainSafe}))
		return false
	case !verified:
		if err == nil {
			err = errors.New(compared.OriginUnreadable)
		}
		j.fail(fmt.Errorf("the mirror could not be compared again: %w", err))
		return false
	case held > 0:
		j.member.writeFailed(fail(ErrNotKept, "the server answered that %s purged, and the mirror holds messages of %d of %s that were purged",
			count(j.member.Purge.Purged, "message is", "messages are"), held, count(len(named), "key")))
		return false
	}
	j.member.Content, j.purges = compared, j.leftovers.Purges()
	if !p.gone {
		j.member.Purge.Gone = j.leftovers.GoneMessages()
	}
	return true
}

// fail notes a failure, after some messages may have been purged.
func (j *pruneJob) fail(err error) {
	e := AsError(err)
	if n := j.member.Purge.Purged; n > 0 {
		e = e.wrap("%s purged, and then", count(n, "message"))
	}
	j.member.writeFailed(e)
}

// interrupt notes that ctx ended.
func (j *pruneJob) interrupt() {
	j.member.skip(fmt.Sprintf("interrupted after %s purged", count(j.member.Purge.Purged, "message was", "messages were")))
	j.member.interrupted = true
}

// finish tells what a mirror holds after it was pruned, and whether more is left over
// since.
func (j *pruneJob) finish(more bool) {
	m := j.member
	if more {
		m.Note = fmt.Sprintf("all that was left over when it was compared is purged, and %s left over since", count(messagesOf(j.purges), "message is", "messages are"))
	}
	j.mirror.Facts.Content = contentFacts(m.Content, nil)
	m.Findings = check.Findings(j.mirror.Facts, check.DefaultThresholds())
	m.State = check.Worst(m.Findings)
	m.Action = Updated
}
