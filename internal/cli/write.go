package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
	"nats-kvmirror/internal/stream"
)

// pollInterval is the pause between two looks at something that is awaited.
const pollInterval = 100 * time.Millisecond

// update sends a plan for a stream that holds so many messages and makes sure
// that all of the configuration was kept.
func (s *session) update(ctx context.Context, name string, plan kvcfg.Plan, messages uint64) (*stream.Info, error) {
	w := jsapi.Write{Config: plan.Config, Fields: []string{}}
	if plan.EnablesTTL() {
		w.Level, w.Scanned = stream.TTLAPILevel, messages
	}
	for _, c := range plan.Changes {
		w.Fields = append(w.Fields, c.Field)
	}
	updated, err := s.own.Update(ctx, w)
	return updated, writeFailure(name, "updated", "changed", err)
}

// writeFailure says what became of a write: done is what the server says that it
// did, and undone what it was not.
func writeFailure(name, done, undone string, err error) error {
	bucket, _ := kvcfg.BucketName(name)
	w := (*jsapi.WriteError)(nil)
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &w):
		return fmt.Errorf("bucket %q was not %s: %w", bucket, undone, err)
	case w.Kind == jsapi.ErrOutcomeUnknown:
		err = fail(kindUnknownOutcome, "look with `"+appName+" info "+bucket+"`; running the same command again is safe",
			"it is not known what became of the change: %w", w.Err)
		return fmt.Errorf("bucket %q was not %s: %w", bucket, undone, err)
	case w.Kind == jsapi.ErrNotKept:
		return fail(kindNotKept, "the server may be too old for it", "bucket %q was %s, but the server did not keep what was asked: %s", bucket, done, differing(w.Differs))
	case len(w.Differs) == 0:
		return fail(kindConflict, "run the command again to see how it is now",
			"bucket %q was %s, as the server says, and is not there: somebody else has deleted it, or the server is wrong", bucket, done)
	}
	return fail(kindConflict, "run the command again to see how it is now",
		"bucket %q was %s, as the server says, and is otherwise: %s; somebody else has changed it meanwhile, or the server is wrong", bucket, done, differing(w.Differs))
}

// differing lists fields that are not as they were written.
func differing(all []stream.Difference) string {
	var fields []string
	for _, d := range all {
		fields = append(fields, fmt.Sprintf("%s is %s and not %s", d.Field, render.Value(d.Field, d.Have), render.Value(d.Field, d.Want)))
	}
	return strings.Join(fields, ", ")
}

// readLately is how old the last look at a mirror may be when it is written: so
// that it is read together with its origin, which costs no time.
const readLately = time.Second

// unchanged makes sure that nobody has changed a mirror since it was read. again
// is a later look at it, at that time. Between the last look and the write,
// nothing can be seen: servers replace a configuration unconditionally.
func (s *session) unchanged(ctx context.Context, before, again *stream.Info, at time.Time) error {
	if again == nil || time.Since(at) > readLately {
		_, err := s.still(ctx, before)
		return err
	}
	return sameStill(before, again)
}
