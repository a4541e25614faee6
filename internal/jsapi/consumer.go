package jsapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

const (
	// replicaPause is the pause before a consumer is recreated because it was on a
	// replica that is behind.
	replicaPause = 200 * time.Millisecond
	// deleteTimeout is how long the deletion of a consumer may take, and
	// deleteInterval the pause before it is tried again.
	deleteTimeout  = time.Second
	deleteInterval = 20 * time.Millisecond
	// headersSize is roughly what a message without its body takes on the wire.
	headersSize = 256
)

func (a *API) createSubject(stream, consumer string) string {
	return a.prefix + ".CONSUMER.CREATE." + stream + "." + consumer
}

// rateLimit is the rate in bits a second that the server is told; 0 for none. It is
// not told where it sends bodies, whose sizes are not known.
func (w *Walk) rateLimit() uint64 {
	if w.opts.Rate <= 0 || w.opts.Bodies || w.noRateLimit {
		return 0
	}
	return 8 * headersSize * uint64(w.opts.Rate)
}

// create creates the consumer and returns how many messages it has to send.
func (w *Walk) create(deliver string, from uint64) (pending uint64, err error) {
	type config struct {
		Name          string        `json:"name"`
		Description   string        `json:"description"`
		Deliver       string        `json:"deliver_subject"`
		DeliverPolicy string        `json:"deliver_policy"`
		From          uint64        `json:"opt_start_seq"`
		AckPolicy     string        `json:"ack_policy"`
		ReplayPolicy  string        `json:"replay_policy"`
		Filters       []string      `json:"filter_subjects,omitempty"`
		HeadersOnly   bool          `json:"headers_only,omitempty"`
		FlowControl   bool          `json:"flow_control"`
		Heartbeat     time.Duration `json:"idle_heartbeat"`
		Inactive      time.Duration `json:"inactive_threshold"`
		Memory        bool          `json:"mem_storage"`
		Replicas      int           `json:"num_replicas"`
		RateLimit     uint64        `json:"rate_limit_bps,omitempty"`
	}
	body := struct {
		Stream string `json:"stream_name"`
		Config config `json:"config"`
		Action string `json:"action"`
	}{w.opts.Stream, config{
		Name:          w.name,
		Description:   "reads the messages once, to compare them",
		Deliver:       deliver,
		DeliverPolicy: "by_start_sequence",
		From:          from,
		AckPolicy:     "none",
		ReplayPolicy:  "instant",
		Filters:       w.opts.Filters,
		HeadersOnly:   !w.opts.Bodies,
		FlowControl:   true,
		Heartbeat:     w.heartbeat,
		Inactive:      w.inactiveThreshold,
		Memory:        true,
		Replicas:      1,
		RateLimit:     w.rateLimit(),
	}, "create"}
	var r struct {
		Stream  string `json:"stream_name"`
		Pending uint64 `json:"num_pending"`
	}
	subject := w.api.createSubject(w.opts.Stream, w.name)
	if err := w.api.call(w.ctx, subject, body, &r); err != nil {
		return 0, err
	}
	if r.Stream != w.opts.Stream {
		return 0, &Error{Kind: ErrMalformed, Subject: subject, Description: fmt.Sprintf("it is about the stream %q", r.Stream)}
	}
	return r.Pending, nil
}

// recreate replaces the consumer with one that begins after what was received.
func (w *Walk) recreate() error {
	if !w.behindSince.IsZero() {
		return w.recreateOnReplica()
	}
	w.emptyConsumers++
	if w.emptyConsumers > maxEmptyConsumers {
		return &Error{Kind: ErrTimeout, Subject: w.api.createSubject(w.opts.Stream, w.name),
			Description: fmt.Sprintf("the consumer was created %d times and sent nothing after sequence %d", w.emptyConsumers, w.read)}
	}
	w.release()
	return w.consume()
}

