package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
	"nats-kvmirror/internal/stream"
)

// originRead is what became of reading an origin.
type originRead struct {
	origin kvcfg.Origin
	api    *jsapi.API
	stream *stream.Info // nil when it could not be read
	err    error        // why not
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
func (r originRead) config() *stream.Config {
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
func (r originRead) report(mirror *stream.Info) *render.Origin {
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
		c := check.Compare(mirror.Config, r.stream.Config, mirror.State, r.stream.State)
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
	hint := "to go on without reading it, say --allow-msg-ttl or --no-allow-msg-ttl"
	return fail(kindOriginUnread, lines(r.hint(), hint), "the origin, %v, cannot be read: %w", r.origin, r.err)
}

// hint is what makes an origin readable that was not: of one in another account,
// what the accounts have to share.
func (r originRead) hint() string {
	cause := explain(r.err).hint
	missing := errors.Is(r.err, jsapi.ErrNoResponders) || errors.Is(r.err, jsapi.ErrDenied)
	if !missing || !r.origin.OtherAccount() {
		return cause
	}
	share := "the accounts have to share what follows, here as the configuration of their servers; " +
		kvcfg.OriginAccount + " and " + kvcfg.MirrorAccount + " stand for their names, which are not known here"
	if r.origin.DeliverPrefix == "" {
		share += ", and --mirror-deliver-prefix deliver." + kvcfg.MirrorAccount + " is needed as well"
	}
	return lines(cause, share, indented(r.origin.Sharing()))
}

// lines are the hints that there are, one below the other.
func lines(hints ...string) string {
	return strings.Join(slices.DeleteFunc(hints, func(h string) bool { return h == "" }), "\n")
}

// indented is a text of several lines that belongs to the hint above it: it is
// shown as it is, to be pasted.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + line)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
