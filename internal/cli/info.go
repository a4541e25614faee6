package cli

import (
	"context"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/mirror"
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
	outputFlags(cmd, rt)
	cmd.Action(reports(rt, selected, o.run, rt.finish))
}

func (o *infoOptions) run(ctx context.Context, rt *runtime) (mirror.Report, error) {
	if o.bucket == "" && !rt.prompt.Available() {
		return mirror.Report{}, fail(kindNoTerminal, "name the bucket: "+rt.command("info", "BUCKET"), "there is no terminal to choose a bucket on")
	}
	c, err := rt.connect(ctx)
	if err != nil {
		return mirror.Report{Bucket: o.bucket}, err
	}
	defer c.Close()
	if o.bucket == "" {
		if o.bucket, err = rt.chooseMirror(ctx, c); err != nil {
			return mirror.Report{}, err
		}
	}
	r, err := c.Info(ctx, o.bucket)
	if err != nil {
		return *r, err
	}
	return *r, rt.show(*r, "")
}

// chooseMirror lets the user choose among the mirrors.
func (rt *runtime) chooseMirror(ctx context.Context, c *mirror.Client) (string, error) {
	names, err := c.Names(ctx)
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "", fail(mirror.ErrNotFound, "", "there is no mirror at %q", c.Prefix())
	}
	return rt.prompt.Select(ctx, "Select a Bucket", names, rt.style.ColorScheme)
}
