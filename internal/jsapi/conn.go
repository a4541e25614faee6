// Package jsapi is the JetStream API behind any subject prefix: requests in,
// raw configurations and sorted failures out.
//
// jsm.go's Manager takes no context, reads again after each update (and then
// reports an applied update as failed when that read is lost) and decodes
// configurations into structs that drop what they do not know; hence requests
// of our own.
package jsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Tracer is told of each request and answer; it may be called from several
// goroutines at once.
type Tracer func(format string, a ...any)

// Conn is a NATS connection on which a request fails as soon as its failure is
// known: a denied subject is reported by the server apart from the request, on
// the connection, and would otherwise look like a timeout.
type Conn struct {
	nc      *nats.Conn
	timeout time.Duration
	trace   Tracer

	mu      sync.Mutex
	waiting map[*waiter]struct{}
	inbox   error     // set once the server has denied the inbox
	lost    time.Time // when the connection was lost; zero while there is one
}

// waiter is a request that waits for its answer.
type waiter struct {
	subject string
	failed  chan error // holds one
}

// minServerTimeout is how long a server of several has at least to let a client in.
const minServerTimeout = 500 * time.Millisecond

// Connect connects to a server of a comma-separated list. timeout is how long to
// wait for the connection, whichever server it is to, and later for each answer;
// a list shares it, so that a server that is silent leaves time for the others.
// With no connection in time the error wraps [ErrTimeout]. It is given up when
// ctx ends. trace may be nil.
func Connect(ctx context.Context, servers string, timeout time.Duration, trace Tracer, opts ...nats.Option) (*Conn, error) {
	if trace == nil {
		trace = func(string, ...any) {}
	}
	c := &Conn{timeout: timeout, trace: trace, waiting: map[*waiter]struct{}{}}
	listed := time.Duration(strings.Count(servers, ",") + 1)
	perServer := min(timeout, max(timeout/listed, minServerTimeout))
	opts = append(opts,
		nats.Timeout(perServer),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.asyncError(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.disconnected(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { c.reconnected() }),
	)

	type result struct {
		nc  *nats.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		nc, err := nats.Connect(servers, opts...)
		done <- result{nc, err}
	}()
	late := time.NewTimer(timeout)
	defer late.Stop()
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = fmt.Errorf("%w: waited %v", ErrTimeout, timeout)
	case r := <-done:
		var netErr net.Error
		if errors.Is(r.err, nats.ErrTimeout) || errors.As(r.err, &netErr) && netErr.Timeout() {
			return nil, fmt.Errorf("%w: waited %v", ErrTimeout, perServer)
		}
		if r.err != nil {
			return nil, r.err
		}
		c.nc = r.nc
		c.trace(">>> connected to %s (%s)", r.nc.ConnectedUrlRedacted(), r.nc.ConnectedAddr())
		return c, nil
	}
	go func() {
		if r := <-done; r.err == nil {
			r.nc.Close() // it came after all
		}
	}()
	return nil, err
}

// Close closes the connection.
func (c *Conn) Close() { c.nc.Close() }

// Timeout is how long a request waits for its answer.
func (c *Conn) Timeout() time.Duration { return c.timeout }

// ServerVersion is the version of the server that the client is connected to,
// which need not be the one that hosts a stream.
func (c *Conn) ServerVersion() string { return c.nc.ConnectedServerVersion() }

// At is the API behind a prefix, as "$JS.API" or "$JS.hub.API".
func (c *Conn) At(prefix string) *API { return &API{conn: c, prefix: prefix} }

// Imported is the JetStream API of another account, which is imported under a prefix. That
// may look like a domain's.
func (c *Conn) Imported(prefix string) *API {
	return &API{conn: c, prefix: prefix, imported: true}
}

var violation = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]+)"`)

