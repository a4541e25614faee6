package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/render"
	"nats-kvmirror/internal/stream"
)

// mendedAtOnce is how many mirrors are mended at the same time: turning per-key
// TTL on makes a server scan a whole stream.
const mendedAtOnce = 4

// syncOptions are the flags of sync.
type syncOptions struct {
	buckets  []string
	all      bool
	only     []string
	messages contentOptions
	recreateOptions
	force  bool
	dryRun bool
}

func addSync(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &syncOptions{}
	cmd := app.Command("sync", "Mends what check finds")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("Shows for every mirror what will be changed, asks once, and changes several at a time. What no update can mend is listed with its remedy. A second run does what is left, and nothing when nothing is.\n\nWith --content, mirror and origin are compared message by message, what is left over on the mirror is purged, and a second comparison proves it.\n\nWith --recreate, one mirror is deleted and created again, after it was made sure that its origin holds what it holds; then it is compared with its origin.")
	cmd.Arg("bucket", "The mirrors to mend").StringsVar(&o.buckets)
	cmd.Flag("all", "Mend all mirrors").UnNegatableBoolVar(&o.all)
	cmd.Flag("only", "Mend only the findings with this code (can be repeated)").PlaceHolder("CODE").HintOptions(check.FixableCodes()...).StringsVar(&o.only)
	o.messages.addContent(cmd, "Purge the messages that are left over on the mirrors, and nothing else", "With --content or --recreate, ")
	o.addRecreate(cmd)
	cmd.Flag("force", "Change without asking").Short('f').UnNegatableBoolVar(&o.force)
	cmd.Flag("dry-run", "Show what would be changed and change nothing; exit code 2 when there is something to change").UnNegatableBoolVar(&o.dryRun)
	jsonFlag(cmd, rt)
	cmd.Action(reports(rt, selected, o.run, rt.finishFleet))
}

func (o *syncOptions) complete() error {
	switch {
	case o.all && len(o.buckets) > 0:
		return fail(kindUsage, "", "--all and names of buckets exclude each other")
	case !o.all && len(o.buckets) == 0:
		return fail(kindUsage, "say --all to mean all mirrors", "no bucket is named")
	case o.recreate && (o.messages.content || len(o.only) > 0 || o.all):
		return fail(kindUsage, "", "--recreate excludes --content, --only and --all")
	case o.messages.content && len(o.only) > 0:
		return fail(kindUsage, "", "--content and --only exclude each other")
	}
	for _, code := range o.only {
		if !slices.Contains(check.FixableCodes(), code) {
			return fail(kindUsage, "the codes are "+strings.Join(check.FixableCodes(), ", "), "--only: there is no finding %q that an update fixes", code)
		}
	}
	if err := o.recreateOptions.complete(o.buckets); err != nil {
		return err
	}
	return o.messages.complete(o.messages.content || o.recreate)
}

// mendJob is a mirror that is to be mended, and how.
type mendJob struct {
	mirror fleet.Mirror
	codes  []string
	member *render.Member
}

func (o *syncOptions) run(ctx context.Context, rt *runtime) (render.Fleet, error) {
	r := render.Fleet{Action: render.Unchanged}
	if err := o.complete(); err != nil {
		return r, err
	}
	s, err := rt.connect(ctx)
	if err != nil {
		return r, err
	}
	defer s.conn.Close()
	if o.recreate {
		err := o.runRecreate(ctx, rt, s, &r)
		return r, err
	}
	read, err := rt.readFleet(ctx, s, o.buckets)
	if err != nil {
		return r, fmt.Errorf("cannot read the mirrors: %w", err)
	}
	rt.noteProblems(&r, read)
	unread := together(unreadFailure(read), unreadOrigins(read))
	if o.messages.content {
		err := o.runContent(ctx, rt, s, read, &r)
		return r, together(err, unread)
	}
	jobs, err := o.plan(s, &r, read)
	if err != nil {
		return r, err
	}
	if len(jobs) == 0 {
		if err := o.showPlan(rt, r, false); err != nil {
			return r, err
		}
		if unread == nil {
			rt.say("There is nothing to change on %s", plural(len(r.Mirrors), "mirror"))
		} else {
			rt.say("Nothing was changed")
		}
		return r, unread
	}
	asking := !o.force && !o.dryRun
	if err := o.showPlan(rt, r, asking); err != nil {
		return r, err
	}
	if o.dryRun {
		r.Action = render.WouldUpdate
		return r, unread
	}
	o.warnOfTTL(rt, &r, jobs)
	if asking {
		yes, err := rt.prompt.Confirm(ctx, fmt.Sprintf("Really sync %s?", plural(len(jobs), "mirror")), s.style.ColorScheme)
		if err != nil {
			return r, err
		}
		if !yes {
			rt.say("Nothing was changed")
			return r, unread
		}
	}
	r.Action = render.Updated
	return r, together(o.mend(ctx, rt, s, jobs), unread)
}

