package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
)

const (
	// purgesAtOnce is how many requests to purge a key are under way.
	purgesAtOnce = 64
	// sweptAtOnce is how many keys are swept between two walks: what is known of
	// them is held in memory.
	sweptAtOnce = 250_000
)

// sweepJob is a mirror that leftovers are purged from.
type sweepJob struct {
	mirror    fleet.Mirror
	member    *render.Member
	leftovers *content.Leftovers
}

// runContent purges what is left over on the mirrors.
func (o *syncOptions) runContent(ctx context.Context, rt *runtime, s *session, read fleet.Fleet, r *render.Fleet) error {
	file, err := createItemFile(o.messages.outfile)
	if err != nil {
		return err
	}
	jobs, err := o.planSweep(ctx, rt, s, read, r, file)
	if err = errors.Join(err, file.close()); err != nil {
		return err
	}
	asking := !o.force && !o.dryRun && len(jobs) > 0
	if err := o.showSweep(rt, s, *r, asking); err != nil {
		return err
	}
	switch {
	case len(jobs) == 0:
		if slices.ContainsFunc(r.Mirrors, uncompared) {
			rt.say("Nothing was purged")
		} else {
			rt.say("There is nothing to purge on %s", plural(len(r.Mirrors), "mirror"))
		}
		return unsound(r)
	case o.dryRun:
		r.Action = render.WouldUpdate
		return nil
	}
	if asking {
		yes, err := rt.prompt.Confirm(ctx, sweepQuestion(jobs), s.style.ColorScheme)
		if err != nil {
			return err
		}
		if !yes {
			rt.say("Nothing was purged")
			return nil
		}
	}
	r.Action = render.Updated
	for _, j := range jobs {
		if ctx.Err() != nil {
			j.member.Action, j.member.Note = render.Skipped, notReached
		} else {
			o.sweep(ctx, rt, s, j)
		}
		rt.sayOf(j.member)
	}
	return together(summarizeSweep(jobs), unsound(r))
}

// sweepQuestion is what is asked before anything is purged.
func sweepQuestion(jobs []*sweepJob) string {
	var messages uint64
	for _, j := range jobs {
		messages += j.member.Sweep.Messages
	}
	return fmt.Sprintf("Really purge %s from %s?", plural(int(messages), "message"), plural(len(jobs), "mirror"))
}

// planSweep compares all mirrors and returns those that something can be purged
// from.
func (o *syncOptions) planSweep(ctx context.Context, rt *runtime, s *session, read fleet.Fleet, r *render.Fleet, file *itemFile) ([]*sweepJob, error) {
	var jobs []*sweepJob
	r.Mirrors = make([]render.Member, 0, len(read.Mirrors))
	for _, m := range read.Mirrors {
		leftovers := &content.Leftovers{Max: sweptAtOnce}
		compared, err := o.compareForSweep(ctx, rt, s, m, leftovers, file)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		m.Facts.Content = contentFacts(compared, err)
		r.Mirrors = append(r.Mirrors, member(m, s.own.Prefix(), check.Findings(m.Facts, check.DefaultThresholds())))
		member := &r.Mirrors[len(r.Mirrors)-1]
		member.Action, member.Content = render.Unchanged, compared
		if err != nil {
			member.Action, member.Failure = render.Failed, failureOf(err)
			continue
		}
		if o.sweepable(m, member, leftovers) {
			member.Action = render.WouldUpdate
			jobs = append(jobs, &sweepJob{mirror: m, member: member, leftovers: leftovers})
		}
	}
	return jobs, nil
}

// compareForSweep compares a mirror with its origin and gathers what is left
// over.
func (o *syncOptions) compareForSweep(ctx context.Context, rt *runtime, s *session, m fleet.Mirror, leftovers *content.Leftovers, file *itemFile) (*render.Content, error) {
	c := o.messages.comparer(s, m)
	compared, err := rt.compare(ctx, s, &o.messages, m, c, func(i content.Item) error {
		leftovers.Add(i)
		return file.add(m.Bucket, i)
	})
	if err != nil || compared.OriginUnreadable != "" {
		return compared, err
	}
	return compared, c.FindUnpurgeable(ctx, leftovers)
}

// sweepable says whether something can be purged from a mirror, and notes what
// can not.
func (o *syncOptions) sweepable(m fleet.Mirror, member *render.Member, leftovers *content.Leftovers) bool {
	standing := leftovers.Unpurgeable()
	purges := leftovers.Purges()
	sweep := &render.Sweep{StandingKeys: len(standing), Standing: []string{}}
	for _, subject := range standing[:min(len(standing), o.messages.shown())] {
		sweep.Standing = append(sweep.Standing, kvcfg.Key(subject))
	}
	member.Sweep = sweep
	if member.Content.OriginUnreadable == "" && len(purges) == 0 {
		return false
	}
	if why := unsafeToPurge(m, member); why != "" {
		member.Note = "nothing is purged, because " + why
		return false
	}
	sweep.Keys = len(purges)
	sweep.Messages = messagesOf(purges)
	return true
}

