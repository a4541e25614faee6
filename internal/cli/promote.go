package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
	"nats-kvmirror/internal/stream"
)

// promoteOptions are the flags of promote.
type promoteOptions struct {
	bucket    string
	into      string
	markerTTL *time.Duration
	force     bool
	dryRun    bool
}

func addPromote(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &promoteOptions{}
	cmd := app.Command("promote", "Makes a mirror a bucket of its own when the origin is lost")
	cmd.Tag("scope:user", "impact:rw")
	cmd.HelpLong("The origin is taken out of the mirror, which from then on takes values itself; this cannot be undone. Clients find the keys only in a bucket of the origin's name: of a mirror with another name, --into makes a new bucket and leaves the mirror alone. Refused while the origin answers: two buckets that take values drift apart.")
	bucketArg(cmd.Arg("bucket", "The mirror to promote").Required(), &o.bucket)
	cmd.Flag("into", "Make a new bucket with this name of the mirror's keys and history").PlaceHolder("NAME").SetValue(argument{&o.into})
	durationFlag(cmd.Flag("marker-ttl", "Keep a marker for so long where a limit removes the last value of a key"), "marker-ttl", &o.markerTTL).PlaceHolder("DURATION")
	cmd.Flag("force", "Promote without asking, and also when the origin answers").Short('f').UnNegatableBoolVar(&o.force)
	cmd.Flag("dry-run", "Show what would be done and do nothing; exit code 2 when there is something to do").UnNegatableBoolVar(&o.dryRun)
	jsonFlag(cmd, rt)
	cmd.Action(reports(rt, selected, o.run, rt.finish))
}

func (o *promoteOptions) complete() error {
	switch {
	case o.into == o.bucket:
		return fail(kindUsage, "without --into, the bucket itself is promoted", "--into: %q is the mirror itself", o.into)
	case o.markerTTL != nil && *o.markerTTL < kvcfg.MinMarkerTTL:
		return fail(kindUsage, "", "--marker-ttl: it must be %v or longer", kvcfg.MinMarkerTTL)
	}
	return nil
}

// toPromote is what is known of the mirror that is to be promoted.
type toPromote struct {
	mirror   *stream.Info
	account  *jsapi.Account // nil when the server did not say
	origin   originRead
	storedAs string    // the bucket as whose keys the mirror's messages are stored
	watched  time.Time // until when a sign of life of the origin was looked for
}

func (o *promoteOptions) run(ctx context.Context, rt *runtime) (render.Report, error) {
	r := render.Report{Bucket: o.bucket, Stream: kvcfg.StreamName(o.bucket)}
	if err := o.complete(); err != nil {
		return r, err
	}
	s, err := rt.connect(ctx)
	if err != nil {
		return r, err
	}
	defer s.conn.Close()

	var p toPromote
	if p.mirror, p.account, err = s.readMirror(ctx, o.bucket); err != nil {
		return r, err
	}
	r.SetStream(p.mirror)
	if o.into == "" && o.done(p.mirror.Config) {
		r.Action = render.Unchanged
		rt.say("Bucket %s is no mirror, nothing was written", o.bucket)
		return r, nil
	}
	origin, err := kvcfg.OriginOf(p.mirror.Config)
	if err != nil {
		return r, err
	}
	if p.storedAs, err = s.storedAs(ctx, p.mirror); err != nil {
		return r, err
	}
	p.origin = s.readOrigin(ctx, origin)
	r.Origin = p.origin.report(p.mirror)
	if o.into != "" {
		return r, o.copyInto(ctx, rt, s, &r, p)
	}
	return r, o.inPlace(ctx, rt, s, &r, p)
}

// done says that the bucket is what promoting makes of a mirror.
func (o *promoteOptions) done(c stream.Config) bool {
	return errors.Is(kvcfg.CheckMirror(c), kvcfg.ErrNotMirror) && (o.markerTTL == nil || *o.markerTTL == c.SubjectDeleteMarkerTTL)
}

