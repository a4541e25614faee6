package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/render"
)

// patience bounds each wait. The longest wait takes the TTL of the key and that
// of the limit marker after it; the rest is for busy machines.
const patience = 30 * time.Second

// pollInterval is the pause between two reads of the buckets.
const pollInterval = 100 * time.Millisecond

// buckets are the stream infos of the three buckets, read together.
type buckets struct{ origin, plain, ours *jetstream.StreamInfo }

// read reads the origin first: a mirror that is then found at its sequence has
// all of it.
func (s *story) read(ctx context.Context) (b buckets, err error) {
	for _, one := range []struct {
		site   jetstream.JetStream
		bucket string
		info   **jetstream.StreamInfo
	}{
		{s.hub, originBucket, &b.origin},
		{s.leaf, plainMirror, &b.plain},
		{s.leaf, ourMirror, &b.ours},
	} {
		stream, err := one.site.Stream(ctx, streamPrefix+one.bucket)
		if err != nil {
			return b, fmt.Errorf("cannot read bucket %s: %w", one.bucket, err)
		}
		*one.info = stream.CachedInfo()
	}
	return b, nil
}

// until reads the buckets until ok returns true.
func (s *story) until(ctx context.Context, what string, ok func(buckets) bool) (buckets, error) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		b, err := s.read(ctx)
		if err != nil || ok(b) {
			return b, err
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return b, fmt.Errorf("waited %v for %s: %v", patience, what, b)
		case <-ctx.Done():
			return b, ctx.Err()
		}
	}
}

// caughtUp reports whether both mirrors are at the origin's last sequence.
func (b buckets) caughtUp() bool {
	last := b.origin.State.LastSeq
	return b.plain.State.LastSeq >= last && b.ours.State.LastSeq >= last
}

// String is how many messages each bucket holds.
func (b buckets) String() string {
	return fmt.Sprintf("messages: %s %d, %s %d, %s %d", originBucket, b.origin.State.Msgs, plainMirror, b.plain.State.Msgs, ourMirror, b.ours.State.Msgs)
}

// newTable begins a table with a column for each bucket.
func (s *story) newTable(title string) *render.Table {
	return render.NewTable(s.Style, title, "", originBucket+" (hub)", plainMirror+" (leaf)", ourMirror+" (leaf)")
}

// row adds the row of one value of each bucket.
func (b buckets) row(t *render.Table, label string, value func(*jetstream.StreamInfo) any) {
	t.Row(label, value(b.origin), value(b.plain), value(b.ours))
}
