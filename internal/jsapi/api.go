package jsapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/stream"
)

// requiredLevel makes servers from 2.12 on refuse a request that needs a higher
// API level than theirs (ADR-44); older ones ignore it.
const requiredLevel = "Nats-Required-Api-Level"

// API is the JetStream API behind one prefix.
type API struct {
	conn     *Conn
	prefix   string
	imported bool // the prefix is an import, also if it looks like a domain's
}

// Prefix is the prefix of all subjects of the API.
func (a *API) Prefix() string { return a.prefix }

// InfoSubject is the subject on which a stream's information is asked for.
func (a *API) InfoSubject(stream string) string { return a.prefix + ".STREAM.INFO." + stream }

// Stream reads a stream.
func (a *API) Stream(ctx context.Context, name string) (*stream.Info, error) {
	subject := a.InfoSubject(name)
	data, err := a.conn.query(ctx, subject, nil)
	if err != nil {
		return nil, err
	}
	return a.infoOf(subject, name, data)
}

// FirstSubject is the subject of a stream's first message. With none it returns
// an error that wraps [ErrNotFound].
func (a *API) FirstSubject(ctx context.Context, stream string) (string, error) {
	_, subject, err := a.next(ctx, stream, 1, nil)
	return subject, err
}

// next is the sequence and the subject of the first message at or after from whose
// subject matches one of the filters; none means all. Without such a message it returns
// an error that wraps [ErrNotFound].
func (a *API) next(ctx context.Context, stream string, from uint64, filters []string) (seq uint64, of string, err error) {
	if a.mayCrossLeafnode() {
		return a.nextBare(ctx, stream, from, filters)
	}
	if len(filters) == 0 {
		filters = []string{">"}
	}
	for _, filter := range filters {
		s, o, e := a.nextOf(ctx, stream, from, filter)
		switch {
		case errors.Is(e, ErrNotFound):
			err = e
		case e != nil:
			return 0, "", e
		case seq == 0 || s < seq:
			seq, of = s, o
		}
	}
	if seq == 0 {
		return 0, "", err
	}
	return seq, of, nil
}

// nextOf is next with one filter, by a request whose answer has the whole message.
func (a *API) nextOf(ctx context.Context, stream string, from uint64, filter string) (seq uint64, of string, err error) {
	body := struct {
		Seq    uint64 `json:"seq"`
		Filter string `json:"next_by_subj"`
	}{from, filter}
	subject := a.prefix + ".STREAM.MSG.GET." + stream
	data, err := a.conn.query(ctx, subject, body)
	if err != nil {
		return 0, "", err
	}
	return messageOf(subject, from, data)
}

// messageOf reads an answer that has to be a message at or after from.
func messageOf(subject string, from uint64, data []byte) (seq uint64, of string, err error) {
	var r struct {
		Message struct {
			Seq     uint64 `json:"seq"`
			Subject string `json:"subject"`
		} `json:"message"`
	}
	if err := decode(subject, data, &r); err != nil {
		return 0, "", err
	}
	if r.Message.Seq < from {
		return 0, "", &Error{Kind: ErrMalformed, Subject: subject, Description: fmt.Sprintf("message %d is before %d", r.Message.Seq, from)}
	}
	return r.Message.Seq, r.Message.Subject, nil
}

// NextPending is the sequence of the first message after a sequence that a mirror with
// these filters (none means all keys) still has to take; 0 when there is none,
// because those between have expired or are not for it.
func (a *API) NextPending(ctx context.Context, stream string, after uint64, filters []string) (uint64, error) {
	seq, _, err := a.next(ctx, stream, after+1, filters)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return seq, err
}

// CaughtUp says that a mirror has taken all that its origin, a stream of this API,
// holds up to a sequence. That it cannot be found out is a no. A message that came
// after that sequence may have replaced one before it, so a mirror to which anything
// is pending has to come to the sequence itself: it soon does, unless it has stopped.
func (a *API) CaughtUp(ctx context.Context, origin string, mirror *stream.Info, to uint64) bool {
	if mirror.State.LastSeq >= to {
		return true
	}
	next, err := a.NextPending(ctx, origin, mirror.State.LastSeq, mirror.Config.Filters())
	return err == nil && next == 0
}

