package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// readMirror reads a bucket, and what its server supports, side by side. The
// account is nil when the server did not say.
func (s *session) readMirror(ctx context.Context, bucket string) (*stream.Info, *jsapi.Account, error) {
	var mirror *stream.Info
	var account jsapi.Account
	var mirrorErr, accountErr error
	var wg sync.WaitGroup
	wg.Go(func() { account, accountErr = s.own.Account(ctx) })
	wg.Go(func() { mirror, mirrorErr = s.own.Stream(ctx, kvcfg.StreamName(bucket)) })
	wg.Wait()
	if errors.Is(mirrorErr, jsapi.ErrNotFound) {
		return nil, nil, fail(kindNotFound, "", "bucket %q does not exist: asked on %q", bucket, s.own.InfoSubject(kvcfg.StreamName(bucket)))
	}
	if mirrorErr != nil {
		return nil, nil, fmt.Errorf("cannot read bucket %q: %w", bucket, mirrorErr)
	}
	if accountErr != nil {
		// Not known; what the server then does with the write is checked.
		return mirror, nil, nil
	}
	return mirror, &account, nil
}

// still reads a stream again and makes sure that it is the one that was shown,
// with the same configuration: an answer to a question may take long, and what somebody else did
// meanwhile is not to be overwritten.
func (s *session) still(ctx context.Context, shown *stream.Info) (*stream.Info, error) {
	bucket, _ := kvcfg.BucketName(shown.Config.Name)
	now, err := s.own.Stream(ctx, shown.Config.Name)
	if err != nil {
		return nil, fmt.Errorf("cannot read bucket %q again: %w", bucket, err)
	}
	return now, sameStill(shown, now)
}

// sameStill is nil when a mirror is what it was when it was shown.
func sameStill(shown, now *stream.Info) error {
	bucket, _ := kvcfg.BucketName(shown.Config.Name)
	if !now.SameStream(shown) {
		return fail(kindConflict, "run the command again to see the differences as they are now", "somebody else has changed bucket %q meanwhile, nothing was written", bucket)
	}
	return nil
}
