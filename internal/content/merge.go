// Package content compares what a mirror and its origin hold, message by
// message. A mirror keeps its origin's sequence numbers, so both can be read in
// their order and merged as they stream by, in memory that does not grow with
// the number of messages.
package content

import (
	"bytes"
	"errors"
	"io"

	"nats-kvmirror/internal/jsapi"
)

// Messages are the messages of one side, by rising sequence; Next returns io.EOF
// after the last.
type Messages interface {
	Next() (*jsapi.MsgMeta, error)
}

// pair is what stands at one sequence: on both sides, or on one, the other being
// nil.
type pair struct{ mirror, origin *jsapi.MsgMeta }

// merge is Merge in pairs.
func merge(mirror, origin Messages, visit func(pair) error) error {
	return Merge(mirror, origin, func(m, o *jsapi.MsgMeta) error { return visit(pair{m, o}) })
}

// Merge calls visit for each sequence at which either side holds a message, which
// is nil for a side that does not. An error of visit ends it.
func Merge(mirror, origin Messages, visit func(mirror, origin *jsapi.MsgMeta) error) error {
	m, err := next(mirror)
	if err != nil {
		return err
	}
	o, err := next(origin)
	if err != nil {
		return err
	}
	for m != nil || o != nil {
		p := pair{m, o}
		switch {
		case o == nil || m != nil && m.Seq < o.Seq:
			p.origin = nil
		case m == nil || o.Seq < m.Seq:
			p.mirror = nil
		}
		if err := visit(p.mirror, p.origin); err != nil {
			return err
		}
		if p.mirror != nil {
			if m, err = next(mirror); err != nil {
				return err
			}
		}
		if p.origin != nil {
			if o, err = next(origin); err != nil {
				return err
			}
		}
	}
	return nil
}

// next is nil after the last.
func next(heads Messages) (*jsapi.MsgMeta, error) {
	h, err := heads.Next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return h, err
}

// unlike says in what two messages of the same sequence differ; "" when in
// nothing. rename makes of an origin's subject the mirror's; nil leaves it. Only
// a digest that both have is compared.
func unlike(p pair, rename func(string) string) string {
	m, o := p.mirror, p.origin
	switch {
	case rename == nil && !bytes.Equal(m.Subject, o.Subject), rename != nil && rename(string(o.Subject)) != string(m.Subject):
		return "subject"
	case m.Time != o.Time:
		return "time"
	case m.Size != o.Size:
		return "size"
	case !bytes.Equal(m.ControlHeaders, o.ControlHeaders):
		return "headers"
	case m.Digest != nil && o.Digest != nil && !bytes.Equal(m.Digest, o.Digest):
		return "payload"
	}
	return ""
}
