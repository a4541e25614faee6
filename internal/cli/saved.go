package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
)

// saveConfig writes a mirror's configuration to a new file that outlives a crash,
// in the user's cache or, without one, where temporary files are.
func saveConfig(config kvcfg.Raw, bucket string, now time.Time) (string, error) {
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
func loadConfig(file, bucket string) (kvcfg.Raw, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fail(kindUsage, "", "--config: %w", err)
	}
	raw, err := kvcfg.ParseRaw(data)
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
	config, err := raw.ForCreation()
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
		Bucket: o.buckets[0], Stream: known.Name, PerKeyTTL: known.AllowMsgTTL, State: kvcfg.OK, Action: render.WouldRecreate,
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

// remove deletes a stream. A deletion whose answer does not come is followed
// until the stream is seen to be gone, or the time is up.
func (s *session) remove(ctx context.Context, stream string) error {
	deadline := time.Now().Add(s.conn.Timeout() + lastLook)
	sent := s.own.Delete(ctx, stream)
	if sent == nil || errors.Is(sent, jsapi.ErrNotFound) {
		return nil
	}
	bucket, _ := kvcfg.BucketName(stream)
	if !jsapi.OutcomeUnknown(sent) {
		return fmt.Errorf("bucket %q was not deleted: %w", bucket, sent)
	}
	following, stop := context.WithDeadline(ctx, deadline)
	defer stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		_, err := s.own.Stream(following, stream)
		if errors.Is(err, jsapi.ErrNotFound) {
			return nil
		}
		select {
		case <-tick.C:
		case <-following.Done():
			return fail(kindUnknownOutcome, "", "it is not known whether bucket %q was deleted: %w", bucket, sent)
		}
	}
}
