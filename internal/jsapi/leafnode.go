package jsapi

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// defaultMaxPayload is that of servers. Ours may allow more than the one at the other
// end of a leafnode.
const defaultMaxPayload = 1 << 20

// MaxAnswer is how many bytes an answer may be expected to have: math.MaxInt where no
// leafnode is between. A server closes a leafnode connection over which more than
// max_payload comes (server/leafnode.go, processInboundLeafMsg), which cuts off all
// clients and mirrors behind it, and answers are not limited where they are made. So
// half of max_payload is left for what is not known of an answer before it comes.
func (a *API) MaxAnswer() int {
	if !a.mayCrossLeafnode() {
		return math.MaxInt
	}
	return int(min(a.conn.nc.MaxPayload(), defaultMaxPayload)) / 2
}

// mayCrossLeafnode says whether answers may come over a leafnode: those of another
// domain do. A server without JetStream may pass requests on to where there is some. A
// prefix that is no domain's is an import, which leads to another account of the server.
func (a *API) mayCrossLeafnode() bool {
	if a.prefix == "$JS.API" {
		enabled, _ := a.conn.nc.ConnectedServerJetStream()
		return !enabled
	}
	rest, isDomain := strings.CutPrefix(a.prefix, "$JS.")
	domain, isAPI := strings.CutSuffix(rest, ".API")
	return isDomain && isAPI && !a.imported && domain != a.conn.nc.ConnectedDomain()
}

// onceThreshold is how long a consumer that is used once lives on, if it is not deleted.
const onceThreshold = 5 * time.Second

// onceConfig is the configuration of a consumer that counts, or sends one message.
type onceConfig struct {
	Name          string        `json:"name"`
	Description   string        `json:"description"`
	Deliver       string        `json:"deliver_subject,omitempty"`
	DeliverPolicy string        `json:"deliver_policy"`
	From          uint64        `json:"opt_start_seq,omitempty"`
	AckPolicy     string        `json:"ack_policy"`
	MaxAckPending int           `json:"max_ack_pending,omitempty"`
	HeadersOnly   bool          `json:"headers_only,omitempty"`
	ReplayPolicy  string        `json:"replay_policy"`
	Filters       []string      `json:"filter_subjects,omitempty"`
	Inactive      time.Duration `json:"inactive_threshold"`
	Memory        bool          `json:"mem_storage"`
	Replicas      int           `json:"num_replicas"`
}

// newOnce is a consumer of the messages that a mirror with these filters takes.
func newOnce(policy string, from uint64, filters []string) onceConfig {
	return onceConfig{
		Name: "kvmirror-" + nuid.Next(), Description: "finds what a mirror has still to take", DeliverPolicy: policy, From: from, Filters: filters,
		AckPolicy: "explicit", ReplayPolicy: "instant", Inactive: onceThreshold, Memory: true, Replicas: 1,
	}
}

// createOnce creates a consumer and returns how many messages it has, and on which
// server of a cluster it is. It may be asked for again: the same one is answered.
func (a *API) createOnce(ctx context.Context, stream string, c onceConfig) (pending uint64, on string, err error) {
	body := struct {
		Stream string     `json:"stream_name"`
		Config onceConfig `json:"config"`
		Action string     `json:"action"`
	}{stream, c, "create"}
	subject := a.createSubject(stream, c.Name)
	data, err := a.conn.query(ctx, subject, body)
	if err != nil {
		return 0, "", err
	}
	var r struct {
		Pending uint64 `json:"num_pending"`
		Cluster struct {
			Leader string `json:"leader"`
		} `json:"cluster"`
	}
	err = decode(subject, data, &r)
	return r.Pending, r.Cluster.Leader, err
}

// deleteOnce deletes a consumer that was created. Nothing waits for that, and it is not
// needed where it is denied.
func (a *API) deleteOnce(stream string, c onceConfig) {
	_ = a.conn.nc.Publish(a.prefix+".CONSUMER.DELETE."+stream+"."+c.Name, nil)
}

