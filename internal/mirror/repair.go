package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// maxRepairs is how many mirrors of a domain are updated at the same time: turning per-key TTL on
// makes a server scan a whole stream.
const maxRepairs = 4

// RepairRequest is what to repair.
type RepairRequest struct {
	Buckets []string // none means all
	Only    []string // codes of findings; none means all that an update fixes and that are worth it
}

// RepairPlan is what would be changed of many mirrors.
type RepairPlan struct {
	Fleet
	client *Client
	only   []string
	jobs   []*repairJob
	unread error // what could not be read
}

// repairJob is a mirror that is to be updated, and for which findings.
type repairJob struct {
	client *Client // of the mirror's domain
	mirror fleet.Mirror
	codes  []string
	member *Member
}

// PlanRepair reads mirrors and plans the updates that fix what is found. Mirrors that
// no update is planned for are members as well, with their findings. The error tells
// what could not be read; the rest of the plan is valid and can be applied.
func (c *Client) PlanRepair(ctx context.Context, req RepairRequest) (*RepairPlan, error) {
	p := &RepairPlan{client: c, only: req.Only}
	p.Action = Unchanged
	for _, code := range req.Only {
		if !slices.Contains(check.FixableCodes(), code) {
			return p, fail(ErrInvalid, "there is no finding %q that an update fixes", code)
		}
	}
	read, err := c.readFleet(ctx, &p.Fleet, req.Buckets)
	if err != nil {
		return p, err
	}
	p.unread = together(unreadableParts(read), c.unreadableOrigins(read))
	p.Mirrors = make([]Member, 0, len(read.Mirrors))
	c.countExactly(ctx, read.Mirrors)
	for _, m := range read.Mirrors {
		if err := p.plan(m); err != nil {
			return p, AsError(fmt.Errorf("bucket %q: %w", p.client.at(m).name(m.Bucket), err))
		}
	}
	if len(p.jobs) > 0 {
		p.Action = WouldUpdate
		p.warn()
		return p, p.unread
	}
	return p, together(p.unread, p.remaining())
}

// remaining is the failure that what was to be fixed is critical and is not fixed; nil
// when all is. Mirrors whose update failed are not among them.
func (p *RepairPlan) remaining() error {
	n, first := 0, ""
	for _, m := range p.Mirrors {
		i := slices.IndexFunc(m.Findings, func(f check.Finding) bool {
			return f.Severity == check.Critical && (len(p.only) == 0 || slices.Contains(p.only, f.Code))
		})
		if i < 0 || m.Action != Updated && m.Action != Unchanged {
			continue
		}
		if n++; n == 1 {
			first = fmt.Sprintf("%q: %s", m.Name(), m.Findings[i].Code)
		}
	}
	if n == 0 {
		return nil
	}
	return fail(ErrIncomplete, "%s critical, because of what no update fixes; the first is %s", count(n, "mirror remains", "mirrors remain"), first).
		advise(Advice{Code: SeeFixes})
}

// plan plans the update of one mirror.
func (p *RepairPlan) plan(m fleet.Mirror) error {
	findings := check.Findings(m.Facts, check.DefaultThresholds())
	client := p.client.at(m)
	p.Mirrors = append(p.Mirrors, client.member(m, findings))
	member := &p.Mirrors[len(p.Mirrors)-1]
	member.Action = Unchanged
	codes := check.Fixable(findings, p.only)
	if len(p.only) > 0 {
		codes = slices.DeleteFunc(codes, func(c string) bool { return !slices.Contains(p.only, c) })
	}
	if len(codes) == 0 {
		return nil
	}
	plan, err := check.Fix(m.Facts.Mirror.Config.Raw(), originConfig(m), codes)
	if err != nil || len(plan.Changes) == 0 {
		return err
	}
	member.Action, member.Changes = WouldUpdate, plan.Changes
	p.jobs = append(p.jobs, &repairJob{client: client, mirror: m, codes: codes, member: member})
	return nil
}

// originConfig is the origin's configuration, empty when it was not read; no finding
// that needs it is then found.
func originConfig(m fleet.Mirror) stream.Config {
	if m.Facts.Origin == nil {
		return stream.Config{}
	}
	return m.Facts.Origin.Config
}

// Jobs is how many mirrors would be changed.
func (p *RepairPlan) Jobs() int { return len(p.jobs) }

// warn tells what cannot be undone.
func (p *RepairPlan) warn() {
	n, messages := 0, uint64(0)
	for _, j := range p.jobs {
		if slices.Contains(j.codes, "ttl-off") {
			n++
			messages += j.mirror.Facts.Mirror.State.Msgs
		}
	}
	if n > 0 {
		p.Warnings.add("ttl-stays", "per-key TTL cannot be turned off again; it is turned on for %s, whose servers have %d messages to scan", count(n, "mirror"), messages)
	}
}

