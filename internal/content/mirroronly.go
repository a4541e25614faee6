package content

import (
	"context"
	"io"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// compareMirrorOnly reads the mirror alone, where the origin's messages cannot be
// read, and reports the messages that have expired.
func (c *Comparer) compareMirrorOnly(ctx context.Context, result *Result) error {
	mirror, at, err := read(ctx, c.mirrorSide())
	if err != nil {
		return err
	}
	now := snapshot{mirror: mirror, mirrorClock: at, origin: &stream.Info{}, originClock: at, to: mirror.State.LastSeq}
	if origin, at, err := read(ctx, c.originSide()); err == nil {
		now.origin, now.originClock = origin, at
	}
	result.Skew = now.skew()
	cl, err := now.classifier()
	if err != nil {
		return err
	}
	messages, err := c.openMirror(ctx, now, jsapi.Range{From: max(mirror.State.FirstSeq, 1), To: now.to}, false)
	if err != nil {
		return err
	}
	defer messages.close()
	progress, _ := c.progress(now)
	result.Through = now.to
	return merge(messages, noMessages{}, func(p pair) error {
		progress()
		class, kind, reason := cl.classify(p)
		if class == wrong && reason != Gone {
			return c.report(cl.itemOf(p, kind, reason), result)
		}
		return nil
	})
}

// noMessages are the messages of an origin that cannot be read.
type noMessages struct{}

// Next returns io.EOF.
func (noMessages) Next() (*jsapi.MsgMeta, error) { return nil, io.EOF }