// noMessage says that a consumer of a stream has none.
func (a *API) noMessage(stream string) *Error {
	return &Error{Kind: ErrNotFound, Subject: a.prefix + ".CONSUMER.CREATE." + stream, Description: "no message found"}
}

// bare is the first message of a consumer without its body; nil when there is none.
// Neither of the other ways is harmless: STREAM.MSG.GET answers in base64, and
// DIRECT.GET adds headers to a message that may be as large as max_payload, and comes
// from any mirror that answers in the stream's name. It is one round trip: the message
// follows the answer. No more than one comes, since none is acknowledged.
func (a *API) bare(ctx context.Context, stream string, c onceConfig) (m *nats.Msg, on string, err error) {
	c.Deliver, c.HeadersOnly, c.MaxAckPending = a.conn.nc.NewInbox(), true, 1
	failure, err := a.conn.wait(c.Deliver)
	if err != nil {
		return nil, "", err
	}
	defer a.conn.forget(failure)
	came := make(chan *nats.Msg, 1)
	sub, err := a.conn.nc.ChanSubscribe(c.Deliver, came)
	if err != nil {
		return nil, "", &Error{Kind: ErrDisconnected, Subject: c.Deliver, Description: err.Error()}
	}
	defer func() { _ = sub.Unsubscribe() }()
	pending, on, err := a.createOnce(ctx, stream, c)
	if err != nil {
		return nil, "", err
	}
	defer a.deleteOnce(stream, c)
	if pending == 0 {
		return nil, on, nil
	}
	late := time.NewTimer(a.conn.timeout)
	defer late.Stop()
	select {
	case m := <-came:
		return m, on, nil
	case err := <-failure.failed:
		return nil, "", err
	case <-late.C:
		return nil, "", &Error{Kind: ErrTimeout, Subject: c.Deliver, Description: fmt.Sprintf("no message came within %v", a.conn.timeout)}
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
}

// nextBare is next without the message's body. That a stream with replicas has no such
// message is taken from no other than its leader, or from a consumer on the leader's
// server: any other may be behind.
func (a *API) nextBare(ctx context.Context, stream string, from uint64, filters []string) (seq uint64, of string, err error) {
	none := a.noMessage(stream)
	end := time.Now().Add(a.conn.timeout)
	err = Poll(ctx, replicaPause, func() (bool, error) {
		m, on, err := a.bare(ctx, stream, newOnce("by_start_sequence", from, filters))
		if err != nil {
			return false, err
		}
		if m != nil {
			meta, err := m.Metadata()
			if err == nil && meta.Sequence.Stream < from {
				err = fmt.Errorf("message %d is before %d", meta.Sequence.Stream, from)
			}
			if err != nil {
				return false, &Error{Kind: ErrMalformed, Subject: m.Subject, Description: err.Error()}
			}
			seq, of = meta.Sequence.Stream, m.Subject
			return true, nil
		}
		if on == "" {
			return false, none // outside of a cluster
		}
		info, err := a.Stream(ctx, stream)
		if err != nil {
			return false, err
		}
		if info.State.LastSeq < from || info.Config.Replicas <= 1 || info.Cluster == nil || info.Cluster.Leader == on {
			return false, none
		}
		if time.Now().After(end) {
			return false, &Error{Kind: ErrTimeout, Subject: none.Subject, Description: "no consumer came to be on the leader's server, and others may be behind"}
		}
		return false, nil
	})
	return seq, of, err
}

// lastHeaderBare is LastHeader without the message's body.
func (a *API) lastHeaderBare(ctx context.Context, stream, name string) (string, error) {
	m, _, err := a.bare(ctx, stream, newOnce("last", 0, nil))
	switch {
	case err != nil:
		return "", err
	case m == nil:
		return "", a.noMessage(stream)
	case unparsed(m):
		return "", &Error{Kind: ErrMalformed, Subject: m.Subject, Description: "its headers cannot be read"}
	}
	return m.Header.Get(name), nil
}
