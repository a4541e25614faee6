package jsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Headers of the answer to a direct get (ADR-31). They follow those of the message.
const (
	streamHeader   = "Nats-Stream"
	subjectHeader  = "Nats-Subject"
	sequenceHeader = "Nats-Sequence"
	timeHeader     = "Nats-Time-Stamp"
)

// GetMeta reads a single message by a direct get, without a digest. With no such message
// it returns an error that wraps [ErrNotFound]. Mirrors of a stream answer in its name as
// well: that is an error. A replica of the stream may answer that is behind.
func (a *API) GetMeta(ctx context.Context, stream string, seq uint64) (*MsgMeta, error) {
	subject := a.prefix + ".DIRECT.GET." + stream
	data, err := json.Marshal(map[string]uint64{"seq": seq})
	if err != nil {
		return nil, err
	}
	w, err := a.conn.wait(subject)
	if err != nil {
		return nil, err
	}
	defer a.conn.forget(w)
	deadline, lost := a.conn.deadline()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	type result struct {
		msg *nats.Msg
		err error
	}
	done := make(chan result, 1)
	a.conn.trace(">>> %s%s", subject, traced(data))
	go func() {
		m, err := a.conn.nc.RequestWithContext(ctx, subject, data)
		done <- result{m, err}
	}()
	select {
	case err := <-w.failed:
		return nil, err
	case r := <-done:
		if r.err != nil {
			return nil, a.conn.requestError(ctx, subject, lost, r.err)
		}
		a.conn.trace("<<< %s %d", subject, seq)
		return metaOf(subject, stream, seq, r.msg)
	}
}

// metaOf reads an answer that has to be the message of a stream with a sequence.
func metaOf(subject, stream string, seq uint64, m *nats.Msg) (*MsgMeta, error) {
	last := func(name string) string {
		values := m.Header[name]
		if len(values) == 0 {
			return ""
		}
		return values[len(values)-1]
	}
	malformed := func(format string, a ...any) error {
		return &Error{Kind: ErrMalformed, Subject: subject, Description: fmt.Sprintf(format, a...)}
	}
	// A message may have a header "Status" as well.
	if status := last("Status"); status != "" && last(sequenceHeader) == "" {
		kind := ErrRejected
		if status == "404" {
			kind = ErrNotFound
		}
		return nil, &Error{Kind: kind, Subject: subject, Description: last("Description")}
	}
	stored, err := time.Parse(time.RFC3339Nano, last(timeHeader))
	switch {
	case unparsed(m):
		return nil, malformed("its headers cannot be read")
	case last(streamHeader) != stream:
		return nil, malformed("stream %q answers", last(streamHeader))
	case last(sequenceHeader) != strconv.FormatUint(seq, 10):
		return nil, malformed("it is message %q", last(sequenceHeader))
	case err != nil:
		return nil, malformed("%v", err)
	}
	return &MsgMeta{
		Seq: seq, Time: stored.UnixNano(), Size: len(m.Data), Subject: []byte(last(subjectHeader)), ControlHeaders: []byte(controlHeadersOf(m.Header)),
	}, nil
}
