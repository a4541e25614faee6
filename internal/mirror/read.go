package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// readBucket reads a bucket.
func (c *Client) readBucket(ctx context.Context, bucket string) (*stream.Info, error) {
	name := kvcfg.StreamName(bucket)
	info, err := c.own.Stream(ctx, name)
	if errors.Is(err, jsapi.ErrNotFound) {
		return nil, fail(ErrNotFound, "bucket %q does not exist: asked on %q", bucket, c.own.InfoSubject(name)).advise(Advice{Code: ListMirrors})
	}
	if err != nil {
		return nil, AsError(fmt.Errorf("cannot read bucket %q: %w", bucket, err))
	}
	return info, nil
}

// readMirror reads a bucket, and what its server supports, side by side. The
// account is nil when the server did not say: what it then does with a write is
// read back.
func (c *Client) readMirror(ctx context.Context, bucket string) (*stream.Info, *jsapi.Account, error) {
	var info *stream.Info
	var account *jsapi.Account
	var err error
	var wg sync.WaitGroup
	wg.Go(func() {
		if a, err := c.own.Account(ctx); err == nil {
			account = &a
		}
	})
	wg.Go(func() { info, err = c.readBucket(ctx, bucket) })
	wg.Wait()
	return info, account, err
}

// verifyUnchanged reads a mirror again and makes sure that it is the stream that was
// planned for, with the same configuration. Between this read and the write nothing
// can be seen: servers replace a configuration unconditionally.
func (c *Client) verifyUnchanged(ctx context.Context, planned *stream.Info) (*stream.Info, error) {
	now, err := c.own.Stream(ctx, planned.Config.Name)
	if err != nil {
		return nil, AsError(fmt.Errorf("cannot read bucket %q again: %w", kvcfg.DisplayName(planned.Config.Name), err))
	}
	return now, sameStream(planned, now)
}

// sameStream is nil when a mirror is what it was when it was planned for.
func sameStream(planned, now *stream.Info) error {
	if now.SameStream(planned) {
		return nil
	}
	return fail(ErrConflict, "somebody else has changed bucket %q meanwhile, nothing was written", kvcfg.DisplayName(planned.Config.Name)).
		advise(Advice{Code: RunAgain})
}

// originRead is what became of reading an origin.
type originRead struct {
	origin kvcfg.Origin
	api    *jsapi.API
	info   *stream.Info // nil when it could not be read
	err    error        // why not
	// pending is the next message that the mirror has to take; nil when it is not
	// known.
	pending *uint64
}

// pair is a mirror and the origin that it is to have, as they are compared.
func (r originRead) pair(bucket string, mirror *stream.Info) fleet.Mirror {
	return fleet.Mirror{Bucket: bucket, Origin: r.origin, Facts: check.Facts{Mirror: mirror}}
}

// readOrigin reads an origin through the prefix that its mirror uses.
func (c *Client) readOrigin(ctx context.Context, o kvcfg.Origin) originRead {
	r := originRead{origin: o, api: fleet.OriginAPI(c.conn, o, c.own.Prefix())}
	info, err := r.api.Stream(ctx, o.Stream())
	if err == nil {
		err = kvcfg.CheckBucket(info.Config)
	}
	if r.err = err; err == nil {
		r.info = info
	}
	return r
}

// requireOrigin reads an origin that has to be readable; so says what follows when
// it is not.
func (c *Client) requireOrigin(ctx context.Context, origin kvcfg.Origin, so string) (originRead, error) {
	read := c.readOrigin(ctx, origin)
	switch {
	case read.info != nil:
		return read, nil
	case read.missing(), errors.Is(read.err, context.Canceled):
		return read, read.failure()
	}
	return read, fail(ErrOriginUnreadable, "the origin, %v, cannot be read, so %s: %w", origin, so, read.err).advise(read.advice()...)
}

// config is the origin's configuration, nil when it could not be read.
func (r originRead) config() *stream.Config {
	if r.info == nil {
		return nil
	}
	return &r.info.Config
}

// missing says that the origin was looked for and is not there, or is no
// bucket, which is not the same as not being readable.
func (r originRead) missing() bool {
	return errors.Is(r.err, jsapi.ErrNotFound) || errors.Is(r.err, kvcfg.ErrNotBucket)
}

// answered says that there is an origin, whatever it answers.
func (r originRead) answered() bool {
	return r.info != nil || errors.Is(r.err, kvcfg.ErrNotBucket) || errors.Is(r.err, jsapi.ErrMalformed) || errors.Is(r.err, jsapi.ErrRejected)
}

// report tells what was read; the mirror is nil before it exists.
func (r originRead) report(mirror *stream.Info) *Origin {
	o := &Origin{Bucket: r.origin.Bucket, Stream: r.origin.Stream(), APIPrefix: r.api.Prefix(), Reachable: r.info != nil}
	if r.info == nil {
		o.Problem = r.err.Error()
		return o
	}
	o.PerKeyTTL = &r.info.Config.AllowMsgTTL
	o.LastSeq = &r.info.State.LastSeq
	if mirror != nil {
		c := check.Compare(mirror.Config, r.info.Config, mirror.State, r.info.State, r.pending)
		o.Behind, o.BehindBound = &c.Behind, c.Behind > 0 && mirror.Config.Filtered()
		if c.Bounded {
			o.LeftOver = new(c.LeftOver())
		}
		if c.Counted {
			o.Missing = &c.Missing
		}
		o.Differs, o.Chosen = kvcfg.Followed(mirror.Config, r.info.Config)
		follows := len(o.Differs) == 0
		o.Follows = &follows
	}
	return o
}

// failure says why the origin's read failed, for an operation that needs it.
func (r originRead) failure() error {
	switch {
	case errors.Is(r.err, context.Canceled):
		return AsError(r.err)
	case errors.Is(r.err, jsapi.ErrNotFound):
		advice := Advice{Code: ListBuckets, Origin: r.origin}
		if bucket, ok := kvcfg.BucketName(r.origin.Bucket); ok {
			advice = Advice{Code: NameBucket, Bucket: bucket}
		}
		return fail(ErrNotFound, "the origin, %v, does not exist: asked on %q", r.origin, r.api.InfoSubject(r.origin.Stream())).advise(advice)
	case errors.Is(r.err, kvcfg.ErrNotBucket):
		return fail(ErrNotBucket, "the origin cannot be mirrored as a bucket: %w", r.err)
	}
	return fail(ErrOriginUnreadable, "the origin, %v, cannot be read: %w", r.origin, r.err).advise(r.advice()...)
}

// advice is what makes an origin readable that was not: of one in another account,
// what the accounts have to share.
func (r originRead) advice() []Advice {
	advice := AsError(r.err).Advice
	if r.origin.OtherAccount() && (errors.Is(r.err, jsapi.ErrNoResponders) || errors.Is(r.err, jsapi.ErrDenied)) {
		advice = append(advice, Advice{Code: ShareAccounts, Origin: r.origin})
	}
	return advice
}
