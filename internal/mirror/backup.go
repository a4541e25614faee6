package mirror

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
	"nats-kvmirror/internal/stream"
)

// backupFolder is where backups are in the user's cache.
const backupFolder = "nats-kvmirror"

// saveBackup writes a mirror's configuration to a new file that outlives a crash, in
// dir or, where that is "", in the user's cache or, without one, where temporary files
// are.
func saveBackup(dir string, config stream.Raw, bucket string, now time.Time) (string, error) {
	data, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return "", AsError(fmt.Errorf("cannot encode the configuration of bucket %q: %w", bucket, err))
	}
	if dir == "" {
		if dir, err = os.UserCacheDir(); err != nil {
			dir = os.TempDir()
		}
		dir = filepath.Join(dir, backupFolder)
	}
	cannot := func(err error) (string, error) {
		return "", fail(ErrRefused, "nothing was deleted, because the configuration of bucket %q cannot be saved: %w", bucket, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cannot(err)
	}
	// The name of a file may have as many characters as that of a stream.
	file, err := os.CreateTemp(dir, fmt.Sprintf("%.200s-%s-*.json", bucket, now.UTC().Format("20060102T150405Z")))
	if err != nil {
		return cannot(err)
	}
	_, err = file.Write(append(data, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return cannot(err)
	}
	return file.Name(), nil
}

// removeBackup removes what was saved here, when it is no longer needed.
func (p *RecreatePlan) removeBackup() {
	if p.ours {
		_ = os.Remove(p.backup)
	}
}

// loadBackup reads a saved configuration, which has to be a mirror's of this name.
func loadBackup(file, bucket string) (stream.Raw, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fail(ErrInvalid, "cannot read the backup: %w", err)
	}
	raw, err := stream.ParseRaw(data)
	var config stream.Config
	if err == nil {
		config, err = raw.Config()
	}
	if err == nil {
		err = kvcfg.CheckMirror(config)
	}
	if err == nil && config.Name != kvcfg.StreamName(bucket) {
		err = fmt.Errorf("it is of the stream %q", config.Name)
	}
	if err != nil {
		return nil, fail(ErrInvalid, "cannot use the backup %q: %w", file, err)
	}
	return raw, nil
}

// RestoreRequest is a mirror to create from its saved configuration, because it was
// deleted and not created again.
type RestoreRequest struct {
	Bucket  string
	File    string
	Content ContentOptions
}

// PlanRestore plans to create a mirror from its saved configuration. It deletes
// nothing, and needs no origin but to compare with it. A bucket that exists is
// [ErrExists].
func (c *Client) PlanRestore(ctx context.Context, req RestoreRequest) (*RecreatePlan, error) {
	p := &RecreatePlan{client: c, options: req.Content, backup: req.File}
	p.Bucket, p.Stream = req.Bucket, kvcfg.StreamName(req.Bucket)
	_, err := c.own.Stream(ctx, p.Stream)
	switch {
	case err == nil:
		return p, fail(ErrExists, "bucket %q exists, and a backup is for one that was deleted", req.Bucket).advise(Advice{Code: NotFromBackup, Bucket: req.Bucket})
	case !errors.Is(err, jsapi.ErrNotFound):
		return p, AsError(fmt.Errorf("cannot read bucket %q: %w", req.Bucket, err))
	}
	raw, err := loadBackup(req.File, req.Bucket)
	if err != nil {
		return p, err
	}
	var known stream.Config
	var origin kvcfg.Origin
	config, err := kvcfg.ForCreation(raw)
	if err == nil {
		known, err = config.Config()
	}
	if err == nil {
		origin, err = kvcfg.OriginOf(known)
	}
	if err != nil {
		return p, AsError(err)
	}
	if p.origin = c.readOrigin(ctx, origin); ctx.Err() != nil {
		return p, AsError(ctx.Err())
	}
	p.plan.Config = config
	p.Action, p.PerKeyTTL, p.Config = WouldRecreate, &known.AllowMsgTTL, config
	p.Origin = p.origin.report(nil)
	return p, nil
}

// restore creates a mirror from its saved configuration.
func (p *RecreatePlan) restore(ctx context.Context) (*Report, error) {
	created, err := p.create(context.WithoutCancel(ctx), p.plan.Config)
	if err != nil {
		return &p.Report, p.withRestore(err)
	}
	return &p.Report, p.finish(ctx, created)
}
