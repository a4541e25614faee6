package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// readFleet reads the named mirrors, or all when none is named, and notes in f what
// could not be read.
func (c *Client) readFleet(ctx context.Context, f *Fleet, buckets []string) (fleet.Fleet, error) {
	for _, bucket := range buckets {
		if err := kvcfg.ValidateBucket(bucket); err != nil {
			return fleet.Fleet{}, AsError(err)
		}
	}
	at, end := c.observer.Begin(TaskRead, "")
	r := c.reader()
	r.Progress = func(done, known int) { at(uint64(done), uint64(known)) }
	readAll := r.All
	if len(buckets) > 0 {
		readAll = func(ctx context.Context) (fleet.Fleet, error) {
			return r.Named(ctx, slices.Compact(slices.Sorted(slices.Values(buckets))))
		}
	}
	read, err := readAll(ctx)
	end(err == nil)
	f.note(read)
	if err != nil {
		return read, AsError(err).wrap("cannot read the mirrors")
	}
	return read, nil
}

// note lists what was read, and what could not be.
func (f *Fleet) note(read fleet.Fleet) {
	for _, s := range read.Sides {
		d := Domain{Domain: s.Domain, APIPrefix: s.Prefix}
		if s.Err != nil {
			d.Problem = s.Err.Error()
		}
		d.Partly = slices.ContainsFunc(read.Problems, func(p fleet.Problem) bool { return unread(p) && (p.Prefix == "" || p.Prefix == s.Prefix) })
		for _, m := range read.Mirrors {
			if m.Prefix() == s.Prefix {
				d.Mirrors++
			}
		}
		f.Domains = append(f.Domains, d)
	}
	for _, where := range read.Empty() {
		f.Warnings.add(NoMirror, "%s", check.NoMirror(where))
		if len(read.Sides) == 1 {
			f.Warnings.advise(Advice{Code: OtherDomains})
		}
	}
	for _, p := range read.Problems {
		f.Problems = append(f.Problems, p.Error())
		if p.Bucket != "" && unread(p) {
			f.Unread++
		}
	}
}

// unread says whether something may be there, and could not be read.
func unread(p fleet.Problem) bool {
	r := p.Unreadable().Reason
	return r == check.ReasonDenied || r == check.ReasonUnreachable
}

// member tells of a mirror what was read and found. The client is that of its domain.
func (c *Client) member(m fleet.Mirror, findings []check.Finding) Member {
	f := m.Facts
	member := Member{
		Domain:    m.Domain,
		Bucket:    m.Bucket,
		Several:   c.domain != "",
		Stream:    f.Mirror.Config.Name,
		Origin:    MemberOrigin{Domain: originDomain(m), Bucket: m.Origin.Bucket, Stream: m.Origin.Stream(), APIPrefix: m.OriginPrefix()},
		PerKeyTTL: f.Mirror.Config.AllowMsgTTL,
		Values:    f.Mirror.State.Msgs,
		Bytes:     f.Mirror.State.Bytes,
		LastSeq:   f.Mirror.State.LastSeq,
		State:     check.Worst(findings),
		Findings:  findings,
		Active:    activeOf(f.Mirror.Mirror),
		Chain:     chain(m),
	}
	if compared, ok := f.Compare(); ok {
		member.Behind = &compared.Behind
		member.LeftOver, member.Missing = f.Counts()
		member.Origin.Reachable = true
		member.Origin.PerKeyTTL = &f.Origin.Config.AllowMsgTTL
		member.Origin.LastSeq = &f.Origin.State.LastSeq
	}
	return member
}

// originDomain is the domain of a mirror's origin; "" when that is not known.
func originDomain(m fleet.Mirror) string {
	domain, ok := m.Origin.Domain()
	if !ok && m.OriginPrefix() == m.Prefix() {
		domain = m.Domain
	}
	return domain
}

// chain is a mirror and what is above it, as far as it was read.
func chain(m fleet.Mirror) []Node {
	node := func(domain, bucket, prefix string, read *stream.Info) Node {
		n := Node{Domain: domain, Bucket: bucket, APIPrefix: prefix}
		if read != nil {
			n.PerKeyTTL = &read.Config.AllowMsgTTL
		}
		return n
	}
	nodes := []Node{node(m.Domain, m.Bucket, m.Prefix(), m.Facts.Mirror), node(originDomain(m), m.Origin.Bucket, m.OriginPrefix(), m.Facts.Origin)}
	for _, above := range m.Facts.Above {
		domain, ok := kvcfg.DomainOf(above.Prefix)
		if !ok && above.Prefix == m.Prefix() {
			domain = m.Domain
		}
		nodes = append(nodes, node(domain, kvcfg.DisplayName(above.Config.Name), above.Prefix, above))
	}
	return nodes
}

// List reads all mirrors and what is found of them, by name. When parts could not be
// read the result has the others, and the error is one of why.
func (c *Client) List(ctx context.Context) (*Fleet, error) {
	f := &Fleet{Action: Listed}
	read, err := c.readFleet(ctx, f, nil)
	if err != nil {
		return f, err
	}
	c.countExactly(ctx, read.Mirrors)
	for _, m := range read.Mirrors {
		f.Mirrors = append(f.Mirrors, c.at(m).member(m, check.Findings(m.Facts, check.DefaultThresholds())))
	}
	return f, unreadableParts(read)
}