// asyncError fails the requests that a permission violation is about.
func (c *Conn) asyncError(err error) {
	c.trace("!!! %v", err)
	m := violation.FindStringSubmatch(err.Error())
	if !errors.Is(err, nats.ErrPermissionViolation) || m == nil {
		return
	}
	subscription := m[1][0]|0x20 == 's'
	denied := func(subject string) error {
		if subscription {
			return &Error{Kind: ErrInboxDenied, Subject: subject, Description: fmt.Sprintf("may not subscribe to the inbox %q", m[2])}
		}
		return &Error{Kind: ErrDenied, Subject: subject, Description: "may not publish to it"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := false
	for w := range c.waiting {
		switch m[2] {
		case w.subject:
			known = true
			w.fail(denied(w.subject))
		case c.ownSubject(w.subject):
			w.fail(&Error{Kind: ErrDenied, Subject: w.subject, Description: fmt.Sprintf("may not publish to %q, as it is here", m[2])})
		}
	}
	// What a walk listens to is denied to the walk alone, which may be over.
	if !subscription || known || !strings.HasSuffix(m[2], ".*") {
		return
	}
	// All answers come to one subscription, which is not tried again.
	c.inbox = denied("")
	for w := range c.waiting {
		w.fail(denied(w.subject))
	}
}

// ownSubject is a subject of the API of the domain of the server that the client is
// connected to, as permissions see it: the server maps it first (2.15.2,
// server/client.go, processInboundClientMsg).
func (c *Conn) ownSubject(subject string) string {
	if rest, ok := strings.CutPrefix(subject, "$JS."+c.nc.ConnectedDomain()+".API."); ok {
		return "$JS.API." + rest
	}
	return subject
}

// disconnected fails all requests under way: an answer that had not come when
// the connection was lost never comes.
func (c *Conn) disconnected(err error) {
	if err == nil {
		return // we have closed it
	}
	c.trace("!!! disconnected: %v", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = time.Now()
	for w := range c.waiting {
		w.fail(&Error{Kind: ErrDisconnected, Subject: w.subject, Description: err.Error()})
	}
}

func (c *Conn) reconnected() {
	c.trace("!!! connected again")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = time.Time{}
}

// deadline is until when a request that is made now may wait. While the
// connection is lost that is a timeout after the loss, so that many requests do
// not each wait for a connection that does not come back.
func (c *Conn) deadline() (at time.Time, lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.lost.IsZero() {
		return c.lost.Add(c.timeout), true
	}
	return time.Now().Add(c.timeout), false
}

func (w *waiter) fail(err error) {
	select {
	case w.failed <- err:
	default: // it has failed already
	}
}

// wait registers a request; it returns the error that dooms it beforehand.
func (c *Conn) wait(subject string) (*waiter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := (*Error)(nil); errors.As(c.inbox, &e) {
		return nil, &Error{Kind: ErrInboxDenied, Subject: subject, Description: e.Description}
	}
	w := &waiter{subject: subject, failed: make(chan error, 1)}
	c.waiting[w] = struct{}{}
	return w, nil
}

func (c *Conn) forget(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, w)
}

// request sends body (none when nil) and returns the answer's payload.
func (c *Conn) request(ctx context.Context, subject string, header nats.Header, body any) ([]byte, error) {
	return payload(c.send(ctx, subject, header, body, 1))
}

// payload is that of an answer.
func payload(m *nats.Msg, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// queryAttempts is how often a question is put within the timeout.
const queryAttempts = 4

// query is request for what changes nothing. It is put again while no answer comes,
// or only that there is no leader: what reaches a cluster between two leaders is
// dropped (2.15.2, server/jetstream_api.go, jsStreamInfoRequest).
func (c *Conn) query(ctx context.Context, subject string, body any) ([]byte, error) {
	return payload(c.send(ctx, subject, nil, body, queryAttempts))
}

// send sends a request up to so many times, spread over the timeout, and returns
// the first answer.
func (c *Conn) send(ctx context.Context, subject string, header nats.Header, body any, times int) (*nats.Msg, error) {
	msg := &nats.Msg{Subject: subject, Header: header}
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("cannot encode the request to %q: %w", subject, err)
		}
		msg.Data = data
	}
	w, err := c.wait(subject)
	if err != nil {
		return nil, err
	}
	defer c.forget(w)

	deadline, lost := c.deadline()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	type result struct {
		msg *nats.Msg
		err error
	}
	done := make(chan result, times)
	left := times
	put := func() {
		left--
		c.trace(">>> %s%s", subject, traced(msg.Data))
		go func() {
			answer, err := c.nc.RequestMsgWithContext(ctx, msg)
			done <- result{answer, err}
		}()
	}
	put()
	again := time.NewTicker(max(time.Until(deadline)/time.Duration(times), time.Millisecond))
	defer again.Stop()
	var leaderless *nats.Msg
	for {
		select {
		case <-again.C:
			if left > 0 {
				put()
			}
		case err := <-w.failed:
			return nil, err
		case r := <-done:
			switch {
			case r.err != nil && leaderless != nil:
				return leaderless, nil
			case r.err != nil:
				return nil, c.requestError(ctx, subject, lost, r.err)
			}
			c.trace("<<< %s%s", subject, traced(r.msg.Data))
			if left == 0 || !isLeaderless(r.msg.Data) {
				return r.msg, nil
			}
			leaderless = r.msg
		}
	}
}

// traced is a payload on a line of its own.
func traced(payload []byte) string {
	if len(payload) == 0 {
		return ""
	}
	return "\n" + string(payload)
}

// requestError sorts the failure of a request; lost says that there was no
// connection when it was made.
func (c *Conn) requestError(ctx context.Context, subject string, lost bool, err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return &Error{Kind: ErrNoResponders, Subject: subject}
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject):
		return &Error{Kind: ErrNotSent, Subject: subject, Description: err.Error()}
	case errors.Is(err, context.Canceled), errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("request to %q: %w", subject, context.Canceled)
	case lost:
		return &Error{Kind: ErrDisconnected, Subject: subject, Description: fmt.Sprintf("it did not come back within %v", c.timeout)}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return &Error{Kind: ErrTimeout, Subject: subject, Description: fmt.Sprintf("waited %v", c.timeout)}
	}
	return &Error{Kind: ErrDisconnected, Subject: subject, Description: err.Error()}
}
