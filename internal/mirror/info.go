package mirror

import (
	"context"
	"errors"
	"slices"

	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// Info reads a bucket and, of a mirror, its origin, and compares them. A bucket that
// is no mirror is shown as well. The report is valid also with an error.
func (c *Client) Info(ctx context.Context, bucket string) (*Report, error) {
	r := &Report{Bucket: bucket, Stream: kvcfg.StreamName(bucket)}
	info, err := c.readBucket(ctx, bucket)
	if err != nil {
		return r, err
	}
	if err := kvcfg.CheckBucket(info.Config); err != nil {
		return r, AsError(err)
	}
	r.set(info)
	r.Action = Shown
	origin, err := kvcfg.OriginOf(info.Config)
	if errors.Is(err, kvcfg.ErrNotMirror) {
		return r, nil
	}
	if err == nil {
		r.Origin, err = c.compareWithOrigin(ctx, info, origin)
	}
	if err != nil {
		return r, AsError(err)
	}
	return r, nil
}

// compareWithOrigin reads the origin and the next message that the mirror has to take:
// side by side for a mirror that takes only some of its keys, whose last sequence is
// mostly another than the origin's, and else only where the sequences differ. It fails
// only when ctx ends.
func (c *Client) compareWithOrigin(ctx context.Context, mirror *stream.Info, origin kvcfg.Origin) (*Origin, error) {
	pending := make(chan *uint64, 1)
	if mirror.Config.Filtered() {
		go func() {
			next, err := fleet.OriginAPI(c.conn, origin, c.Prefix()).NextPending(ctx, origin.Stream(), mirror.State.LastSeq, mirror.Config.Filters())
			if err != nil {
				pending <- nil
				return
			}
			pending <- &next
		}()
	}
	read := c.readOrigin(ctx, origin)
	if mirror.Config.Filtered() {
		read.pending = <-pending
	}
	if read.pending == nil && read.info != nil {
		read.pending = read.api.Pending(ctx, read.info, mirror)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return read.report(mirror), nil
}

// Names reads the names of all mirrors, sorted. Of what could not be read, those are
// left out.
func (c *Client) Names(ctx context.Context) ([]string, error) {
	names, err := c.reader().Names(ctx)
	if err != nil {
		return nil, AsError(err).wrap("cannot list the buckets")
	}
	// Any stream can be called KV_ and anything.
	return slices.DeleteFunc(names, func(name string) bool { return kvcfg.ValidateBucket(name) != nil }), nil
}

// reader reads the mirrors and their origins.
func (c *Client) reader() *fleet.Reader {
	sides := c.sides
	if len(sides) == 0 {
		sides = []*jsapi.API{c.own}
	}
	return &fleet.Reader{Conn: c.conn, Own: sides, SecondRead: c.waits.SecondRead}
}
