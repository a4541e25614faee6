package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
	"nats-kvmirror/internal/stream"
)

// infoOptions are the flags of info.
type infoOptions struct {
	bucket string
}

func addInfo(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &infoOptions{}
	cmd := app.Command("info", "Shows a bucket, and how it compares with its origin").Alias("view").Alias("status")
	cmd.Tag("scope:user", "impact:ro")
	bucketArg(cmd.Arg("bucket", "The bucket to show; asked for on a terminal when left out"), &o.bucket)
	jsonFlag(cmd, rt)
	cmd.Action(reports(rt, selected, o.run, rt.finish))
}

func (o *infoOptions) run(ctx context.Context, rt *runtime) (render.Report, error) {
	r := render.Report{Bucket: o.bucket}
	if o.bucket == "" && !rt.prompt.Available() {
		return r, fail(kindNoTerminal, "name the bucket: "+appName+" info BUCKET", "there is no terminal to choose a bucket on")
	}
	s, err := rt.connect(ctx)
	if err != nil {
		return r, err
	}
	defer s.conn.Close()

	if o.bucket == "" {
		if o.bucket, err = chooseMirror(ctx, rt, s); err != nil {
			return r, err
		}
	}
	r.Bucket, r.Stream = o.bucket, kvcfg.StreamName(o.bucket)
	bucket, err := s.own.Stream(ctx, r.Stream)
	if errors.Is(err, jsapi.ErrNotFound) {
		return r, fail(kindNotFound, "", "bucket %q does not exist: asked on %q", o.bucket, s.own.InfoSubject(r.Stream))
	}
	if err != nil {
		return r, fmt.Errorf("cannot read bucket %q: %w", o.bucket, err)
	}
	if err := kvcfg.CheckBucket(bucket.Config); err != nil {
		return r, err
	}
	r.SetStream(bucket)
	r.Action = render.Shown
	if origin, err := kvcfg.OriginOf(bucket.Config); err == nil {
		if r.Origin, err = s.compareWithOrigin(ctx, bucket, origin); err != nil {
			return r, err
		}
	}
	return r, rt.show(r, s.style)
}

// compareWithOrigin reads the origin and, for a mirror that takes only some of
// its keys, what there is left to take, side by side. It fails only when the
// user interrupts.
func (s *session) compareWithOrigin(ctx context.Context, mirror *stream.Info, origin kvcfg.Origin) (*render.Origin, error) {
	type tail struct {
		next uint64
		err  error
	}
	tails := make(chan tail, 1)
	if mirror.Config.Filtered() {
		go func() {
			there := s.conn.At(origin.Prefix(s.own.Prefix()))
			next, err := there.NextPending(ctx, origin.Stream(), mirror.State.LastSeq, mirror.Config.Filters())
			tails <- tail{next, err}
		}()
	} else {
		tails <- tail{next: 1}
	}
	read := s.readOrigin(ctx, origin)
	left := <-tails
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := read.report(mirror)
	if r.Behind != nil && left.err == nil && left.next == 0 {
		var none uint64
		r.Behind, r.BehindBound = &none, false
	}
	return r, nil
}

// chooseMirror lets the user choose among the mirrors.
func chooseMirror(ctx context.Context, rt *runtime, s *session) (string, error) {
	mirrors, err := (&fleet.Reader{Conn: s.conn, Own: s.own}).Names(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot list the buckets: %w", err)
	}
	if len(mirrors) == 0 {
		return "", fail(kindNotFound, "", "there is no mirror at %q", s.own.Prefix())
	}
	return rt.prompt.Select(ctx, "Select a Bucket", mirrors, s.style.ColorScheme)
}
