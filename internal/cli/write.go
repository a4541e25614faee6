package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
)

const (
	// pollInterval is the pause between two looks at something that is awaited.
	pollInterval = 100 * time.Millisecond
	// lastLook is what a write is given beyond the timeout to show its fate.
	lastLook = 800 * time.Millisecond
	// scanTime is what a slow server takes to look at one stored message when
	// per-key TTL is turned on; fast ones take a tenth.
	scanTime = 5 * time.Microsecond
	// maxScan is how long a scan is waited for at the most, whatever number of
	// messages a server says that it has.
	maxScan = 30 * time.Minute
)

// write sends a configuration with send and returns the stream as the server
// then has it. An answer that does not come says nothing about the write: the
// stream is read until it shows what was asked for, or until the timeout, and
// the time that a server may take to scan the messages, are over; the error is
// then of kind unknown-outcome. An interrupt cannot call a write back: it is
// followed for one more timeout at the most.
func (s *session) write(ctx context.Context, asked kvcfg.Raw, messages uint64, send func(context.Context) (*jsapi.Stream, error)) (*jsapi.Stream, error) {
	config, err := asked.Config()
	if err != nil {
		return nil, err
	}
	timeout := s.conn.Timeout()
	scan := time.Duration(min(messages, uint64(maxScan/scanTime))) * scanTime
	deadline := time.Now().Add(timeout + lastLook + scan)

	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	stream, sent := send(following)
	if sent == nil || !jsapi.OutcomeUnknown(sent) {
		return stream, sent
	}

	giveUp := time.AfterFunc(time.Until(deadline), stop)
	defer giveUp.Stop()
	defer context.AfterFunc(ctx, func() { giveUp.Reset(min(time.Until(deadline), timeout)) })()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var seen error
	for {
		found, err := s.own.Stream(following, config.Name)
		if err == nil && len(asked.Differing(found.Raw)) == 0 {
			return found, nil
		}
		if !errors.Is(err, context.Canceled) {
			seen = err
		}
		select {
		case <-tick.C:
		case <-following.Done():
			return nil, unknownOutcome(config.Name, sent, seen)
		}
	}
}

// update sends a plan for a stream that holds so many messages and makes sure
// that all of the configuration was kept. It is the one way in which edit and
// sync change a mirror.
func (s *session) update(ctx context.Context, stream string, plan kvcfg.Plan, messages uint64) (*jsapi.Stream, error) {
	level, scanned := 0, uint64(0)
	if plan.EnablesTTL() {
		level, scanned = kvcfg.TTLAPILevel, messages
	}
	var read *jsapi.Stream
	updated, err := s.write(ctx, plan.Config, scanned, func(ctx context.Context) (*jsapi.Stream, error) {
		w, err := s.own.UpdateAndRead(ctx, stream, plan.Config, level)
		read = w.Read
		return w.Answer, err
	})
	bucket, _ := kvcfg.BucketName(stream)
	if err != nil {
		return nil, fmt.Errorf("bucket %q was not changed: %w", bucket, err)
	}
	var changed []string
	for _, c := range plan.Changes {
		changed = append(changed, c.Field)
	}
	return s.confirm(ctx, plan.Config, changed, updated, read, "updated")
}

// confirm makes sure that what was written is there: in the server's answer to
// the write, and in the stream as it was read behind it, since an answer can say
// what is not so and somebody else can have written meanwhile. Where it was not
// read, or does not show the write, because the server did not keep the order, it
// is read once more; when that fails the answer has to do. changed are the fields
// that the write was about: what somebody else has made of the others since is
// none of ours.
func (s *session) confirm(ctx context.Context, asked kvcfg.Raw, changed []string, answered, read *jsapi.Stream, done string) (*jsapi.Stream, error) {
	bucket, _ := kvcfg.BucketName(answered.Config.Name)
	if err := kept(asked, answered.Raw, bucket, done); err != nil {
		return answered, err
	}
	if read != nil && undone(asked, read.Raw, changed) == "" {
		return read, nil
	}
	now, err := s.own.Stream(context.WithoutCancel(ctx), answered.Config.Name)
	switch {
	case errors.Is(err, jsapi.ErrNotFound):
		return answered, fail(kindConflict, "run the command again to see how it is now",
			"bucket %q was %s, as the server says, and is not there: somebody else has deleted it, or the server is wrong", bucket, done)
	case err != nil:
		return answered, nil
	}
	if fields := undone(asked, now.Raw, changed); fields != "" {
		return now, fail(kindConflict, "run the command again to see how it is now",
			"bucket %q was %s, as the server says, and is otherwise: %s; somebody else has changed it meanwhile, or the server is wrong", bucket, done, fields)
	}
	return now, nil
}

// undone lists which of the changed fields are not as they were written.
func undone(asked, now kvcfg.Raw, changed []string) string {
	var fields []string
	for _, field := range asked.Unlike(now) {
		if slices.Contains(changed, field) {
			fields = append(fields, fmt.Sprintf("%s is %s and not %s", field, render.Value(field, now[field]), render.Value(field, asked[field])))
		}
	}
	return strings.Join(fields, ", ")
}

// readLately is how old the last look at a mirror may be when it is written: so
// that it is read together with its origin, which costs no time.
const readLately = time.Second

// unchanged makes sure that nobody has changed a mirror since it was read. again
// is a later look at it, at that time. Between the last look and the write,
// nothing can be seen: servers replace a configuration unconditionally.
func (s *session) unchanged(ctx context.Context, before, again *jsapi.Stream, at time.Time) error {
	if again == nil || time.Since(at) > readLately {
		_, err := s.still(ctx, before)
		return err
	}
	return sameStill(before, again)
}

// unknownOutcome says what was tried and what was last seen.
func unknownOutcome(stream string, sent, read error) error {
	seen := "the stream does not show the change"
	switch {
	case errors.Is(read, jsapi.ErrNotFound):
		seen = "the stream is not there"
	case read != nil:
		seen = "the stream cannot be read: " + read.Error()
	}
	bucket, _ := kvcfg.BucketName(stream)
	return fail(kindUnknownOutcome, "look with `"+appName+" info "+bucket+"`; running the same command again is safe",
		"it is not known what became of the change: %w; %s", sent, seen)
}
