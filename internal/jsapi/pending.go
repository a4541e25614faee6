package jsapi

import (
	"context"
	"errors"

	"nats-kvmirror/internal/stream"
)

// Pending is the [API.NextPending] of a mirror and its origin, a stream of this API. It
// is asked for only where their sequences differ, and nil when it is not known.
//
// Another account that shares what a mirror needs need not share single messages. The
// origin's consumers tell whether anything is pending, though not at which sequence:
// the next one is then as good as any. Of an origin with replicas they do not, since a
// consumer may be on one that is behind.
func (a *API) Pending(ctx context.Context, origin, mirror *stream.Info) *uint64 {
	last, name, filters := mirror.State.LastSeq, origin.Config.Name, mirror.Config.Filters()
	if last >= origin.State.LastSeq || origin.State.Msgs == 0 {
		return new(uint64(0))
	}
	next, err := a.NextPending(ctx, name, last, filters)
	if (errors.Is(err, ErrDenied) || errors.Is(err, ErrNoResponders)) && origin.Config.Replicas <= 1 && !a.mayCrossLeafnode() {
		var pending uint64
		if pending, err = a.countPending(ctx, name, last, filters); err == nil && pending > 0 {
			next = last + 1
		}
	}
	if err != nil {
		return nil
	}
	return &next
}

// countPending counts the messages after a sequence, as a consumer without any delivery
// does. The server deletes it by itself: nothing more has to be shared.
func (a *API) countPending(ctx context.Context, stream string, after uint64, filters []string) (uint64, error) {
	pending, _, err := a.createOnce(ctx, stream, newOnce("by_start_sequence", after+1, filters))
	return pending, err
}
