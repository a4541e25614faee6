package jsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/kvcfg"
)

// Written is what became of a write.
type Written struct {
	// Answer is the stream as the server's answer to the write has it.
	Answer *Stream
	// Read is the stream as it was read behind the write; nil when it could not
	// be. A slow server may have been asked before it had written.
	Read *Stream
}

// headway is what a server is given to do a write before it is asked how the
// stream is: it answers such questions out of turn (seen on 2.15.2), and a write
// takes it a millisecond or two.
const headway = 8 * time.Millisecond

// UpdateAndRead is Update, and reads the stream behind it, in the same round trip
// if that takes longer than headway.
func (a *API) UpdateAndRead(ctx context.Context, name string, config kvcfg.Raw, level int) (Written, error) {
	return a.writeAndRead(ctx, a.prefix+".STREAM.UPDATE."+name, name, config, level)
}

// CreateAndRead is Create, and reads the stream as UpdateAndRead does.
func (a *API) CreateAndRead(ctx context.Context, name string, config kvcfg.Raw, level int) (Written, error) {
	return a.writeAndRead(ctx, a.prefix+".STREAM.CREATE."+name, name, config, level)
}

func (a *API) writeAndRead(ctx context.Context, subject, name string, config kvcfg.Raw, level int) (Written, error) {
	data, err := json.Marshal(config)
	if err != nil {
		return Written{}, fmt.Errorf("cannot encode the request to %q: %w", subject, err)
	}
	write := &nats.Msg{Subject: subject, Header: levelHeader(level), Data: data}
	answers, err := a.conn.requestBehind(ctx, write, &nats.Msg{Subject: a.InfoSubject(name)})
	if err != nil {
		return Written{}, err
	}
	var w Written
	if w.Answer, err = streamOf(subject, name, answers[0]); err != nil {
		return Written{}, err
	}
	if len(answers[1]) > 0 {
		w.Read, _ = streamOf(a.InfoSubject(name), name, answers[1])
	}
	return w, nil
}

// requestBehind sends two requests, the second when the first is answered or has
// some headway, and returns both answers. The error is the first one's; the
// second one's answer is nil when there is none, and when the first is refused.
func (c *Conn) requestBehind(ctx context.Context, first, second *nats.Msg) (answers [2][]byte, err error) {
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
	ahead := time.NewTimer(headway)
	defer ahead.Stop()
	for sent := false; answers[0] == nil || answers[1] == nil; {
		select {
		case err := <-w.failed:
			return answers, orAnswered(answers, err)
		case <-ctx.Done():
			return answers, orAnswered(answers, c.requestError(ctx, first.Subject, lost, ctx.Err()))
		case <-ahead.C:
		case m := <-came:
			switch nobody := len(m.Data) == 0 && m.Header.Get("Status") == "503"; {
			case nobody && m.Subject == first.Reply:
				return answers, &Error{Kind: ErrNoResponders, Subject: first.Subject}
			case m.Subject == first.Reply:
				c.trace("<<< %s%s", first.Subject, traced(m.Data))
				if answers[0] = m.Data; isError(m.Data) {
					return answers, nil
				}
			case nobody:
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
			return answers, orAnswered(answers, c.requestError(ctx, first.Subject, lost, err))
		}
	}
	return answers, nil
}

// orAnswered is nil when the first request was answered: then only the second
// has failed.
func orAnswered(answers [2][]byte, err error) error {
	if answers[0] != nil {
		return nil
	}
	return err
}

// isError says whether an answer is the refusal of a request.
func isError(answer []byte) bool { return refusal(answer) != nil }
