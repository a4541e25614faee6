package jsapi

import (
	"context"
	"errors"
	"fmt"
	"math"
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

// maxAnswerHeaders is more than a direct get adds to a message.
const maxAnswerHeaders = 1 << 10

// GetMeta reads a single message, without a digest. With no such message it returns an
// error that wraps [ErrNotFound], which a replica of the stream that is behind may do as
// well. size is how large its body is expected to be; -1 when that is not known.
//
// It is a direct get, unless the answer may be too large for a leafnode between, or a
// mirror of the stream answers in its name. Then it is a consumer of one message, which
// takes some 20 ms of the server where a stream has a million messages.
func (a *API) GetMeta(ctx context.Context, stream string, seq uint64, size int) (*MsgMeta, error) {
	limit := a.MaxAnswer()
	if limit == math.MaxInt || size >= 0 && size < limit-maxAnswerHeaders {
		m, err := a.directGet(ctx, stream, seq)
		if !errors.Is(err, ErrMalformed) {
			return m, err
		}
	}
	return a.bareMeta(ctx, stream, seq)
}

// bareMeta reads a message by a consumer of its own.
func (a *API) bareMeta(ctx context.Context, stream string, seq uint64) (*MsgMeta, error) {
	m, _, err := a.bare(ctx, stream, newOnce("by_start_sequence", seq, nil))
	if err != nil {
		return nil, err
	}
	malformed := func(err error) error {
		return &Error{Kind: ErrMalformed, Subject: m.Subject, Description: err.Error()}
	}
	if m == nil {
		return nil, a.noMessage(stream)
	}
	meta, err := m.Metadata()
	if err != nil {
		return nil, malformed(err)
	}
	if meta.Sequence.Stream != seq {
		return nil, a.noMessage(stream)
	}
	var buf metaBuffer
	if err := buf.add(seq, meta.Timestamp.UnixNano(), m, false, false); err != nil {
		return nil, malformed(err)
	}
	reader := metaReader{buf: &buf}
	return reader.next(), nil
}

// directGet reads a message by a direct get (ADR-31).
func (a *API) directGet(ctx context.Context, stream string, seq uint64) (*MsgMeta, error) {
	subject := a.prefix + ".DIRECT.GET." + stream
	m, err := a.conn.send(ctx, subject, nil, map[string]uint64{"seq": seq}, 1)
	if err != nil {
		return nil, err
	}
	return metaOf(subject, stream, seq, m)
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
