package jsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/stream"
)

const (
	// pollInterval is the pause between two reads of a stream whose write was not
	// answered.
	pollInterval = 100 * time.Millisecond
	// lastRead is what a write is given beyond the timeout to show its outcome.
	lastRead = 800 * time.Millisecond
	// scanTime is what a slow server takes to look at one stored message when
	// per-key TTL is turned on; fast ones take a tenth.
	scanTime = 5 * time.Microsecond
	// maxScan is how long a scan is waited for at the most, whatever number of
	// messages a server says that it has.
	maxScan = 30 * time.Minute
	// readBackDelay is what a server is given to do a write before the stream is
	// read: it answers reads out of turn (seen on 2.15.2), and a write takes it a
	// millisecond or two.
	readBackDelay = 8 * time.Millisecond
)

// What can be wrong with a write whose request did not simply fail. Each such
// failure is a [*WriteError] that wraps one of them.
var (
	// ErrOutcomeUnknown: no answer came, and the stream did not show the write in
	// time.
	ErrOutcomeUnknown = errors.New("the outcome is unknown")
	// ErrNotKept: the server answered OK and dropped a part of what was asked.
	ErrNotKept = errors.New("the server did not keep what was asked")
	// ErrOverwritten: the server confirmed the write, and the stream shows another
	// configuration, or is not there: somebody else has changed it meanwhile, or the
	// server is wrong.
	ErrOverwritten = errors.New("somebody else has changed it meanwhile, or the server is wrong")
)

// WriteError is a write that was sent and is not what it was meant to be.
type WriteError struct {
	Kind    error               // one of the three above
	Stream  string              // the stream's name
	Differs []stream.Difference // what the stream has and what was asked; empty when the stream is not there
	Err     error               // of an unknown outcome: why no answer came, and what was seen
}

// Error is one line.
func (e *WriteError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%v: %v", e.Kind, e.Err)
	}
	return e.Kind.Error()
}

// Unwrap is the kind, and the cause where there is one.
func (e *WriteError) Unwrap() []error { return []error{e.Kind, e.Err} }

// Write is a configuration on its way to a server.
type Write struct {
	Config stream.Raw
	// Fields are those that the write is about; nil means all of Config. What
	// somebody else makes of the others is no failure of the write.
	Fields []string
	// Level is the API level that the configuration needs, 0 for none. Servers from
	// 2.12 on refuse it where theirs is lower (ADR-44).
	Level int
	// Scanned is how many stored messages the server looks at before it answers.
	Scanned uint64
}

// Create creates a stream and returns it as the server has it. It is sent once. A
// write whose answer does not come is followed: the stream is read until it shows
// what was asked for, or until the timeout, and the time that a server may take to
// scan the messages, are over. What was written is read back and compared field by
// field. The end of ctx cannot call a write back; it is followed for one more
// timeout at the most. Errors are [*Error] and [*WriteError]; a stream that was
// written is returned also with an error.
func (a *API) Create(ctx context.Context, w Write) (*stream.Info, error) {
	return a.write(ctx, "CREATE", w)
}

// Update replaces a stream's configuration. It is as [API.Create].
func (a *API) Update(ctx context.Context, w Write) (*stream.Info, error) {
	return a.write(ctx, "UPDATE", w)
}

func (a *API) write(ctx context.Context, verb string, w Write) (*stream.Info, error) {
	config, err := w.Config.Config()
	if err != nil {
		return nil, err
	}
	scan := time.Duration(min(w.Scanned, uint64(maxScan/scanTime))) * scanTime
	deadline := time.Now().Add(a.conn.timeout + lastRead + scan)
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	answer, read, sent := a.sendAndRead(following, verb, config.Name, w)
	switch {
	case sent == nil:
		return a.readBack(ctx, w, answer, read)
	case !OutcomeUnknown(sent):
		return nil, sent
	}

	giveUp := time.AfterFunc(time.Until(deadline), stop)
	defer giveUp.Stop()
	defer context.AfterFunc(ctx, func() { giveUp.Reset(min(time.Until(deadline), a.conn.timeout)) })()
	var seen error
	err = Poll(following, pollInterval, func() (bool, error) {
		found, err := a.Stream(following, config.Name)
		if err == nil && len(w.Config.NotIn(found.Config.Raw())) == 0 {
			answer = found
			return true, nil
		}
		if !errors.Is(err, context.Canceled) {
			seen = err
		}
		return false, nil
	})
	if err != nil {
		return nil, unknownOutcome(config.Name, sent, seen, "the stream does not show the change")
	}
	return answer, nil
}

// unknownOutcome tells why no answer came and what was last seen.
func unknownOutcome(name string, sent, read error, seen string) error {
	switch {
	case errors.Is(read, ErrNotFound):
		seen = "the stream is not there"
	case read != nil:
		seen = "the stream cannot be read: " + read.Error()
	}
	return &WriteError{Kind: ErrOutcomeUnknown, Stream: name, Err: fmt.Errorf("%w; %s", sent, seen)}
}