// Apply updates the mirrors, several of each domain at a time: one that is slow, or does
// not answer, holds up no other. When ctx ends no further one is begun, and those under
// way are followed to their end. One that fails does not stop the others. The result is
// valid also with an error.
func (p *RepairPlan) Apply(ctx context.Context) (*Fleet, error) {
	p.Action = Updated
	byDomain := map[string][]*repairJob{}
	var members []*Member
	for _, j := range p.jobs {
		byDomain[j.mirror.Prefix()] = append(byDomain[j.mirror.Prefix()], j)
		members = append(members, j.member)
	}
	var reporting sync.Mutex
	finished := func(m Member) {
		reporting.Lock()
		defer reporting.Unlock()
		p.client.observer.Finished(m)
	}
	var wg sync.WaitGroup
	for _, jobs := range byDomain {
		wg.Go(func() { repairAll(ctx, jobs, finished) })
	}
	wg.Wait()
	return &p.Fleet, together(summary(members, "changed"), p.unread, p.remaining())
}

// repairAll updates the mirrors of a domain.
func repairAll(ctx context.Context, jobs []*repairJob, finished func(Member)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxRepairs)
	begun := 0
begin:
	for _, j := range jobs {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			break begin
		}
		if ctx.Err() != nil {
			break
		}
		begun++
		wg.Go(func() {
			defer func() { <-slots }()
			j.repair(ctx)
			finished(*j.member)
		})
	}
	wg.Wait()
	for _, j := range jobs[begun:] {
		j.member.skip(notReached)
		j.member.interrupted = true
		finished(*j.member)
	}
}

// skip notes that a mirror was left alone.
func (m *Member) skip(why string) { m.Action, m.Note = Skipped, why }

// repair reads the mirror again, makes sure that it is what the plan was made for, and
// updates it.
func (j *repairJob) repair(ctx context.Context) {
	m := j.member
	name := j.mirror.Facts.Mirror.Config.Name
	now, err := j.client.own.Stream(ctx, name)
	switch {
	case errors.Is(err, context.Canceled):
		m.skip(notReached)
		m.interrupted = true
		return
	case err != nil:
		m.writeFailed(AsError(err))
		return
	case !now.SameStream(j.mirror.Facts.Mirror):
		m.skip("it was changed since the plan was shown; run the command again")
		return
	}
	plan, err := check.Fix(now.Config.Raw(), originConfig(j.mirror), j.codes)
	if err != nil {
		m.writeFailed(AsError(err))
		return
	}
	m.Changes = plan.Changes
	updated, err := j.client.update(ctx, name, plan, now.State.Msgs)
	if err != nil {
		m.writeFailed(err)
		return
	}
	m.Action = Updated
	m.PerKeyTTL = updated.Config.AllowMsgTTL
	m.Values, m.Bytes, m.LastSeq = updated.State.Msgs, updated.State.Bytes, updated.State.LastSeq
	if plan.EnablesTTL() && j.mirror.Facts.Origin != nil {
		m.Note = leftOverNote(updated, j.mirror)
	}
	m.Findings = j.client.findingsAfter(ctx, j.mirror, updated)
	m.State = check.Worst(m.Findings)
}

// findingsAfter are the findings of a mirror that was updated. What it holds that its
// origin does not may be about to be removed: then both are read again until it is
// gone, or Waits.Settle is over.
func (c *Client) findingsAfter(ctx context.Context, m fleet.Mirror, updated *stream.Info) []check.Finding {
	facts, origin := m.Facts, originRead{origin: m.Origin, info: m.Facts.Origin}
	facts.Content = nil // it was counted before the update
	var findings []check.Finding
	find := func(mirror *stream.Info, read originRead) (settled bool) {
		if facts.Origin != nil {
			facts.Earlier = &check.States{Mirror: facts.Mirror.State, Origin: facts.Origin.State}
		}
		facts.Mirror, facts.Origin = mirror, read.info
		findings = check.Findings(facts, check.DefaultThresholds())
		return !slices.ContainsFunc(findings, func(f check.Finding) bool { return f.Code == "left-over" })
	}
	if find(updated, origin) {
		return findings
	}
	start := time.Now()
	// What cannot be read stays as it was found.
	_ = jsapi.Poll(ctx, c.waits.Poll, func() (bool, error) {
		var lost error
		if updated, origin, lost = c.readAgain(ctx, updated, origin); lost != nil {
			return false, lost
		}
		return find(updated, origin) || time.Since(start) >= c.waits.Settle, nil
	})
	return findings
}

// leftOverNote says what the server left of what had expired, as far as the counts
// that were read on the way tell.
func leftOverNote(updated *stream.Info, m fleet.Mirror) string {
	c := check.Compare(updated.Config, m.Facts.Origin.Config, updated.State, m.Facts.Origin.State, nil)
	if n := c.LeftOver(); n > 0 {
		return fmt.Sprintf("the mirror holds at least %s that its origin does not; `check` tells more", count(n, "message"))
	}
	return ""
}