// storedAs is the bucket as whose keys a mirror's messages are stored, told by
// its first message, or by its configuration when it has none or may not be
// asked: above its origin there may be others.
func (s *session) storedAs(ctx context.Context, mirror *stream.Info) (string, error) {
	bucket, ok := kvcfg.StoredAs(mirror.Config)
	if ok && mirror.State.Msgs > 0 {
		subject, err := s.own.FirstSubject(ctx, mirror.Config.Name)
		switch {
		case err == nil:
			bucket, ok = kvcfg.SubjectBucket(subject)
		case errors.Is(err, context.Canceled):
			return "", err
		}
	}
	if !ok {
		name, _ := kvcfg.BucketName(mirror.Config.Name)
		return "", fail(kindRefused, "", "bucket %q stores its keys as those of several buckets, or of none, so they cannot become those of one", name)
	}
	return bucket, nil
}

// inPlace makes the mirror itself a bucket of its own.
func (o *promoteOptions) inPlace(ctx context.Context, rt *runtime, s *session, r *render.Report, p toPromote) error {
	plan, err := kvcfg.Promote(p.mirror.Config.Raw(), p.storedAs, o.markerTTL)
	if errors.Is(err, kvcfg.ErrOtherKeys) {
		return fail(kindRefused, o.intoHint(p.storedAs), "bucket %q: its keys are stored as those of bucket %q, where no client of bucket %q would find them", o.bucket, p.storedAs, o.bucket)
	}
	if err != nil {
		return err
	}
	r.Changes = plan.Changes
	if err := o.ableTo(p); err != nil {
		return err
	}
	if _, err := o.originLives(ctx, rt, s, r, p); err != nil {
		return err
	}
	p.watched = time.Now()
	rivals, err := o.rivals(ctx, rt, s, r, o.bucket)
	if err != nil {
		return err
	}
	asking := !o.force && !o.dryRun
	if err := rt.showChanges(*r, asking); err != nil {
		return err
	}
	o.warnOfPlan(rt, r, p)
	if o.dryRun {
		r.Action = render.WouldPromote
		return nil
	}
	if asking {
		yes, err := rt.prompt.Confirm(ctx, fmt.Sprintf("Really promote bucket %s? It cannot be undone", o.bucket), s.style.ColorScheme)
		if err != nil || !yes {
			r.Action = render.Unchanged
			rt.sayUnchanged(o.bucket, err)
			return err
		}
	}
	if err := o.stillSo(ctx, s, p); err != nil {
		return err
	}
	silenced, err := o.silence(ctx, rt, s, r, o.bucket, rivals)
	if err != nil {
		return withSilenced(err, o.bucket, silenced)
	}
	promoted, err := s.update(ctx, r.Stream, plan, 0)
	if promoted != nil {
		r.SetStream(promoted)
	}
	if err != nil {
		return withSilenced(mirrorStays(err, o.intoHint(o.bucket+"2")), o.bucket, silenced)
	}
	r.Action, r.Origin = render.Promoted, nil
	rt.space()
	return rt.show(*r, s.style)
}

// sayUnchanged says that the answer was no.
func (rt *runtime) sayUnchanged(bucket string, err error) {
	if err == nil {
		rt.say("Bucket %s was not changed", bucket)
	}
}

// intoHint is the way out of what cannot be done in place.
func (o *promoteOptions) intoHint(name string) string {
	return fmt.Sprintf("`%s promote %s --into %s` makes a bucket %s of its keys and history", appName, o.bucket, name, name)
}

// canPromote says whether the mirror's server can take the origin out of a
// mirror; known is false when it did not say its version.
func (p toPromote) canPromote() (can, known bool) {
	can, known = p.mirror.Config.ServerVersion().CanPromote()
	if !known && p.account != nil {
		return p.account.Level >= stream.PromoteAPILevel, true
	}
	return can, known
}

