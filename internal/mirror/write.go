package mirror

import (
	"context"
	"errors"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// create creates the stream of a bucket as a plan has it. The stream is returned
// also with an error, when it is there.
func (c *Client) create(ctx context.Context, config stream.Raw) (*stream.Info, error) {
	known, err := config.Config()
	if err != nil {
		return nil, AsError(err)
	}
	w := jsapi.Write{Config: config}
	if known.AllowMsgTTL {
		w.Level = stream.TTLAPILevel
	}
	created, err := c.own.Create(ctx, w)
	return created, writeFailure(known.Name, "created", "created", err)
}

// update sends a plan for a stream that holds so many messages, and returns the
// stream as the server then has it.
func (c *Client) update(ctx context.Context, name string, plan kvcfg.Plan, messages uint64) (*stream.Info, error) {
	w := jsapi.Write{Config: plan.Config, Fields: []string{}}
	if plan.EnablesTTL() {
		w.Level, w.Scanned = stream.TTLAPILevel, messages
	}
	for _, change := range plan.Changes {
		w.Fields = append(w.Fields, change.Field)
	}
	updated, err := c.own.Update(ctx, w)
	failed := writeFailure(name, "updated", "changed", err)
	if plan.EnablesTTL() {
		failed = orRecreate(failed)
	}
	return updated, about(kvcfg.DisplayName(name), failed)
}

// orRecreate is a failure to turn per-key TTL on, with the other way to get it where a
// server does not do it by an update.
func orRecreate(err error) error {
	e := AsError(err)
	switch {
	case e == nil:
		return nil
	case e.Kind == ErrNotKept: // 2.10
		return e.advise(Advice{Code: UpgradeTo, Version: "2.11"}, Advice{Code: ThenRecreate})
	case (e.Kind == ErrRejected || e.Kind == ErrOldServer) && len(e.Advice) == 0: // 2.11.0 and 2.11.1, by 10052
		return e.advise(Advice{Code: Recreate})
	}
	return e
}

// delete deletes the stream of a bucket.
func (c *Client) delete(ctx context.Context, name string) error {
	return writeFailure(name, "deleted", "deleted", c.own.Delete(ctx, name))
}

// writeFailure says what became of a write: done is what the server says that it
// did, and undone what it was not.
func writeFailure(name, done, undone string, err error) error {
	if err == nil {
		return nil
	}
	bucket := kvcfg.DisplayName(name)
	w := (*jsapi.WriteError)(nil)
	switch {
	case !errors.As(err, &w):
		return AsError(err).wrap("bucket %q was not %s", bucket, undone)
	case w.Kind == jsapi.ErrOutcomeUnknown:
		return fail(ErrOutcomeUnknown, "whether bucket %q was %s is not known: %w", bucket, undone, w.Err).advise(Advice{Code: LookAndRepeat, Bucket: bucket})
	case w.Kind == jsapi.ErrNotKept:
		e := fail(ErrNotKept, "bucket %q was %s, but the server did not keep what was asked", bucket, done).advise(Advice{Code: NewerServer})
		e.Differs = w.Differs
		return e
	case len(w.Differs) == 0:
		return fail(ErrConflict, "bucket %q was %s, as the server says, and is not there: somebody else has deleted it, or the server is wrong", bucket, done).advise(Advice{Code: RunAgain})
	}
	e := fail(ErrConflict, "bucket %q was %s, as the server says, and is not so: somebody else has changed it meanwhile, or the server is wrong", bucket, done).advise(Advice{Code: RunAgain})
	e.Differs = w.Differs
	return e
}