// unsafeToPurge says why nothing at all may be purged from a mirror, "" when it
// may. What is gone at an origin that is another one now, or that counts its
// messages otherwise, may be the last copy, or the value of a key that lives.
func unsafeToPurge(m fleet.Mirror, member *render.Member) string {
	recreated := func(f check.Finding) bool { return f.Code == check.OriginRecreated }
	const remedy = "; `sync --recreate` makes it anew"
	switch {
	case member.Content.OriginUnreadable != "":
		return "the origin's messages cannot be read"
	case slices.ContainsFunc(member.Findings, recreated):
		return "the origin was created again, so that the mirror may hold what nobody else does" + remedy
	case content.Sum(member.Content.Different) > 0:
		return "messages are different at the same sequence, so that what seems to be left over may be in its place" + remedy
	case m.Facts.Mirror.Config.DenyPurge:
		return "the mirror denies it (deny_purge)" + remedy
	}
	return ""
}

// showSweep shows what is to be purged and what no purge mends.
func (o *syncOptions) showSweep(rt *runtime, s *session, r render.Fleet, asking bool) error {
	switch {
	case !rt.json:
		return render.Sweeps(rt.Out, r.Mirrors, s.style)
	case asking:
		return render.Sweeps(rt.Err, r.Mirrors, s.style)
	}
	return nil
}

// sweep purges what is left over, round after round if it is much, and proves
// that nothing is. A purge whose answer did not come is not sent again: that it
// was done is shown by the proof, or it is not known.
func (o *syncOptions) sweep(ctx context.Context, rt *runtime, s *session, j *sweepJob) {
	m := j.member
	for {
		if err := s.stillThe(ctx, j.mirror); err != nil {
			if ctx.Err() == nil {
				m.Action, m.Failure = render.Failed, failureOf(purgedSoFar(m, err))
			} else {
				interruptedSweep(m)
			}
			return
		}
		planned := messagesOf(j.leftovers.Purges())
		purged, unsure := o.purge(ctx, rt, s, j)
		m.Sweep.Purged += purged
		if ctx.Err() != nil && unsure == nil {
			interruptedSweep(m)
			return
		}
		if unsure != nil && !jsapi.OutcomeUnknown(unsure) {
			m.Action, m.Failure = render.Failed, failureOf(purgedSoFar(m, unsure))
			return
		}
		j.leftovers = &content.Leftovers{Max: sweptAtOnce}
		compared, err := o.compareForSweep(ctx, rt, s, j.mirror, j.leftovers, &itemFile{})
		proved := err == nil && compared.OriginUnreadable == ""
		left := len(j.leftovers.Purges()) > 0
		switch {
		case unsure == nil && ctx.Err() != nil:
			interruptedSweep(m)
			return
		case unsure != nil && (!proved || left):
			m.Action = render.Unknown
			m.Failure = failureOf(fail(kindUnknownOutcome, "running the command again is safe", "it is not known what became of some purges: %w", unsure))
			return
		case !proved:
			if err == nil {
				err = errors.New(compared.OriginUnreadable)
			}
			m.Action, m.Failure = render.Failed, failureOf(purgedSoFar(m, fmt.Errorf("the proof failed: %w", err)))
			return
		case content.Sum(compared.Different) > 0:
			left = false // what has come since cannot be told from what is in its place
		}
		before := content.Sum(m.Content.LeftOver)
		m.Content = compared
		if left && purged > 0 && content.Sum(compared.LeftOver) >= before {
			m.Action, m.Failure = render.Failed, failureOf(fail(kindNotKept, "", "the server says that %s purged, and as many are left over as before", plural(int(m.Sweep.Purged), "message")))
			return
		}
		if unsure != nil {
			m.Sweep.Purged += max(planned, purged) - purged // nobody has counted them, and they are gone
		}
		if !left || purged == 0 {
			o.proved(j)
			return
		}
	}
}

// messagesOf is how many messages some purges are about.
func messagesOf(purges []content.Purge) uint64 {
	var n uint64
	for _, p := range purges {
		n += p.Messages
	}
	return n
}

// purgedSoFar is a failure after some messages were purged.
func purgedSoFar(m *render.Member, err error) error {
	if m.Sweep.Purged == 0 {
		return err
	}
	return fmt.Errorf("%s purged, and then: %w", plural(int(m.Sweep.Purged), "message"), err)
}

// interruptedSweep says that the sweep of a mirror was interrupted.
func interruptedSweep(m *render.Member) {
	m.Action, m.Note = render.Skipped, fmt.Sprintf("interrupted after %d messages were purged", m.Sweep.Purged)
}

