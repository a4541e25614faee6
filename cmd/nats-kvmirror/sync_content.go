package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

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
		rt.say("There is nothing to purge on %s", plural(len(r.Mirrors), "mirror"))
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
	return errors.Join(summarizeSweep(jobs), unsound(r))
}

// sweepQuestion is what is asked before anything is purged.
func sweepQuestion(jobs []*sweepJob) string {
	var messages uint64
	for _, j := range jobs {
		messages += content.Sum(j.member.Content.LeftOver)
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
		r.Mirrors = append(r.Mirrors, member(m, s.own.Prefix(), kvcfg.Check(m.Facts, kvcfg.DefaultThresholds())))
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
	if err != nil || compared.Unread != "" {
		return compared, err
	}
	return compared, c.FindStanding(ctx, leftovers)
}

// sweepable says whether something can be purged from a mirror, and notes what
// can not.
func (o *syncOptions) sweepable(m fleet.Mirror, member *render.Member, leftovers *content.Leftovers) bool {
	standing := leftovers.Standing()
	purges := leftovers.Purges()
	sweep := &render.Sweep{StandingKeys: len(standing), Standing: []string{}}
	for _, subject := range standing[:min(len(standing), o.messages.shown())] {
		sweep.Standing = append(sweep.Standing, kvcfg.Key(subject))
	}
	sweep.Keys = len(purges)
	sweep.Messages = messagesOf(purges)
	member.Sweep = sweep
	switch {
	case member.Content.Unread != "":
		member.Note = "nothing is purged, because the origin's messages cannot be read"
	case m.Facts.Mirror.Config.DenyPurge && len(purges) > 0:
		member.Note = "nothing is purged, because the mirror denies it (deny_purge); `sync --recreate` makes it anew"
	default:
		return len(purges) > 0
	}
	return false
}

// showSweep shows what is to be purged and what no purge mends.
func (o *syncOptions) showSweep(rt *runtime, s *session, r render.Fleet, asking bool) error {
	switch {
	case !rt.json:
		return render.Sweeps(rt.out, r.Mirrors, s.style)
	case asking:
		return render.Sweeps(rt.err, r.Mirrors, s.style)
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
			m.Action, m.Failure = render.Failed, failureOf(err)
			return
		}
		planned := messagesOf(j.leftovers.Purges())
		purged, unsure := o.purge(ctx, rt, s, j)
		m.Sweep.Purged += purged
		if ctx.Err() != nil && unsure == nil {
			m.Action, m.Note = render.Skipped, fmt.Sprintf("%s after %d messages were purged", interruptedSweep, m.Sweep.Purged)
			return
		}
		if unsure != nil && !jsapi.OutcomeUnknown(unsure) {
			m.Action, m.Failure = render.Failed, failureOf(purgedSoFar(m, unsure))
			return
		}
		j.leftovers = &content.Leftovers{Max: sweptAtOnce}
		compared, err := o.compareForSweep(ctx, rt, s, j.mirror, j.leftovers, &itemFile{})
		proved := err == nil && compared.Unread == ""
		left := len(j.leftovers.Purges()) > 0
		switch {
		case unsure != nil && (!proved || left):
			m.Action = render.Unknown
			m.Failure = failureOf(fail(kindUnknownOutcome, "running the command again is safe", "it is not known what became of some purges: %w", unsure))
			return
		case !proved:
			if err == nil {
				err = errors.New(compared.Unread)
			}
			m.Action, m.Failure = render.Failed, failureOf(purgedSoFar(m, fmt.Errorf("the proof failed: %w", err)))
			return
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
	return fmt.Errorf("%s purged, and then: %w", plural(int(m.Sweep.Purged), "message"), err)
}

const interruptedSweep = "interrupted"

// proved says what a mirror holds after it was swept.
func (o *syncOptions) proved(j *sweepJob) {
	m := j.member
	j.mirror.Facts.Content = contentFacts(m.Content, nil)
	m.Findings = kvcfg.Check(j.mirror.Facts, kvcfg.DefaultThresholds())
	m.State = kvcfg.Worst(m.Findings)
	m.Action = render.Updated
	m.Note = fmt.Sprintf("%s purged; it %s", plural(int(m.Sweep.Purged), "message"), m.Content.Sentence())
}

// purge sends the purges of a job, several at a time, and returns how many
// messages went. When ctx ends no further one is begun.
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
					first = errors.Join(first, err)
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

// stillThe is nil when a mirror is what it was when the plan was made.
func (s *session) stillThe(ctx context.Context, m fleet.Mirror) error {
	now, err := s.own.Stream(ctx, m.Facts.Mirror.Config.Name)
	if err != nil {
		return err
	}
	if !now.Created.Equal(m.Facts.Mirror.Created) || !sameConfig(now.Config, m.Facts.Mirror.Config) {
		return fail(kindRefused, "run the command again", "the mirror was changed since it was compared, nothing more was purged")
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

// unsound is the failure to make all mirrors hold what their origins hold; nil
// when they do.
func unsound(r *render.Fleet) error {
	var n int
	for _, m := range r.Mirrors {
		if m.Content == nil || m.Content.Verdict != content.Identical {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fail(kindIncomplete, "what no purge mends is listed with its remedy", "%s can not be made to hold what the origin holds by purging", plural(n, "mirror"))
}
