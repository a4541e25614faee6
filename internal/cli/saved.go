package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
	"nats-kvmirror/internal/stream"
)

// saveConfig writes a mirror's configuration to a new file that outlives a crash,
// in the user's cache or, without one, where temporary files are.
func saveConfig(config stream.Raw, bucket string, now time.Time) (string, error) {
	data, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return "", fmt.Errorf("cannot encode the configuration of bucket %q: %w", bucket, err)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	dir = filepath.Join(dir, appName)
	cannot := func(err error) (string, error) {
		return "", fail(kindRefused, "", "nothing was deleted, because the configuration of bucket %q cannot be saved: %w", bucket, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cannot(err)
	}
	file, err := os.CreateTemp(dir, fmt.Sprintf("%s-%s-*.json", bucket, now.UTC().Format("20060102T150405Z")))
	if err != nil {
		return cannot(err)
	}
	_, err = file.Write(append(data, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return cannot(err)
	}
	return file.Name(), nil
}

// loadConfig reads a saved configuration, which has to be a mirror's of this
// name.
func loadConfig(file, bucket string) (stream.Raw, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fail(kindUsage, "", "--config: %w", err)
	}
	raw, err := stream.ParseRaw(data)
	if err != nil {
		return nil, fail(kindUsage, "", "--config: %q: %w", file, err)
	}
	config, err := raw.Config()
	if err == nil {
		err = kvcfg.CheckMirror(config)
	}
	if err == nil && config.Name != kvcfg.StreamName(bucket) {
		err = fmt.Errorf("it is about the stream %q", config.Name)
	}
	if err != nil {
		return nil, fail(kindUsage, "", "--config: %q: %w", file, err)
	}
	return raw, nil
}

// planRestoration plans to create a mirror from its saved configuration.
func (o *syncOptions) planRestoration(ctx context.Context, r *render.Fleet, c *recreation) error {
	raw, err := loadConfig(o.config, o.buckets[0])
	if err != nil {
		return err
	}
	config, err := kvcfg.ForCreation(raw)
	if err != nil {
		return err
	}
	known, err := config.Config()
	if err != nil {
		return err
	}
	origin, err := kvcfg.OriginOf(known)
	if err != nil {
		return err
	}
	if c.origin = c.s.readOrigin(ctx, origin); ctx.Err() != nil {
		return ctx.Err()
	}
	c.file = o.config
	c.plan.Config = config
	r.Mirrors = []render.Member{{
		Bucket: o.buckets[0], Stream: known.Name, PerKeyTTL: known.AllowMsgTTL, State: check.OK, Action: render.WouldRecreate,
		Origin: render.MemberOrigin{Bucket: origin.Bucket, Stream: origin.Stream(), APIPrefix: c.origin.api.Prefix(), Reachable: c.origin.stream != nil},
	}}
	c.member = &r.Mirrors[0]
	return nil
}

// restore creates a mirror from its saved configuration. It destroys nothing, so
// it does not ask, and needs no origin but for the proof.
func (o *syncOptions) restore(ctx context.Context, rt *runtime, r *render.Fleet, c *recreation) error {
	if o.dryRun {
		r.Action = render.WouldRecreate
		rt.say("Would create bucket %s from %s", c.member.Bucket, o.config)
		return nil
	}
	created, err := c.create(context.WithoutCancel(ctx), c.plan.Config)
	if err != nil {
		c.member.Action, c.member.Failure = render.Failed, failureOf(err)
		if c.member.Failure.Kind == kindUnknownOutcome {
			c.member.Action = render.Unknown
		}
		return c.withRestore(fmt.Errorf("bucket %q was not created: %w", c.member.Bucket, err))
	}
	r.Action, c.member.Action = render.Recreated, render.Recreated
	return o.prove(ctx, rt, c, created)
}

// remove deletes a stream.
func (s *session) remove(ctx context.Context, name string) error {
	err := s.own.Delete(ctx, name)
	bucket, _ := kvcfg.BucketName(name)
	w := (*jsapi.WriteError)(nil)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &w):
		return fail(kindUnknownOutcome, "", "it is not known whether bucket %q was deleted: %w", bucket, w.Err)
	}
	return fmt.Errorf("bucket %q was not deleted: %w", bucket, err)
}