// readBack makes sure that what was written is there: in the server's answer, and
// in the stream as it was read behind the write, since an answer can be wrong and
// somebody else can have written meanwhile. Where it was not read, or does not show
// the write, because the server did not keep the order, it is read once more; when
// that fails the answer has to do.
func (a *API) readBack(ctx context.Context, w Write, answer, read *stream.Info) (*stream.Info, error) {
	name := answer.Config.Name
	if dropped := w.Config.NotIn(answer.Config.Raw()); len(dropped) > 0 {
		return answer, &WriteError{Kind: ErrNotKept, Stream: name, Differs: stream.Differences(dropped, answer.Config.Raw(), w.Config)}
	}
	if read != nil && len(w.overwritten(read)) == 0 {
		return read, nil
	}
	now, err := a.Stream(context.WithoutCancel(ctx), name)
	switch {
	case errors.Is(err, ErrNotFound):
		return answer, &WriteError{Kind: ErrOverwritten, Stream: name}
	case err != nil:
		return answer, nil
	}
	if fields := w.overwritten(now); len(fields) > 0 {
		return now, &WriteError{Kind: ErrOverwritten, Stream: name, Differs: stream.Differences(fields, now.Config.Raw(), w.Config)}
	}
	return now, nil
}

// overwritten are the fields that the write is about and that are not as written.
func (w Write) overwritten(now *stream.Info) []string {
	fields := w.Config.Diff(now.Config.Raw())
	return slices.DeleteFunc(fields, func(field string) bool {
		if w.Fields == nil {
			_, asked := w.Config[field]
			return !asked
		}
		return !slices.Contains(w.Fields, field)
	})
}

// Delete deletes a stream. It is sent once; one whose answer does not come is
// followed until the stream is seen to be gone. A stream that is not there is no
// error. Errors are [*Error] and [*WriteError].
func (a *API) Delete(ctx context.Context, name string) error {
	deadline := time.Now().Add(a.conn.timeout + lastRead)
	subject := a.prefix + ".STREAM.DELETE." + name
	data, sent := a.conn.request(ctx, subject, nil, nil)
	if sent == nil {
		_, sent = successOf(subject, data)
	}
	switch {
	case sent == nil, errors.Is(sent, ErrNotFound):
		return nil
	case !OutcomeUnknown(sent):
		return sent
	}
	following, stop := context.WithDeadline(ctx, deadline)
	defer stop()
	var seen error
	err := Poll(following, pollInterval, func() (bool, error) {
		_, seen = a.Stream(following, name)
		return errors.Is(seen, ErrNotFound), nil
	})
	if err != nil {
		return unknownOutcome(name, sent, nil, "the stream is not seen to be gone")
	}
	return nil
}

// sendAndRead sends a write and reads the stream behind it, in the same round trip
// if that takes longer than readBackDelay. read is nil when it could not be read. A
// slow server may have been asked before it had written.
func (a *API) sendAndRead(ctx context.Context, verb, name string, w Write) (answer, read *stream.Info, err error) {
	subject := a.prefix + ".STREAM." + verb + "." + name
	data, err := json.Marshal(w.Config)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot encode the request to %q: %w", subject, err)
	}
	write := &nats.Msg{Subject: subject, Data: data}
	if w.Level > 0 {
		write.Header = nats.Header{requiredLevel: []string{strconv.Itoa(w.Level)}}
	}
	answers, err := a.conn.requestBoth(ctx, write, &nats.Msg{Subject: a.InfoSubject(name)})
	if err != nil {
		return nil, nil, err
	}
	if answer, err = a.infoOf(subject, name, answers[0]); err != nil {
		return nil, nil, err
	}
	if len(answers[1]) > 0 {
		read, _ = a.infoOf(a.InfoSubject(name), name, answers[1])
	}
	return answer, read, nil
}

// requestBoth sends two requests, the second when the first is answered or
// readBackDelay is over, and returns both answers. The error is the first one's;
// the second one's answer is nil when there is none, and when the first is refused.
func (c *Conn) requestBoth(ctx context.Context, first, second *nats.Msg) (answers [2][]byte, err error) {
	w, err := c.wait(first.Subject)
	if err != nil {
		return answers, err
	}
	defer c.forget(w)
	deadline, lost := c.deadline()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()

	inbox := c.nc.NewInbox()
	came := make(chan *nats.Msg, 2)
	sub, err := c.nc.ChanSubscribe(inbox+".*", came)
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }()
		first.Reply, second.Reply = inbox+".1", inbox+".2"
		c.trace(">>> %s%s", first.Subject, traced(first.Data))
		err = c.nc.PublishMsg(first)
	}
	if err != nil {
		return answers, c.requestError(ctx, first.Subject, lost, err)
	}
	delay := time.NewTimer(readBackDelay)
	defer delay.Stop()
	for sent := false; answers[0] == nil || answers[1] == nil; {
		select {
		case err := <-w.failed:
			return answers, unlessAnswered(answers, err)
		case <-ctx.Done():
			return answers, unlessAnswered(answers, c.requestError(ctx, first.Subject, lost, ctx.Err()))
		case <-delay.C:
		case m := <-came:
			switch noResponders := len(m.Data) == 0 && m.Header.Get("Status") == "503"; {
			case noResponders && m.Subject == first.Reply:
				return answers, &Error{Kind: ErrNoResponders, Subject: first.Subject}
			case m.Subject == first.Reply:
				c.trace("<<< %s%s", first.Subject, traced(m.Data))
				if answers[0] = m.Data; refusal(m.Data) != nil {
					return answers, nil
				}
			case noResponders:
				answers[1] = []byte{}
			default:
				c.trace("<<< %s%s", second.Subject, traced(m.Data))
				answers[1] = m.Data
			}
		}
		if sent {
			continue
		}
		sent = true
		c.trace(">>> %s", second.Subject)
		if err := c.nc.PublishMsg(second); err != nil {
			return answers, unlessAnswered(answers, c.requestError(ctx, first.Subject, lost, err))
		}
	}
	return answers, nil
}

// unlessAnswered is nil when the first request was answered: then only the second
// has failed.
func unlessAnswered(answers [2][]byte, err error) error {
	if answers[0] != nil {
		return nil
	}
	return err
}
