package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
	"nats-kvmirror/internal/stream"
)

// patience is how many times the timeout a copy may stand still before it is
// given up.
const patience = 4

// copyInterval is the pause between two looks at a copy. It is short because the
// copy answers direct reads of the mirror, with nothing, from when it has nearly
// all until it is detached (server/stream.go, subscribeToMirrorDirect).
const copyInterval = 10 * time.Millisecond

// copying is the making of a bucket from a mirror.
type copying struct {
	kvcfg.Copy
	toPromote
	rt     *runtime
	s      *session
	report *render.Report
	stream *stream.Info // the copy as it was last read; nil before it exists
	lives  bool         // the mirror may go on taking values
}

// copyInto makes a new bucket of what the mirror holds. From 2.12 on the copy is
// a mirror of the mirror that is made a bucket of its own when it has all, and
// so keeps sequences, times and what is left of each TTL. Before, it sources the
// mirror. What was begun and not finished is gone on with.
func (o *promoteOptions) copyInto(ctx context.Context, rt *runtime, s *session, r *render.Report, p toPromote) error {
	c := &copying{toPromote: p, rt: rt, s: s, report: r}
	can, _ := p.canPromote()
	c.Copy = kvcfg.Copy{Into: o.into, StoredAs: p.storedAs, Sourced: !can, MarkerTTL: o.markerTTL}
	config, unlimited, err := c.Plan(p.mirror.Config.Raw(), p.mirror.State)
	if err != nil {
		return err
	}
	if err := c.find(ctx); err != nil {
		return err
	}
	if c.stream != nil && c.finished() {
		r.SetStream(c.stream)
		r.Origin = nil
		if has := c.stream.Config.SubjectDeleteMarkerTTL; o.markerTTL != nil && *o.markerTTL != has {
			return fail(kindExists, fmt.Sprintf("`nats kv edit %s --marker-ttl %v` changes that", o.into, *o.markerTTL),
				"bucket %q was made from bucket %q before, and its marker ttl is %v and not %v", o.into, o.bucket, has, *o.markerTTL)
		}
		r.Action = render.Unchanged
		rt.say("Bucket %s was made from bucket %s before, nothing was written", o.into, o.bucket)
		return nil
	}
	if c.lives, err = o.originLives(ctx, rt, s, r, p); err != nil {
		return err
	}
	rivals, err := o.rivals(ctx, rt, s, r, o.into)
	if err != nil {
		return err
	}
	c.warnOfPlan(unlimited)
	if o.dryRun {
		return c.showPlan(config)
	}
	err = c.fill(ctx, config)
	if err == nil {
		err = c.prove(ctx)
	}
	var silenced []string
	if err == nil {
		silenced, err = o.silence(ctx, rt, s, r, o.into, rivals)
		err = c.unfinished(err)
	}
	if err == nil {
		err = c.update(ctx, c.finish)
	}
	if c.stream != nil {
		r.SetStream(c.stream)
	}
	if err != nil {
		return withSilenced(err, o.into, silenced)
	}
	r.Action, r.Origin = render.Promoted, nil
	return rt.show(*r, s.style)
}

// find looks for a copy that was begun earlier, and for how.
func (c *copying) find(ctx context.Context) error {
	stream, err := c.s.own.Stream(ctx, kvcfg.StreamName(c.Into))
	if errors.Is(err, jsapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look for bucket %q: %w", c.Into, err)
	}
	c.stream = stream
	switch {
	case c.finished():
	case !kvcfg.Unfinished(stream.Config, c.bucket()):
		return fail(kindExists, "choose another name, or remove that bucket first", "bucket %q exists and is no copy of bucket %q", c.Into, c.bucket())
	case kvcfg.Filling(stream.Config):
		c.Sourced = stream.Config.Mirror == nil
	case stream.State.Msgs > 0:
		header, err := c.s.own.LastHeader(ctx, stream.Config.Name, jsapi.SourceHeader)
		if err != nil {
			return fmt.Errorf("cannot look at bucket %q: %w", c.Into, err)
		}
		c.Sourced = strings.HasPrefix(header, c.mirror.Config.Name+" ")
	}
	return nil
}

// finished says that the copy was made and proved in an earlier run.
func (c *copying) finished() bool {
	return c.stream.Config.Metadata[kvcfg.CopiedFrom] == c.bucket() && kvcfg.CheckBucket(c.stream.Config) == nil
}

