package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/kvcfg"
)

// directGetMirrors are other mirrors here that answer direct gets of a bucket's name
// from what they hold of an origin elsewhere. Once this server has a bucket of that
// name, they would answer its readers with old values.
func (c *Client) directGetMirrors(ctx context.Context, r *Report, bucket string) ([]string, error) {
	var mirrors []string
	configs, problems, err := c.reader().Configs(ctx, c.own)
	if ctx.Err() != nil {
		return nil, AsError(ctx.Err())
	}
	if err != nil {
		problems = []fleet.Problem{{What: "the list of streams", Err: err}}
	}
	for _, p := range problems {
		r.Warnings.add("direct-get-unknown", "whether other mirrors answer reads of bucket %s from old values is not known: %v", bucket, p)
	}
	for _, config := range configs {
		if kvcfg.AnswersFor(config, bucket) {
			mirrors = append(mirrors, config.Name)
		}
	}
	if len(mirrors) > 0 {
		r.Warnings.add("direct-get", "mirrors here answer direct gets of the name %s from what they hold, which will be old: that has to be turned off for %s", bucket, strings.Join(mirrors, ", "))
	}
	return mirrors, nil
}

// disableMirrorDirect turns direct gets of a bucket's name off for other mirrors, and
// returns those for which it did. One where that fails is in the way, unless
// tolerate says that it is only warned of.
func (c *Client) disableMirrorDirect(ctx context.Context, r *Report, bucket string, mirrors []string, tolerate bool) (disabled []string, err error) {
	for _, name := range mirrors {
		err := c.disableOne(ctx, name, bucket)
		if err == nil {
			disabled = append(disabled, name)
			continue
		}
		switch e := AsError(err); {
		case e.Kind == ErrInterrupted:
			return disabled, err
		case !tolerate || ctx.Err() != nil:
			return disabled, fail(e.Kind, "direct gets of the name %s could not be turned off for stream %q, so nothing was promoted: %w", bucket, name, e.Err).
				advise(e.Advice...).advise(Advice{Code: DisableMirrorDir})
		default:
			r.Warnings.add("direct-get", "stream %s may go on answering direct gets of the name %s, with old values: %v", name, bucket, e.Err)
		}
	}
	if err := ctx.Err(); err != nil {
		return disabled, AsError(err)
	}
	return disabled, nil
}

func (c *Client) disableOne(ctx context.Context, name, bucket string) error {
	info, err := c.own.Stream(ctx, name)
	if err != nil {
		return err
	}
	plan, err := kvcfg.StopAnswering(info.Config.Raw(), bucket)
	if err != nil || len(plan.Changes) == 0 {
		return err
	}
	_, err = c.update(ctx, name, plan, 0)
	return err
}

// withDisabled says in an error that direct gets were turned off before it.
func withDisabled(err error, bucket string, streams []string) error {
	if err == nil || len(streams) == 0 {
		return err
	}
	e := *AsError(err)
	if errors.Is(err, context.Canceled) {
		e.Err = errors.New("interrupted, nothing was promoted")
	}
	e.Err = fmt.Errorf("%w; direct gets of the name %s are turned off for %s", e.Err, bucket, strings.Join(streams, ", "))
	e.Advice = append(slices.Clone(e.Advice), Advice{Code: EnableMirrorDirect, Bucket: kvcfg.DisplayName(streams[0])})
	return &e
}
