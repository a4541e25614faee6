package mirror

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// CopyRequest is a mirror of which a new bucket is to be made.
type CopyRequest struct {
	PromoteRequest
	Into string // the new bucket's name
	// Quick compares the copy with the mirror by their sequences alone, where these are
	// the same: where the copy sources the mirror they are not.
	Quick bool
}

// CopyPlan is a bucket that would be made of what a mirror holds. From 2.12 on the
// copy is a mirror of the mirror that is made a bucket of its own when it has all, and
// so keeps sequences, times and what is left of each TTL. Before, it sources the
// mirror. What was begun and not finished is gone on with.
type CopyPlan struct {
	promotion
	kvcfg.Copy
	config stream.Raw
	copy   *stream.Info // as it was last read; nil before it exists
	alive  bool         // the mirror may go on taking values
	quick  bool         // the sequences are enough
}

// PlanCopy plans to make a bucket of its own of what a mirror holds, and leaves the
// mirror alone. A copy that was made and verified before has the action [Unchanged].
// The plan is valid also with an error.
func (c *Client) PlanCopy(ctx context.Context, req CopyRequest) (*CopyPlan, error) {
	p := &CopyPlan{quick: req.Quick}
	if req.Into == req.Bucket {
		return p, fail(ErrInvalid, "%q is the mirror itself", req.Into)
	}
	if err := p.read(ctx, c, req.PromoteRequest); err != nil {
		return p, err
	}
	if err := p.readOrigin(ctx); err != nil {
		return p, err
	}
	can, _ := p.serverCanPromote()
	p.Copy = kvcfg.Copy{Into: req.Into, StoredAs: p.storedAs, Sourced: !can, MarkerTTL: req.MarkerTTL}
	config, unlimited, err := p.Copy.Plan(p.mirror.Config.Raw(), p.mirror.State)
	if err != nil {
		return p, about(req.Bucket, err)
	}
	p.config = config
	if err := p.find(ctx); err != nil {
		return p, err
	}
	if p.copy != nil && p.finished() {
		p.set(p.copy)
		p.Origin = nil
		if has := p.copy.Config.SubjectDeleteMarkerTTL; req.MarkerTTL != nil && *req.MarkerTTL != has {
			return p, fail(ErrExists, "bucket %q was made from bucket %q before, and its marker ttl is %v and not %v", p.Into, req.Bucket, has, *req.MarkerTTL).
				advise(Advice{Code: EditMarkerTTL, Bucket: p.Into, Value: req.MarkerTTL.String()})
		}
		p.Action = Unchanged
		return p, nil
	}
	if p.alive, err = p.checkOriginAlive(ctx); err != nil {
		return p, err
	}
	if p.answer, err = c.directGetMirrors(ctx, &p.Report, p.Into); err != nil {
		return p, err
	}
	p.Action = WouldPromote
	p.warn(unlimited)
	return p, p.show()
}

// show makes the bucket that would be made the one that the plan shows.
func (p *CopyPlan) show() error {
	if p.copy != nil {
		return nil
	}
	raw := stream.Raw{}
	for field, value := range p.config {
		raw[field] = value
	}
	if size, ok := p.mirror.Config.Raw()["max_msg_size"]; ok {
		raw["max_msg_size"] = size // that of the finished copy
	}
	config, err := raw.Config()
	if err != nil {
		return AsError(err)
	}
	p.set(&stream.Info{Config: config})
	p.State, p.Origin = nil, nil
	return nil
}

// find looks for a copy that was begun earlier, and for how.
func (p *CopyPlan) find(ctx context.Context) error {
	info, err := p.client.own.Stream(ctx, kvcfg.StreamName(p.Into))
	if errors.Is(err, jsapi.ErrNotFound) {
		return nil
	}
	if err != nil {
		return AsError(fmt.Errorf("cannot look for bucket %q: %w", p.Into, err))
	}
	p.copy = info
	switch {
	case p.finished():
	case !kvcfg.Unfinished(info.Config, p.request.Bucket):
		return fail(ErrExists, "bucket %q exists and is no copy of bucket %q", p.Into, p.request.Bucket).advise(Advice{Code: OtherName})
	case kvcfg.Filling(info.Config):
		p.Sourced = info.Config.Mirror == nil
	case info.State.Msgs > 0:
		header, err := p.client.own.LastHeader(ctx, info.Config.Name, jsapi.SourceHeader)
		if err != nil {
			return AsError(fmt.Errorf("cannot look at bucket %q: %w", p.Into, err))
		}
		p.Sourced = strings.HasPrefix(header, p.mirror.Config.Name+" ")
	}
	return nil
}