// bucket is the mirror's name.
func (c *copying) bucket() string {
	bucket, _ := kvcfg.BucketName(c.mirror.Config.Name)
	return bucket
}

// warnOfPlan says what the copy will not have of the mirror.
func (c *copying) warnOfPlan(unlimited bool) {
	have := c.mirror.Config
	if c.Sourced {
		c.rt.warn(c.report, "the mirror's server is too old to keep revisions and times: the copy begins at revision 1, and the age of each value anew%s", ttlAnew(have))
	}
	if !c.Sourced && have.AllowDirect {
		c.rt.warn(c.report, "just before the copy is done, direct reads of bucket %s may find nothing for a moment: servers let the copy answer for it", c.bucket())
	}
	if unlimited {
		c.rt.warn(c.report, "the copy may need more than the mirror's maximum bucket size and gets none; `nats kv edit %s --max-bucket-size` sets one", c.Into)
	}
	if have.RePublish != nil {
		c.rt.warn(c.report, "the mirror goes on republishing, and the copy does not; `nats kv edit %s` changes that", c.Into)
	}
	warnOfSettings(c.rt, c.report, have)
}

func ttlAnew(c stream.Config) string {
	if c.AllowMsgTTL {
		return ", so do its TTLs"
	}
	return ""
}

// showPlan shows the bucket that would be made.
func (c *copying) showPlan(raw stream.Raw) error {
	if size, ok := c.mirror.Config.Raw()["max_msg_size"]; ok {
		raw["max_msg_size"] = size // that of the finished copy
	}
	config, err := raw.Config()
	if err != nil {
		return err
	}
	r := c.report
	r.SetStream(&stream.Info{Config: config})
	r.Action, r.State = render.WouldPromote, nil
	r.Heading = fmt.Sprintf("Would make Key-Value Store Bucket %s of bucket %s", c.Into, c.bucket())
	r.Origin = nil
	return c.rt.show(*r, c.s.style)
}

// fill begins the copy, or goes on with it, and detaches it when it has all that
// the mirror had at the start.
func (c *copying) fill(ctx context.Context, config stream.Raw) error {
	if c.stream == nil {
		w := jsapi.Write{Config: config}
		if c.mirror.Config.AllowMsgTTL {
			w.Level = stream.TTLAPILevel
		}
		created, err := c.s.own.Create(ctx, w)
		if created == nil {
			return writeFailure(kvcfg.StreamName(c.Into), "created", "created", err)
		}
		if c.stream = created; !kvcfg.Unfinished(created.Config, c.bucket()) {
			return fail(kindNotKept, "", "bucket %q was created, but the server did not keep its mark", c.Into)
		}
		if err != nil {
			return writeFailure(kvcfg.StreamName(c.Into), "created", "created", err)
		}
	}
	if !kvcfg.Filling(c.stream.Config) {
		return nil
	}
	if err := c.wait(ctx); err != nil {
		return err
	}
	return c.update(ctx, kvcfg.Detach)
}

// update changes the copy by a plan.
func (c *copying) update(ctx context.Context, change func(stream.Raw) (kvcfg.Plan, error)) error {
	plan, err := change(c.stream.Config.Raw())
	if err != nil {
		return err
	}
	updated, err := c.s.update(ctx, c.stream.Config.Name, plan, 0)
	if updated != nil {
		c.stream = updated
	}
	return c.unfinished(mirrorStays(err, "remove the copy and run the command again"))
}

// finish plans that the copy becomes a bucket.
func (c *copying) finish(current stream.Raw) (kvcfg.Plan, error) {
	return c.Finish(current, c.mirror.Config)
}