// CheckRequest is what to check.
type CheckRequest struct {
	Buckets    []string // none means all
	Thresholds check.Thresholds
	Ignore     []string // codes of findings to leave out
	Expect     *int64   // how many mirrors there must be
	Content    *ContentOptions
}

// Check finds what is wrong with mirrors. The messages are compared when the request
// has Content. The result has a status also with an error: unknown.
func (c *Client) Check(ctx context.Context, req CheckRequest) (*Fleet, error) {
	f := &Fleet{Action: Checked, Status: new(check.Unknown)}
	read, err := c.readFleet(ctx, f, req.Buckets)
	if err != nil {
		return f, err
	}
	if req.Content == nil {
		c.countExactly(ctx, read.Mirrors)
	}
	for _, m := range read.Mirrors {
		var compared *Content
		if req.Content != nil {
			if compared, err = c.at(m).compareFor(ctx, &m, *req.Content); ctx.Err() != nil {
				return f, AsError(ctx.Err())
			} else if err != nil {
				return f, AsError(err)
			}
		}
		member := c.at(m).member(m, check.Findings(m.Facts, req.Thresholds, req.Ignore...))
		member.Content = compared
		f.Mirrors = append(f.Mirrors, member)
	}
	f.Findings = fleetFindings(read, req)
	status := check.Worst(f.Findings)
	for _, m := range f.Mirrors {
		status = status.Worse(m.State)
	}
	f.Status = &status
	return f, nil
}

// compareFor compares the messages of a mirror and completes its facts. The error is
// one of the request's Found: what else goes wrong is a fact.
func (c *Client) compareFor(ctx context.Context, m *fleet.Mirror, o ContentOptions) (*Content, error) {
	compared, found, err := c.compare(ctx, *m, o, nil)
	m.Facts.Content = contentFacts(compared, err)
	return compared, found
}

// fleetFindings are the findings about the fleet as a whole.
func fleetFindings(read fleet.Fleet, req CheckRequest) []check.Finding {
	facts := check.FleetFacts{Mirrors: len(read.Mirrors), Expected: req.Expect, Empty: read.Empty(), NotBuckets: read.NotBuckets}
	for _, p := range read.Problems {
		facts.Problems = append(facts.Problems, p.Unreadable())
	}
	return check.FleetFindings(facts, req.Ignore...)
}

// unreadableParts is the failure that parts of a fleet could not be read; nil when
// all were.
func unreadableParts(read fleet.Fleet) error {
	if len(read.Problems) == 0 {
		return nil
	}
	first := read.Problems[0]
	cause := AsError(first.Err)
	kind := cause.Kind
	if kind == ErrInternal {
		kind = ErrIncomplete // no request failed: a list is not whole
	}
	e := fail(kind, "%s could not be read, the first is %w", count(len(read.Problems), "part"), first)
	return e.advise(cause.Advice...)
}

// unreadableOrigins is the failure that some origins could not be read, so that
// whether their mirrors follow them is not known; nil when all could. One that does
// not exist, or is no bucket, is read: nothing can be followed there.
func (c *Client) unreadableOrigins(read fleet.Fleet) error {
	var unread []fleet.Mirror
	for _, m := range read.Mirrors {
		if m.Facts.Origin == nil && (m.Facts.OriginUnread.Reason == check.ReasonUnreachable || m.Facts.OriginUnread.Reason == check.ReasonDenied) {
			unread = append(unread, m)
		}
	}
	if len(unread) == 0 {
		return nil
	}
	return fail(ErrOriginUnreadable, "whether %s is not known, because that could not be read; the first is %q: %s",
		count(len(unread), "mirror differs from its origin", "mirrors differ from their origins"), c.at(unread[0]).name(unread[0].Bucket), unread[0].Facts.OriginUnread.Detail).advise(Advice{Code: RunAgainReads})
}

// writeOutcome is what became of one mirror of many whose write failed.
func (m *Member) writeFailed(err error) {
	m.Action, m.Err = Failed, err
	if errors.Is(err, ErrOutcomeUnknown) {
		m.Action = Unknown
	}
}

// notReached is why a mirror was left alone after an interrupt.
const notReached = "interrupted before its turn"

// summary is the failure of an operation on many mirrors, whose members stand in the
// list; nil when all were done.
func summary(members []*Member, verb string) error {
	counts := map[Action]int{}
	interrupted := false
	for _, m := range members {
		counts[m.Action]++
		interrupted = interrupted || m.Action == Skipped && m.interrupted
	}
	text := fmt.Sprintf("%d of %s %s, %d failed, %d left alone, %d with an unknown outcome",
		counts[Updated], count(len(members), "mirror"), verb, counts[Failed], counts[Skipped], counts[Unknown])
	var e *Error
	switch {
	case counts[Unknown] > 0:
		e = fail(ErrOutcomeUnknown, "%s", text)
	case interrupted:
		e = fail(ErrInterrupted, "interrupted: %s", text)
	case counts[Failed]+counts[Skipped] > 0:
		e = fail(ErrIncomplete, "%s", text)
	default:
		return nil
	}
	return e.advise(Advice{Code: RunAgainRest})
}