// Purge removes the messages of a stream with a subject and a sequence below
// before, and returns how many there were. What comes meanwhile has a higher
// sequence and stays.
func (a *API) Purge(ctx context.Context, stream, subject string, before uint64) (uint64, error) {
	body := struct {
		Subject string `json:"filter"`
		Before  uint64 `json:"seq"`
	}{subject, before}
	to := a.prefix + ".STREAM.PURGE." + stream
	data, err := a.conn.request(ctx, to, nil, body)
	if err != nil {
		return 0, err
	}
	return successOf(to, data)
}

// successOf reads an answer that has to be a success, of a purge with its number of
// messages.
func successOf(subject string, data []byte) (purged uint64, err error) {
	var r struct {
		Success bool   `json:"success"`
		Purged  uint64 `json:"purged"`
	}
	if err := decode(subject, data, &r); err != nil {
		return 0, err
	}
	if !r.Success {
		return 0, &Error{Kind: ErrMalformed, Subject: subject, Description: "it is no success and no failure"}
	}
	return r.Purged, nil
}

// LastHeader is a header of a stream's last message, "" when that has none. With
// no message it returns an error that wraps [ErrNotFound].
func (a *API) LastHeader(ctx context.Context, stream, name string) (string, error) {
	if a.mayCrossLeafnode() {
		return a.lastHeaderBare(ctx, stream, name)
	}
	subject := a.prefix + ".STREAM.MSG.GET." + stream
	data, err := a.conn.query(ctx, subject, map[string]string{"last_by_subj": ">"})
	if err != nil {
		return "", err
	}
	return headerOf(subject, name, data)
}

// headerOf reads a header of an answer that has to be a message.
func headerOf(subject, name string, data []byte) (string, error) {
	var r struct {
		Message struct {
			Header string `json:"hdrs"`
		} `json:"message"`
	}
	if err := decode(subject, data, &r); err != nil {
		return "", err
	}
	lines, err := base64.StdEncoding.DecodeString(r.Message.Header)
	if err != nil || len(lines) == 0 {
		return "", nil
	}
	header, err := nats.DecodeHeadersMsg(lines)
	if err != nil {
		return "", &Error{Kind: ErrMalformed, Subject: subject, Description: err.Error()}
	}
	return header.Get(name), nil
}

// infoOf reads an answer that has to be about the stream of this name.
func (a *API) infoOf(subject, name string, data []byte) (*stream.Info, error) {
	if err := failureOf(subject, data); err != nil {
		return nil, err
	}
	s, err := stream.Parse(data)
	if err == nil && s.Config.Name != name {
		err = fmt.Errorf("it is about the stream %q", s.Config.Name)
	}
	if err != nil {
		return nil, &Error{Kind: ErrMalformed, Subject: subject, Description: err.Error()}
	}
	s.Prefix, s.Size = a.prefix, len(data)
	return s, nil
}

// call makes a request and decodes its answer into reply.
func (a *API) call(ctx context.Context, subject string, body, reply any) error {
	data, err := a.conn.request(ctx, subject, nil, body)
	if err != nil {
		return err
	}
	return decode(subject, data, reply)
}

// decode reads an answer, which is either an error or the reply.
func decode(subject string, data []byte, reply any) error {
	if err := failureOf(subject, data); err != nil {
		return err
	}
	return unmarshal(subject, data, reply)
}

// failureOf is the error that an answer is; nil when it is a reply.
func failureOf(subject string, data []byte) error {
	var e envelope
	if err := unmarshal(subject, data, &e); err != nil {
		return err
	}
	return e.failure(subject)
}

// envelope is what each answer has.
type envelope struct {
	Type  string    `json:"type"`
	Error *apiError `json:"error"`
}

// failure is failureOf of an answer that was read.
func (e envelope) failure(subject string) error {
	malformed := func(why string) error {
		return &Error{Kind: ErrMalformed, Subject: subject, Description: why}
	}
	switch {
	case e.Error != nil && e.Error.Code == 0 && e.Error.ErrCode == 0:
		return malformed("it has an error without a code")
	case e.Error != nil:
		return e.Error.sorted(subject)
	case e.Type == "":
		return malformed("it has no type")
	}
	return nil
}

// unmarshal reads JSON.
func unmarshal(subject string, data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return &Error{Kind: ErrMalformed, Subject: subject, Description: err.Error()}
	}
	return nil
}
