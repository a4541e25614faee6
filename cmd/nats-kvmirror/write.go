package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
)

const (
	// pollInterval is the pause between two looks at something that is awaited.
	pollInterval = 100 * time.Millisecond
	// lastLook is what a write is given beyond the timeout to show its fate.
	lastLook = 800 * time.Millisecond
	// scanTime is what a slow server takes to look at one stored message when
	// per-key TTL is turned on; fast ones take a tenth.
	scanTime = 5 * time.Microsecond
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
	deadline := time.Now().Add(timeout + lastLook + time.Duration(messages)*scanTime)

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

// update sends a plan for a stream that holds so many messages and checks, in the
// server's answer, that all of the configuration was kept. It is the one way in
// which edit and sync change a mirror.
func (s *session) update(ctx context.Context, stream string, plan kvcfg.Plan, messages uint64) (*jsapi.Stream, error) {
	level, scanned := 0, uint64(0)
	if plan.EnablesTTL() {
		level, scanned = kvcfg.TTLAPILevel, messages
	}
	updated, err := s.write(ctx, plan.Config, scanned, func(ctx context.Context) (*jsapi.Stream, error) {
		return s.own.Update(ctx, stream, plan.Config, level)
	})
	bucket, _ := kvcfg.BucketName(stream)
	if err != nil {
		return nil, fmt.Errorf("bucket %q was not changed: %w", bucket, err)
	}
	return updated, kept(plan.Config, updated.Raw, bucket, "updated")
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