// ableTo refuses a server that is known to be too old.
func (o *promoteOptions) ableTo(p toPromote) error {
	if can, known := p.canPromote(); can || !known {
		return nil
	}
	server := "the mirror's server"
	if version := p.mirror.Config.ServerVersion(); version != (stream.Version{}) {
		server = "server " + version.String()
	}
	return tooOldToPromote(o.intoHint(o.bucket+"2"), "%s cannot make a mirror a bucket of its own", server)
}

func tooOldToPromote(hint, format string, a ...any) error {
	return fail(kindOldServer, "the mirror's server must be 2.12 or later\n"+hint, format, a...)
}

// mirrorStays makes the answer of a server that cannot promote a failure that
// says so; other errors stay what they are.
func mirrorStays(err error, hint string) error {
	if e := (*jsapi.Error)(nil); errors.As(err, &e) && e.Code == jsapi.CodeMirrorStays {
		return tooOldToPromote(hint, "%w", err)
	}
	return err
}

// originLives says whether the origin shows a sign of life, which it may only
// with --force, and is then warned of.
func (o *promoteOptions) originLives(ctx context.Context, rt *runtime, s *session, r *render.Report, p toPromote) (bool, error) {
	sign, err := s.signOfLife(ctx, p.origin, p.mirror)
	switch {
	case err != nil && ctx.Err() == nil && o.force:
		rt.warn(r, "%v", err)
		return true, nil
	case err != nil:
		return false, err
	case sign == "":
		return false, nil
	case o.force:
		rt.warn(r, "SPLIT BRAIN: %s; once it is promoted there are two buckets that take values, and what is written to one never reaches the other", sign)
		return true, nil
	}
	return true, splitBrain(sign)
}

func splitBrain(sign string) error {
	return fail(kindRefused, "promote when the origin is lost; --force promotes all the same, if nobody writes to the origin any more", "%s: two buckets that take values would drift apart", sign)
}

// stillSo makes sure, before the write, that neither the mirror nor what was
// seen of its origin has changed since it was shown.
func (o *promoteOptions) stillSo(ctx context.Context, s *session, p toPromote) error {
	asked := time.Now()
	now, err := s.still(ctx, p.mirror)
	if err != nil {
		return err
	}
	if o.force {
		return ctx.Err()
	}
	if sign := lifeSince(p.watched, s.readOrigin(ctx, p.origin.origin), now, asked); sign != "" {
		return splitBrain(sign)
	}
	return ctx.Err()
}

// warnOfPlan says what is to be known before a mirror is promoted.
func (o *promoteOptions) warnOfPlan(rt *runtime, r *render.Report, p toPromote) {
	if !o.dryRun {
		rt.warn(r, "this cannot be undone: bucket %s takes values itself from now on, and follows no origin again", o.bucket)
	}
	if p.origin.stream == nil && !p.origin.missing() {
		rt.warn(r, "the origin does not answer, as it also does when only the link is down; if it lives on, there are two buckets that take values")
	}
	warnOfSettings(rt, r, p.mirror.Config)
}

// warnOfSettings says what of a mirror's settings is in the way of one that
// takes values itself.
func warnOfSettings(rt *runtime, r *render.Report, c stream.Config) {
	if !c.AllowRollup {
		rt.warn(r, "roll-ups are not allowed on the bucket, so clients cannot purge a key; `%s sync %s --only rollup-off`, before, allows them", appName, r.Bucket)
	}
	if c.Filtered() {
		rt.warn(r, "the mirror took only some of its origin's keys; the bucket has no others")
	}
}

