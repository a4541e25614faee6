package mirror

import (
	"context"
	"slices"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/kvcfg"
)

const (
	// maxPurges is how many requests to purge a key are under way.
	maxPurges = 64
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
	mirror    fleet.Mirror
	member    *Member
	leftovers *content.Leftovers
}

// PlanPrune compares the messages of mirrors with those of their origins, one mirror
// after the other, and plans to purge what is left over. The error tells what could
// not be read; the rest of the plan is valid and can be applied.
func (c *Client) PlanPrune(ctx context.Context, req PruneRequest) (*PrunePlan, error) {
	p := &PrunePlan{client: c, options: req.Content, gone: req.Gone}
	p.Action = Unchanged
	read, err := c.readFleet(ctx, req.Buckets)
	if err != nil {
		return p, err
	}
	p.note(read)
	p.unread = together(unreadableParts(read), unreadableOrigins(read))
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
		purges := j.leftovers.Purges()
		j.member.Purge.Keys, j.member.Purge.Messages = len(purges), messagesOf(purges)
		j.member.Purge.Gone = j.leftovers.GoneMessages()
		if len(purges) > 0 {
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
	leftovers := &content.Leftovers{Max: maxPurgedKeys, Gone: p.gone}
	compared, foundErr, err := p.client.compare(ctx, m, p.options, leftovers)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case foundErr != nil:
		return foundErr
	}
	m.Facts.Content = contentFacts(compared, err)
	p.Mirrors = append(p.Mirrors, p.client.member(m, check.Findings(m.Facts, check.DefaultThresholds())))
	member := &p.Mirrors[len(p.Mirrors)-1]
	member.Action, member.Content = Unchanged, compared
	if err != nil {
		member.writeFailed(AsError(err))
		return nil
	}
	if p.purgeable(m, member, leftovers) {
		p.jobs = append(p.jobs, &pruneJob{mirror: m, member: member, leftovers: leftovers})
	}
	return nil
}

// purgeable says whether something can be purged from a mirror, and notes what
// cannot.
func (p *PrunePlan) purgeable(m fleet.Mirror, member *Member, leftovers *content.Leftovers) bool {
	kept := leftovers.Unpurgeable()
	member.Purge = &Purge{UnpurgeableKeys: len(kept), Unpurgeable: []string{}}
	for _, subject := range kept[:min(len(kept), p.options.Shown)] {
		member.Purge.Unpurgeable = append(member.Purge.Unpurgeable, kvcfg.Key(subject))
	}
	if member.Content.OriginUnreadable == "" && len(leftovers.Purges()) == 0 && leftovers.GoneMessages() == 0 {
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

// notCompared says that nothing is known of a mirror's messages.
func notCompared(m Member) bool {
	return m.Content == nil || m.Err != nil || m.Content.OriginUnreadable != ""
}

// unverified is the failure that some mirrors do not hold what their origins hold, or
// are not known to; nil when all do.
func (p *PrunePlan) unverified() error {
	var differ, gone int
	var messages uint64
	for _, m := range p.Mirrors {
		switch {
		case m.endedWithout() || notCompared(m) || m.Content.Verdict == Identical:
		case !p.gone && m.Purge != nil && m.Purge.Gone > 0:
			gone++
			messages += m.Purge.Gone
		default:
			differ++
		}
	}
	var errs []error
	if gone > 0 {
		errs = append(errs, fail(ErrIncomplete, "%s left alone on %s: gone at the origin without a trace, and maybe the last copies",
			count(messages, "message is", "messages are"), count(gone, "mirror")).advise(Advice{Code: PruneGone}))
	}
	if differ > 0 {
		errs = append(errs, fail(ErrIncomplete, "%s cannot be made to hold what the origin holds by purging", count(differ, "mirror")).advise(Advice{Code: SeeRemedies}))
	}
	return together(append(errs, p.notCompared())...)
}

// notCompared is the failure that some mirrors could not be compared; nil when all
// could.
func (p *PrunePlan) notCompared() error {
	unknown := 0
	for _, m := range p.Mirrors {
		if !m.endedWithout() && notCompared(m) {
			unknown++
		}
	}
	if unknown == 0 {
		return nil
	}
	return fail(ErrIncomplete, "%s could not be compared with the origin, so nothing is known", count(unknown, "mirror")).advise(Advice{Code: RunAgainLater})
}

// endedWithout says of a mirror that was to be pruned that it was not: the summary has
// it.
func (m *Member) endedWithout() bool {
	return m.Purge != nil && (m.Action == Failed || m.Action == Skipped || m.Action == Unknown)
}
