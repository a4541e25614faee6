package jsapi

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nuid"

	"nats-kvmirror/internal/stream"
)

// countThreshold is how long a consumer that was created to count lives on.
const countThreshold = 5 * time.Second

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
	if (errors.Is(err, ErrDenied) || errors.Is(err, ErrNoResponders)) && origin.Config.Replicas <= 1 {
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
	type config struct {
		Name          string        `json:"name"`
		Description   string        `json:"description"`
		DeliverPolicy string        `json:"deliver_policy"`
		From          uint64        `json:"opt_start_seq"`
		AckPolicy     string        `json:"ack_policy"`
		ReplayPolicy  string        `json:"replay_policy"`
		Filters       []string      `json:"filter_subjects,omitempty"`
		Inactive      time.Duration `json:"inactive_threshold"`
		Memory        bool          `json:"mem_storage"`
		Replicas      int           `json:"num_replicas"`
	}
	name := "kvmirror-" + nuid.Next()
	body := struct {
		Stream string `json:"stream_name"`
		Config config `json:"config"`
		Action string `json:"action"`
	}{stream, config{
		Name: name, Description: "counts what a mirror has still to take", DeliverPolicy: "by_start_sequence", From: after + 1,
		AckPolicy: "explicit", ReplayPolicy: "instant", Filters: filters, Inactive: countThreshold, Memory: true, Replicas: 1,
	}, "create"}
	var r struct {
		Pending uint64 `json:"num_pending"`
	}
	err := a.call(ctx, a.createSubject(stream, name), body, &r)
	return r.Pending, err
}