// recreateOnReplica recreates the consumer after a pause: it may then be on another
// replica, or the replica may have caught up.
func (w *Walk) recreateOnReplica() error {
	if time.Since(w.behindSince) > w.api.conn.timeout {
		return &Error{Kind: ErrTimeout, Subject: w.api.createSubject(w.opts.Stream, w.name),
			Description: fmt.Sprintf("the consumer was created on replicas that are behind the leader, at sequence %d", w.read)}
	}
	w.release()
	select {
	case <-time.After(replicaPause):
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
	return w.consume()
}

// consume creates a consumer that begins after what was received.
func (w *Walk) consume() error {
	w.mu.Lock()
	w.received.next()
	generation, from := w.received.generation, w.received.last+1
	w.mu.Unlock()
	w.unanswered, w.answered, w.answers = flow{}, "", 0
	deliver := w.deliver + "." + strconv.Itoa(generation)
	if err := w.subscribe(deliver, generation); err != nil {
		return err
	}
	w.name = "kvmirror-" + nuid.Next()
	pending, err := w.create(deliver, from)
	if err != nil {
		w.createUnknown = OutcomeUnknown(err) || w.ctx.Err() != nil
		if !w.createUnknown {
			w.name = ""
		}
		return err
	}
	if pending > 0 {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.received.promised = pending
		return nil
	}
	more, err := w.leaderHasMore(from)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.received.done, w.received.lost = !more, more; more && w.behindSince.IsZero() {
		w.behindSince = time.Now()
	}
	return nil
}

// subscribe subscribes to what the consumer of a generation sends.
func (w *Walk) subscribe(deliver string, generation int) error {
	failure, err := w.api.conn.wait(deliver)
	if err != nil {
		return err
	}
	w.failure = failure
	sub, err := w.api.conn.nc.Subscribe(deliver, func(m *nats.Msg) { w.receive(generation, m) })
	if err == nil {
		err = sub.SetPendingLimits(-1, -1)
	}
	if err != nil {
		return &Error{Kind: ErrDisconnected, Subject: deliver, Description: err.Error()}
	}
	w.sub = sub
	return nil
}

// leaderHasMore says whether the leader has messages from a sequence on though the
// consumer has none: servers place a consumer on any replica that is current in the
// cluster's own log, which may be behind in the stream's (2.15.2,
// server/jetstream_cluster.go, createGroupForConsumer).
func (w *Walk) leaderHasMore(from uint64) (bool, error) {
	if !w.opts.Replicated {
		return false, nil
	}
	next, err := w.api.NextPending(w.ctx, w.opts.Stream, from-1, w.opts.Filters)
	if err != nil {
		return false, fmt.Errorf("it is not known whether there are more messages: %w", err)
	}
	return next != 0 && next <= w.opts.To, nil
}

// release unsubscribes and begins to delete the consumer, if there is one. Where
// that is denied, the server deletes it after the inactive threshold.
func (w *Walk) release() {
	if w.failure != nil {
		w.api.conn.forget(w.failure)
		w.failure = nil
	}
	if w.sub != nil {
		_ = w.sub.Unsubscribe()
		w.sub = nil
	}
	if w.name == "" || !w.api.conn.nc.IsConnected() {
		return
	}
	name, unknown := w.name, w.createUnknown
	w.name, w.createUnknown = "", false
	w.deletions.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), min(deleteTimeout, w.api.conn.timeout))
		defer cancel()
		w.api.deleteConsumer(ctx, w.opts.Stream, name, unknown)
	})
}

// deleteConsumer deletes a consumer. With createUnknown it retries while there is
// none: servers handle requests concurrently, so it may be created later.
func (a *API) deleteConsumer(ctx context.Context, stream, name string, createUnknown bool) {
	for {
		err := a.call(ctx, a.prefix+".CONSUMER.DELETE."+stream+"."+name, nil, &struct{}{})
		if e := (*Error)(nil); !createUnknown || !errors.As(err, &e) || e.Code != codeConsumerNotFound {
			return
		}
		select {
		case <-time.After(deleteInterval):
		case <-ctx.Done():
			return
		}
	}
}
