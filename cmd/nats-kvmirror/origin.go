package main

import (
	"context"
	"errors"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
)

// originRead is what became of reading an origin.
type originRead struct {
	origin kvcfg.Origin
	api    *jsapi.API
	stream *jsapi.Stream // nil when it could not be read
	err    error         // why not
}

// readOrigin reads an origin through the prefix that its mirror uses.
func (s *session) readOrigin(ctx context.Context, o kvcfg.Origin) originRead {
	r := originRead{origin: o, api: s.conn.At(o.Prefix(s.own.Prefix()))}
	stream, err := r.api.Stream(ctx, o.Stream())
	if err == nil {
		err = kvcfg.CheckBucket(stream.Config)
	}
	if err != nil {
		r.err = err
		return r
	}
	r.stream = stream
	return r
}

// config is the origin's configuration, nil when it could not be read.
func (r originRead) config() *kvcfg.Config {
	if r.stream == nil {
		return nil
	}
	return &r.stream.Config
}

// missing says that the origin was looked for and is not there, or is no
// bucket, which is not the same as not being readable.
func (r originRead) missing() bool {
	return errors.Is(r.err, jsapi.ErrNotFound) || errors.Is(r.err, kvcfg.ErrNotBucket)
}

// report fills in what was read; the mirror is nil before it exists.
func (r originRead) report(mirror *jsapi.Stream) *render.Origin {
	reachable := r.stream != nil
	o := &render.Origin{
		Bucket:    r.origin.Bucket,
		Stream:    r.origin.Stream(),
		APIPrefix: r.api.Prefix(),
		Reachable: &reachable,
	}
	if !reachable {
		o.Problem = r.err.Error()
		return o
	}
	o.PerKeyTTL = &r.stream.Config.AllowMsgTTL
	o.LastSeq = &r.stream.State.LastSeq
	if mirror != nil {
		c := kvcfg.Compare(mirror.Config, r.stream.Config, mirror.State, r.stream.State)
		o.Behind, o.BehindBound = &c.Behind, mirror.Config.Filtered()
		if c.Counted {
			leftOver := c.LeftOver()
			o.LeftOver, o.Missing = &leftOver, &c.Missing
		}
		o.Differs = kvcfg.Followed(mirror.Config, r.stream.Config)
		follows := len(o.Differs) == 0
		o.Follows = &follows
	}
	return o
}

// failure says why the origin's read failed, for a command that needs it.
func (r originRead) failure() error {
	switch {
	case errors.Is(r.err, context.Canceled):
		return r.err
	case errors.Is(r.err, jsapi.ErrNotFound):
		hint := "the buckets there are listed by `nats kv ls`, with the domain in --js-domain"
		if bucket, ok := kvcfg.BucketName(r.origin.Bucket); ok {
			hint = "name the bucket and not its stream: " + bucket
		}
		return fail(kindNotFound, hint, "the origin, %v, does not exist: asked on %q", r.origin, r.api.InfoSubject(r.origin.Stream()))
	case errors.Is(r.err, kvcfg.ErrNotBucket):
		return fail(kindNotBucket, "", "the origin cannot be mirrored as a bucket: %w", r.err)
	}
	cause := explain(r.err)
	hint := "to go on without reading it, say --allow-msg-ttl or --no-allow-msg-ttl"
	if cause.hint != "" {
		hint = cause.hint + "\n" + hint
	}
	return fail(kindOriginUnread, hint, "the origin, %v, cannot be read: %w", r.origin, r.err)
}
