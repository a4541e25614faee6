package jsapi

import (
	"fmt"
	"time"
)

func (a *API) createSubject(stream, consumer string) string {
	return a.prefix + ".CONSUMER.CREATE." + stream + "." + consumer
}

// limit is the rate in bits a second that the server is told, 0 for none. It is
// not told where it sends bodies, whose sizes nobody knows.
func (w *Walk) limit() uint64 {
	if w.opts.Rate <= 0 || w.opts.Bodies || w.unbound {
		return 0
	}
	return 8 * headSize * uint64(w.opts.Rate)
}

// create makes the consumer and returns how many messages it has to send.
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
		Heartbeat:     w.beat,
		Inactive:      orphaned,
		Memory:        true,
		Replicas:      1,
		RateLimit:     w.limit(),
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