// unreadFailure is the failure that parts of a fleet could not be read; nil when
// all was.
func unreadFailure(read fleet.Fleet) error {
	if len(read.Problems) == 0 {
		return nil
	}
	first := read.Problems[0]
	cause := explain(first.Err)
	kind := cause.kind
	if kind == kindInternal {
		kind = kindIncomplete // no request failed: a list is not whole
	}
	return &failure{kind: kind, hint: cause.hint, err: fmt.Errorf("%s could not be read, the first is %w", plural(len(read.Problems), "part"), first)}
}

// unreadOrigins is the failure that some origins could not be read, so that whether
// their mirrors follow them is not known; nil when all could. One that does not
// exist, or is no bucket, is read: nothing can be followed there.
func unreadOrigins(read fleet.Fleet) error {
	var unread []fleet.Mirror
	for _, m := range read.Mirrors {
		if r := m.Facts.OriginUnread.Reason; m.Facts.Origin == nil && (r == check.ReasonUnreachable || r == check.ReasonDenied) {
			unread = append(unread, m)
		}
	}
	if len(unread) == 0 {
		return nil
	}
	return fail(kindOriginUnread, "running the command again looks again",
		"whether %s is to be changed is not known, because the origin could not be read; the first is %q: %s", plural(len(unread), "mirror"), unread[0].Bucket, unread[0].Facts.OriginUnread.Detail)
}

// plan decides what to change. Members are listed that have changes, or findings
// worth a look.
func (o *syncOptions) plan(s *session, r *render.Fleet, read fleet.Fleet) ([]*mendJob, error) {
	var jobs []*mendJob
	r.Mirrors = make([]render.Member, 0, len(read.Mirrors))
	for _, m := range read.Mirrors {
		findings := check.Findings(m.Facts, check.DefaultThresholds())
		r.Mirrors = append(r.Mirrors, member(m, s.own.Prefix(), findings))
		member := &r.Mirrors[len(r.Mirrors)-1]
		member.Action = render.Unchanged
		codes := check.Fixable(findings, o.only)
		if len(o.only) > 0 {
			codes = slices.DeleteFunc(codes, func(c string) bool { return !slices.Contains(o.only, c) })
		}
		if len(codes) == 0 {
			continue
		}
		plan, err := check.Fix(m.Facts.Mirror.Config.Raw(), originConfig(m), codes)
		if err != nil {
			return nil, fmt.Errorf("bucket %q: %w", m.Bucket, err)
		}
		if len(plan.Changes) == 0 {
			continue
		}
		member.Action, member.Changes = render.WouldUpdate, plan.Changes
		jobs = append(jobs, &mendJob{mirror: m, codes: codes, member: member})
	}
	return jobs, nil
}

// originConfig is the origin's configuration, empty when it was not read; no
// finding that needs it is then found.
func originConfig(m fleet.Mirror) stream.Config {
	if m.Facts.Origin == nil {
		return stream.Config{}
	}
	return m.Facts.Origin.Config
}

// showPlan shows what is to be done and what cannot be.
func (o *syncOptions) showPlan(rt *runtime, r render.Fleet, asking bool) error {
	switch {
	case !rt.json:
		return render.MemberChanges(rt.Out, r.Mirrors)
	case asking:
		return render.MemberChanges(rt.Err, r.Mirrors)
	}
	return nil
}

// warnOfTTL says what cannot be undone.
func (o *syncOptions) warnOfTTL(rt *runtime, r *render.Fleet, jobs []*mendJob) {
	n, messages := 0, uint64(0)
	for _, j := range jobs {
		if slices.Contains(j.codes, "ttl-off") {
			n++
			messages += j.mirror.Facts.Mirror.State.Msgs
		}
	}
	if n > 0 {
		rt.warn(r, "per-key TTL can not be turned off again; it is turned on for %s, whose servers have %d messages to scan", plural(n, "mirror"), messages)
	}
}