// wait waits until the copy has all that the mirror holds up to where it was at
// the start.
func (c *copying) wait(ctx context.Context) error {
	target := c.mirror.State.LastSeq
	bar := newWaitBar(c.rt, c.s.style, c.Into)
	defer bar.stop()
	tick := time.NewTicker(copyInterval)
	defer tick.Stop()
	limit := patience * c.s.conn.Timeout()
	moved, seen, before := time.Now(), time.Now(), c.stream.State
	for {
		reached, err := c.reached(ctx)
		if err == nil {
			bar.at(reached, target)
			var next uint64
			if next, err = c.left(ctx, reached); err == nil && (next == 0 || next > target) {
				bar.done = true
				bar.say(fmt.Sprintf("Bucket %s has all that bucket %s has", c.Into, c.bucket()))
				return nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return c.unfinished(ctx.Err())
		case c.stream.State.LastSeq != before.LastSeq || c.stream.State.Msgs != before.Msgs:
			moved, before = time.Now(), c.stream.State
		case time.Since(moved) > limit && err != nil:
			return c.unfinished(fmt.Errorf("how far bucket %q has come cannot be told: %w", c.Into, err))
		case time.Since(moved) > limit:
			return c.standsStill(reached, target, limit)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		again, err := c.s.own.Stream(ctx, c.stream.Config.Name)
		switch {
		case err == nil:
			c.stream, seen = again, time.Now()
		case ctx.Err() == nil && time.Since(seen) > c.s.conn.Timeout():
			return c.unfinished(fmt.Errorf("it cannot be read since: %w", err))
		}
	}
}

// reached is the sequence on the mirror up to which the copy has come.
func (c *copying) reached(ctx context.Context) (uint64, error) {
	if !c.Sourced || c.stream.State.Msgs == 0 {
		return c.stream.State.LastSeq, nil
	}
	header, err := c.s.own.LastHeader(ctx, c.stream.Config.Name, jsapi.SourceHeader)
	if err != nil {
		return 0, err
	}
	seq, ok := jsapi.SourceSeq(header)
	if !ok {
		return 0, fmt.Errorf("the last message of bucket %q does not say what it was made from", c.Into)
	}
	return seq, nil
}

// left is the sequence of the next message on the mirror after one; 0 when there
// is none.
func (c *copying) left(ctx context.Context, after uint64) (uint64, error) {
	return c.s.own.NextPending(ctx, c.mirror.Config.Name, after, nil)
}

// standsStill says that the copy does not get on.
func (c *copying) standsStill(reached, target uint64, limit time.Duration) error {
	link := c.stream.Mirror
	if len(c.stream.Sources) > 0 {
		link = &c.stream.Sources[0]
	}
	cause := ""
	if link != nil && link.Error != nil {
		cause = "; it says: " + link.Error.Description
	}
	return fail(kindIncomplete, "is the account's or the server's storage used up, or the bucket full? A copy that has stopped does not go on by itself: remove it with `nats stream rm "+c.stream.Config.Name+"` and run the command again",
		"bucket %q stands still at sequence %d of %d for %v%s; the unfinished copy is kept", c.Into, reached, target, limit, cause)
}

// unfinished says of an error that the copy is there and not finished.
func (c *copying) unfinished(err error) error {
	if err == nil {
		return nil
	}
	f := *explain(err)
	if errors.Is(err, context.Canceled) {
		f.err = errors.New("interrupted")
	}
	f.err = fmt.Errorf("bucket %q is not finished: %w", c.Into, f.err)
	f.hint = strings.TrimPrefix(f.hint+"\nrunning the command again finishes it", "\n")
	return &f
}

// prove compares the copy with the mirror, message by message.
func (c *copying) prove(ctx context.Context) error {
	reached, err := c.reached(ctx)
	if err != nil {
		return c.unfinished(err)
	}
	proof, err := c.compare(ctx, reached)
	if err != nil {
		return c.unfinished(fmt.Errorf("it could not be compared with bucket %q: %w", c.bucket(), err))
	}
	if proof.wrong() > 0 {
		return fail(kindDiffers, "remove the copy with `nats stream rm "+c.stream.Config.Name+"` and run the command again",
			"bucket %q is not what bucket %q is: %d messages are missing, %d are different, %d are too many; the first at sequence %d; the unfinished copy is kept", c.Into, c.bucket(), proof.missing, proof.different, proof.surplus, proof.first)
	}
	if next, err := c.left(ctx, reached); err == nil && next > 0 {
		c.rt.warn(c.report, "bucket %s has taken values since the copy was made, from sequence %d on; they are not in bucket %s", c.bucket(), next, c.Into)
	}
	c.rt.say("Bucket %s holds the %s of bucket %s, compared one by one", c.Into, plural(proof.same, "value"), c.bucket())
	return nil
}