// finished says that the copy was made and verified in an earlier run.
func (p *CopyPlan) finished() bool {
	return p.copy.Config.Metadata[kvcfg.CopiedFrom] == p.request.Bucket && kvcfg.CheckBucket(p.copy.Config) == nil
}

// warn tells what the copy will not have of the mirror.
func (p *CopyPlan) warn(unlimited bool) {
	have := p.mirror.Config
	if p.Sourced {
		ttl := ""
		if have.AllowMsgTTL {
			ttl = ", and so do its TTLs"
		}
		p.Warnings.add("sourced", "the mirror's server is too old to keep revisions and times: the copy begins at revision 1, and the age of each value starts again%s", ttl)
	}
	if !p.Sourced && have.AllowDirect {
		p.Warnings.add("direct-get-gap", "just before the copy is done, direct gets of bucket %s may find nothing for a short time: servers let the copy answer for it", p.request.Bucket)
	}
	if unlimited {
		p.Warnings.add("unlimited", "the copy may need more than the mirror's maximum bucket size and gets none")
		p.Warnings.advise(Advice{Code: EditSizeOfCopy, Bucket: p.Into})
	}
	if have.RePublish != nil {
		p.Warnings.add("republish", "the mirror goes on republishing, and the copy does not")
		p.Warnings.advise(Advice{Code: EditRepublish, Bucket: p.Into})
	}
	p.warnOfConfig()
}

// Apply makes the copy, compares it with the mirror message by message, and makes it
// a bucket. The result is valid also with an error; what was begun is finished by the
// same request.
func (p *CopyPlan) Apply(ctx context.Context) (*Report, error) {
	if p.Action != WouldPromote {
		return &p.Report, nil
	}
	err := p.fill(ctx)
	if err == nil {
		err = p.verify(ctx)
	}
	var disabled []string
	if err == nil {
		disabled, err = p.client.disableMirrorDirect(ctx, &p.Report, p.Into, p.answer, p.request.OriginAlive)
		err = p.unfinished(err)
	}
	if err == nil {
		err = p.update(ctx, func(current stream.Raw) (kvcfg.Plan, error) { return p.Finish(current, p.mirror.Config) })
	}
	if p.copy != nil {
		p.set(p.copy)
	}
	if err != nil {
		return &p.Report, withDisabled(err, p.Into, disabled)
	}
	p.Action, p.Origin = Promoted, nil
	return &p.Report, nil
}

// fill begins the copy, or goes on with it, and detaches it when it has all that
// the mirror had at the start.
func (p *CopyPlan) fill(ctx context.Context) error {
	if p.copy == nil {
		created, err := p.client.create(ctx, p.config)
		if created == nil {
			return about(p.request.Bucket, err)
		}
		if p.copy = created; !kvcfg.Unfinished(created.Config, p.request.Bucket) {
			return fail(ErrNotKept, "bucket %q was created, but the server did not keep its mark", p.Into)
		}
		if err != nil {
			return err
		}
	}
	if !kvcfg.Filling(p.copy.Config) {
		return nil
	}
	if err := p.wait(ctx); err != nil {
		return err
	}
	return p.update(ctx, kvcfg.Detach)
}

// update changes the copy by a plan.
func (p *CopyPlan) update(ctx context.Context, change func(stream.Raw) (kvcfg.Plan, error)) error {
	plan, err := change(p.copy.Config.Raw())
	if err != nil {
		return AsError(err)
	}
	updated, err := p.client.update(ctx, p.copy.Config.Name, plan, 0)
	if updated != nil {
		p.copy = updated
	}
	return p.unfinished(mirrorCannotChange(err, Advice{Code: RemoveCopy, Stream: p.copy.Config.Name}))
}