// mend does the jobs, several at a time. When ctx ends no further one is begun,
// and those under way are followed to their end. One that fails does not stop
// the others.
func (o *syncOptions) mend(ctx context.Context, rt *runtime, s *session, jobs []*mendJob) error {
	var wg sync.WaitGroup
	var lines sync.Mutex
	slots := make(chan struct{}, mendedAtOnce)
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
			o.mendOne(ctx, s, j)
			lines.Lock()
			defer lines.Unlock()
			rt.sayOf(j.member)
		})
	}
	wg.Wait()
	for _, j := range jobs[begun:] {
		j.member.Action, j.member.Note = render.Skipped, notReached
		rt.sayOf(j.member)
	}
	return summarize(jobs)
}

// notReached is why a mirror was left alone after an interrupt.
const notReached = "interrupted before its turn"

// sayOf says in a line what became of a mirror.
func (rt *runtime) sayOf(m *render.Member) {
	switch {
	case m.Failure != nil:
		rt.say("%s: %s: %s", m.Bucket, m.Action, m.Failure.Message)
	case m.Note != "":
		rt.say("%s: %s: %s", m.Bucket, m.Action, m.Note)
	default:
		rt.say("%s: %s", m.Bucket, m.Action)
	}
}

// mendOne reads the mirror again, makes sure that it is what the plan was made
// for, and updates it.
func (o *syncOptions) mendOne(ctx context.Context, s *session, j *mendJob) {
	failed := func(err error) {
		j.member.Action, j.member.Failure = render.Failed, failureOf(err)
		if j.member.Failure.Kind == kindUnknownOutcome {
			j.member.Action = render.Unknown
		}
	}
	name := j.mirror.Facts.Mirror.Config.Name
	now, err := s.own.Stream(ctx, name)
	if errors.Is(err, context.Canceled) {
		j.member.Action, j.member.Note = render.Skipped, notReached
		return
	}
	if err != nil {
		failed(err)
		return
	}
	if !now.Config.SameAs(j.mirror.Facts.Mirror.Config) {
		j.member.Action, j.member.Note = render.Skipped, "it was changed since the plan was shown; run sync again"
		return
	}
	plan, err := check.Fix(now.Config.Raw(), originConfig(j.mirror), j.codes)
	if err != nil {
		failed(err)
		return
	}
	j.member.Changes = plan.Changes
	updated, err := s.update(ctx, name, plan, now.State.Msgs)
	if err != nil {
		failed(err)
		return
	}
	j.member.Action = render.Updated
	j.member.PerKeyTTL = updated.Config.AllowMsgTTL
	j.member.Values, j.member.Bytes, j.member.LastSeq = updated.State.Msgs, updated.State.Bytes, updated.State.LastSeq
	if plan.EnablesTTL() && j.mirror.Facts.Origin != nil {
		j.member.Note = afterTTL(updated, j.mirror)
	}
}

// failureOf is an error as it stands in a document.
func failureOf(err error) *render.Failure {
	f := explain(err)
	return &render.Failure{Kind: f.kind, Message: f.Error(), Hint: f.hint}
}

// afterTTL says what the server left of what had expired, as far as the counts
// that were read on the way tell.
func afterTTL(updated *stream.Info, m fleet.Mirror) string {
	c := check.Compare(updated.Config, m.Facts.Origin.Config, updated.State, m.Facts.Origin.State)
	if n := c.LeftOver(); n > 0 {
		return fmt.Sprintf("the mirror holds at least %s that its origin does not; `check` tells more", plural(int(n), "message"))
	}
	return ""
}

// summarize is the failure of the whole: nil when all jobs were done.
func summarize(jobs []*mendJob) error {
	counts := map[render.Action]int{}
	interrupted := false
	for _, j := range jobs {
		counts[j.member.Action]++
		interrupted = interrupted || j.member.Note == notReached
	}
	said := fmt.Sprintf("%d of %s changed, %d failed, %d left alone, %d with an unknown outcome",
		counts[render.Updated], plural(len(jobs), "mirror"), counts[render.Failed], counts[render.Skipped], counts[render.Unknown])
	const hint = "running the command again does what is left"
	switch {
	case counts[render.Unknown] > 0:
		return fail(kindUnknownOutcome, hint, "%s", said)
	case interrupted:
		return fail(kindInterrupted, hint, "interrupted: %s", said)
	case counts[render.Failed]+counts[render.Skipped] > 0:
		return fail(kindIncomplete, hint, "%s", said)
	}
	return nil
}
