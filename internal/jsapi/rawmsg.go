package jsapi

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go"
)

// maxRawReads is how many messages of a walk are asked for by themselves.
const maxRawReads = 1_000

// unparsed says whether a message has headers that nats.go could not parse. It then
// drops them all.
func unparsed(m *nats.Msg) bool {
	return m.Header == nil && m.Size() > len(m.Subject)+len(m.Reply)+len(m.Data)
}

// readRaw completes a message whose headers could not be parsed. It stays unreadable
// where it is too large, gone, or not to be had by itself.
func (w *Walk) readRaw(m *MsgMeta) error {
	if w.rawReads++; w.rawReads > maxRawReads {
		return w.ctx.Err()
	}
	if !w.opts.Bodies {
		// How large the message is can only be seen on a message with its body.
		body, err := w.api.Walk(w.ctx, WalkOptions{
			Stream: w.opts.Stream, From: m.Seq, To: m.Seq, Bodies: true, DeliverPrefix: w.opts.DeliverPrefix, Filters: w.opts.Filters, asStored: true,
		})
		if err != nil {
			return w.ctx.Err()
		}
		defer body.Close()
		whole, err := body.Next()
		if err != nil {
			return w.ctx.Err()
		}
		m.Size = whole.Size
	}
	if m.Size > w.api.MaxAnswer()/4*3 { // the answer takes a third more
		return nil
	}
	raw, err := w.api.rawMsg(w.ctx, w.opts.Stream, m.Seq)
	if err != nil {
		return w.ctx.Err()
	}
	if w.opts.StripSourceHeader {
		raw.Header.Del(SourceHeader)
	}
	m.Size, m.ControlHeaders, m.Unreadable = len(raw.Data), []byte(controlHeadersOf(raw.Header)), false
	if w.opts.Bodies {
		m.Digest = digest(raw)
	}
	return nil
}

// rawMsg is a message as it is stored.
func (a *API) rawMsg(ctx context.Context, stream string, seq uint64) (*nats.Msg, error) {
	subject := a.prefix + ".STREAM.MSG.GET." + stream
	data, err := a.conn.query(ctx, subject, map[string]uint64{"seq": seq})
	if err != nil {
		return nil, err
	}
	return rawMsgOf(subject, data)
}

// rawMsgOf reads an answer that has to be a message.
func rawMsgOf(subject string, data []byte) (*nats.Msg, error) {
	var r struct {
		Message struct {
			Header []byte `json:"hdrs"`
			Data   []byte `json:"data"`
		} `json:"message"`
	}
	if err := decode(subject, data, &r); err != nil {
		return nil, err
	}
	return &nats.Msg{Header: linesOf(r.Message.Header), Data: r.Message.Data}, nil
}

// linesOf are headers as servers read them, which look for a name at the beginning of
// a line and do not mind what else there is. A line without a colon is a name.
func linesOf(raw []byte) nats.Header {
	header := nats.Header{}
	for i, line := range strings.Split(string(raw), "\r\n") {
		if line == "" || i == 0 && line == "NATS/1.0" {
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		header[name] = append(header[name], strings.TrimLeft(value, " \t"))
	}
	return header
}