// wait waits until the copy has all that the mirror holds up to where it was at
// the start.
func (p *CopyPlan) wait(ctx context.Context) error {
	target := p.mirror.State.LastSeq
	at, end := p.client.observer.Begin(TaskWait, p.Into)
	limit := time.Duration(p.client.waits.CopyStall) * p.client.conn.Timeout()
	moved, seen, before := time.Now(), time.Now(), p.copy.State
	first := true
	poll := p.client.waits.CopyPoll
	if p.client.own.MaxAnswer() < math.MaxInt { // each look takes consumers then
		poll = max(poll, p.client.waits.Poll)
	}
	err := jsapi.Poll(ctx, poll, func() (bool, error) {
		if !first {
			again, err := p.client.own.Stream(ctx, p.copy.Config.Name)
			switch {
			case err == nil:
				p.copy, seen = again, time.Now()
			case ctx.Err() == nil && time.Since(seen) > p.client.conn.Timeout():
				return false, p.unfinished(fmt.Errorf("it cannot be read since: %w", err))
			}
		}
		first = false
		reached, err := p.reached(ctx)
		if err == nil {
			at(reached, target)
			var next uint64
			if next, err = p.pending(ctx, reached); err == nil && (next == 0 || next > target) {
				return true, nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return false, p.unfinished(ctx.Err())
		case p.copy.State.LastSeq != before.LastSeq || p.copy.State.Msgs != before.Msgs:
			moved, before = time.Now(), p.copy.State
		case errors.Is(err, jsapi.ErrDenied), time.Since(moved) > limit && err != nil:
			return false, p.unfinished(fmt.Errorf("how far bucket %q has come cannot be told: %w", p.Into, err))
		case time.Since(moved) > limit:
			return false, p.stalled(reached, target, limit)
		}
		return false, nil
	})
	end(err == nil)
	if err != nil {
		return p.unfinished(err)
	}
	p.client.observer.Reached(p.Into, fmt.Sprintf("all that bucket %s has", p.request.Bucket))
	return nil
}

// reached is the sequence on the mirror up to which the copy has come.
func (p *CopyPlan) reached(ctx context.Context) (uint64, error) {
	if !p.Sourced || p.copy.State.Msgs == 0 {
		return p.copy.State.LastSeq, nil
	}
	header, err := p.client.own.LastHeader(ctx, p.copy.Config.Name, jsapi.SourceHeader)
	if err != nil {
		return 0, err
	}
	seq, ok := jsapi.SourceSeq(header)
	if !ok {
		return 0, fmt.Errorf("the last message of bucket %q does not say what it was sourced from", p.Into)
	}
	return seq, nil
}

// pending is the sequence of the next message on the mirror after one; 0 when there
// is none.
func (p *CopyPlan) pending(ctx context.Context, after uint64) (uint64, error) {
	return p.client.own.NextPending(ctx, p.mirror.Config.Name, after, nil)
}

// stalled says that the copy makes no progress.
func (p *CopyPlan) stalled(reached, target uint64, limit time.Duration) error {
	link := p.copy.Mirror
	if len(p.copy.Sources) > 0 {
		link = &p.copy.Sources[0]
	}
	cause := ""
	if link != nil && link.Error != nil {
		cause = "; it says: " + link.Error.Description
	}
	return fail(ErrIncomplete, "bucket %q has not moved from sequence %d of %d for %v%s; the unfinished copy is kept", p.Into, reached, target, limit, cause).
		advise(Advice{Code: CheckStorage, Stream: p.copy.Config.Name})
}

// unfinished says of an error that the copy is there and not finished.
func (p *CopyPlan) unfinished(err error) error {
	if err == nil {
		return nil
	}
	e := *AsError(err)
	for _, a := range e.Advice {
		if a.Code == RunAgainFinish || a.Code == CheckStorage {
			return err
		}
	}
	if errors.Is(err, context.Canceled) {
		e.Kind, e.Err = ErrInterrupted, errors.New("interrupted")
	}
	return e.wrap("bucket %q is not finished", p.Into).advise(Advice{Code: RunAgainFinish})
}