// rivals are other mirrors here that answer direct reads of a bucket's name from
// what they hold of an origin elsewhere. Once this server has a bucket of that
// name, they would answer its readers with old values.
func (o *promoteOptions) rivals(ctx context.Context, rt *runtime, s *session, r *render.Report, bucket string) ([]string, error) {
	var rivals []string
	for offset, total := 0, 1; offset < total; offset += jsapi.PageSize {
		page, err := s.own.List(ctx, offset)
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		if err == nil {
			err = unsaid(page, page.Total-offset)
		}
		if err != nil {
			rt.warn(r, "whether other mirrors answer reads of bucket %s from old values is not known: %v", bucket, err)
		}
		for _, stream := range page.Streams {
			if kvcfg.AnswersFor(stream.Config, bucket) {
				rivals = append(rivals, stream.Config.Name)
			}
		}
		if total = page.Total; len(page.Streams)+len(page.Missing)+page.Malformed < jsapi.PageSize {
			break // the last page, whatever the total is
		}
	}
	if len(rivals) > 0 {
		rt.warn(r, "mirrors here answer direct reads of the name %s from what they hold, which will be old: that has to be turned off for %s", bucket, strings.Join(rivals, ", "))
	}
	return rivals, nil
}

// unsaid is what a page of the list of streams does not tell, nil when nothing;
// left is how many streams there are from its beginning on. A server tells of a
// stream whose servers are all offline, and counts it among the missing as well.
func unsaid(page jsapi.Page, left int) error {
	missing := slices.DeleteFunc(slices.Clone(page.Missing), func(name string) bool {
		return slices.ContainsFunc(page.Streams, func(s *stream.Info) bool { return s.Config.Name == name })
	})
	switch {
	case len(page.Streams)+len(missing)+page.Malformed < min(jsapi.PageSize, left):
		return errors.New("the list of streams is shorter than it says")
	case len(missing) > 0:
		return fmt.Errorf("nobody tells about %s", strings.Join(missing, ", "))
	case page.Malformed > 0:
		return fmt.Errorf("%s cannot be understood", plural(page.Malformed, "stream"))
	}
	return nil
}

// silence turns direct reads of a bucket's name off for other mirrors, and
// returns those for which it did. One that cannot be silenced is in the way, but
// for --force.
func (o *promoteOptions) silence(ctx context.Context, rt *runtime, s *session, r *render.Report, bucket string, rivals []string) (silenced []string, err error) {
	for _, name := range rivals {
		err := o.silenceOne(ctx, s, name, bucket)
		if err == nil {
			silenced = append(silenced, name)
			continue
		}
		switch f := explain(err); {
		case f.kind == kindInterrupted:
			return silenced, err
		case !o.force || ctx.Err() != nil:
			return silenced, fail(f.kind, lines(f.hint, "turn its mirror_direct off, or promote all the same with --force"),
				"direct reads of the name %s could not be turned off for stream %q, so nothing was promoted: %w", bucket, name, f.err)
		default:
			rt.warn(r, "stream %s may go on answering direct reads of the name %s, with old values: %v", name, bucket, f.err)
		}
	}
	return silenced, ctx.Err()
}

// withSilenced says in an error that direct reads were turned off before it.
func withSilenced(err error, bucket string, streams []string) error {
	if len(streams) == 0 {
		return err
	}
	f := *explain(err)
	if errors.Is(err, context.Canceled) {
		f.err = errors.New("interrupted, nothing was promoted")
	}
	f.err = fmt.Errorf("%w; direct reads of the name %s are turned off for %s", f.err, bucket, strings.Join(streams, ", "))
	f.hint = lines(f.hint, "if nothing is to be promoted, `"+appName+" sync BUCKET --only mirror-direct-off` turns them on again")
	return &f
}

func (o *promoteOptions) silenceOne(ctx context.Context, s *session, name, bucket string) error {
	mirror, err := s.own.Stream(ctx, name)
	if err != nil {
		return err
	}
	plan, err := kvcfg.StopAnswering(mirror.Config.Raw(), bucket)
	if err != nil || len(plan.Changes) == 0 {
		return err
	}
	_, err = s.update(ctx, name, plan, 0)
	return err
}