// proved says what a mirror holds after it was swept.
func (o *syncOptions) proved(j *sweepJob) {
	m := j.member
	j.mirror.Facts.Content = contentFacts(m.Content, nil)
	m.Findings = withFixes(check.Findings(j.mirror.Facts, check.DefaultThresholds()))
	m.State = check.Worst(m.Findings)
	m.Action = render.Updated
	m.Note = fmt.Sprintf("%s purged; it %s", plural(int(m.Sweep.Purged), "message"), m.Content.Sentence())
}

// purge sends the purges of a job, several at a time, and returns how many
// messages went. When ctx ends no further one is begun. Of several failures, which
// are mostly the same, it returns one, of unknown outcome if there is such a one.
func (o *syncOptions) purge(ctx context.Context, rt *runtime, s *session, j *sweepJob) (uint64, error) {
	bar := newContentBar(rt, s.style, "Purging "+j.mirror.Bucket)
	defer bar.stop()
	stream := j.mirror.Facts.Mirror.Config.Name
	purges := j.leftovers.Purges()
	var next, purged atomic.Int64
	var first error
	var mu sync.Mutex
	var wg sync.WaitGroup
	failed := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return first != nil
	}
	for range min(purgesAtOnce, len(purges)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(purges) || ctx.Err() != nil || failed() {
					return
				}
				n, err := s.own.Purge(context.WithoutCancel(ctx), stream, purges[i].Subject, purges[i].Before)
				if err != nil {
					mu.Lock()
					if first == nil || jsapi.OutcomeUnknown(err) && !jsapi.OutcomeUnknown(first) {
						first = err
					}
					mu.Unlock()
					return
				}
				purged.Add(int64(n))
				bar.at(uint64(i)+1, uint64(len(purges)))
			}
		})
	}
	wg.Wait()
	bar.done = first == nil && ctx.Err() == nil
	return uint64(purged.Load()), first
}

// stillThe is nil when a mirror, and its origin, are what they were when the plan
// was made.
func (s *session) stillThe(ctx context.Context, m fleet.Mirror) error {
	now, err := s.own.Stream(ctx, m.Facts.Mirror.Config.Name)
	if err != nil {
		return err
	}
	origin, err := s.mustReadOrigin(ctx, m.Origin, "nothing more is purged")
	if err != nil {
		return err
	}
	if before := m.Facts.Origin; before != nil && !origin.stream.Created.Equal(before.Created) || origin.stream.State.LastSeq < now.State.LastSeq {
		return fail(kindConflict, "run the command again", "the origin was created again since the mirror was compared, nothing more was purged")
	}
	if !now.Created.Equal(m.Facts.Mirror.Created) || !now.Config.SameAs(m.Facts.Mirror.Config) {
		return fail(kindConflict, "run the command again", "the mirror was changed since it was compared, nothing more was purged")
	}
	return nil
}

// summarizeSweep is the failure of the whole: nil when all jobs were done.
func summarizeSweep(jobs []*sweepJob) error {
	counts := map[render.Action]int{}
	var purged uint64
	for _, j := range jobs {
		counts[j.member.Action]++
		purged += j.member.Sweep.Purged
	}
	said := fmt.Sprintf("%s purged; %d of %s swept, %d failed, %d interrupted, %d with an unknown outcome",
		plural(int(purged), "message"), counts[render.Updated], plural(len(jobs), "mirror"), counts[render.Failed], counts[render.Skipped], counts[render.Unknown])
	const hint = "running the command again does what is left"
	switch {
	case counts[render.Unknown] > 0:
		return fail(kindUnknownOutcome, hint, "%s", said)
	case counts[render.Skipped] > 0:
		return fail(kindInterrupted, hint, "interrupted: %s", said)
	case counts[render.Failed] > 0:
		return fail(kindIncomplete, hint, "%s", said)
	}
	return nil
}

// uncompared says that nothing is known of a mirror's messages.
func uncompared(m render.Member) bool {
	return m.Content == nil || m.Failure != nil || m.Content.OriginUnreadable != ""
}

// unsound is the failure that some mirrors do not hold what their origins hold, or
// are not known to; nil when all do.
func unsound(r *render.Fleet) error {
	var differ, unknown int
	for _, m := range r.Mirrors {
		swept := m.Sweep != nil && (m.Action == render.Failed || m.Action == render.Skipped || m.Action == render.Unknown)
		switch {
		case swept: // the summary of the sweep has it
		case uncompared(m):
			unknown++
		case m.Content.Verdict != content.Identical:
			differ++
		}
	}
	var parts, hints []string
	if differ > 0 {
		parts = append(parts, plural(differ, "mirror")+" can not be made to hold what the origin holds by purging")
		hints = append(hints, "what no purge mends is listed with its remedy")
	}
	if unknown > 0 {
		parts = append(parts, plural(unknown, "mirror")+" could not be compared with the origin, so nothing is known")
		hints = append(hints, "run the command again when the cause is gone")
	}
	if len(parts) == 0 {
		return nil
	}
	return fail(kindIncomplete, lines(hints...), "%s", strings.Join(parts, "; "))
}
