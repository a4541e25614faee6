// Package content compares a mirror with its origin, message by message. A mirror
// keeps its origin's sequence numbers, so both streams can be read in order and
// merged on the way, in memory that does not grow with the number of messages.
package content

import (
	"bytes"
	"errors"
	"io"

	"nats-kvmirror/internal/jsapi"
)

// Messages are the messages of one side, by rising sequence. Next returns io.EOF
// after the last.
type Messages interface {
	Next() (*jsapi.MsgMeta, error)
}

// pair are the messages with one sequence. One of them is nil where only the other
// side has one.
type pair struct{ mirror, origin *jsapi.MsgMeta }

func (p pair) seq() uint64 {
	if p.mirror != nil {
		return p.mirror.Seq
	}
	return p.origin.Seq
}

// merge is [Merge] with pairs.
func merge(mirror, origin Messages, visit func(pair) error) error {
	return Merge(mirror, origin, func(m, o *jsapi.MsgMeta) error { return visit(pair{m, o}) })
}

// Merge calls visit for each sequence that either side has. The message is nil for
// a side that does not have it. An error of visit ends the merge.
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

// next is nil after the last message.
func next(messages Messages) (*jsapi.MsgMeta, error) {
	m, err := messages.Next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return m, err
}

// difference names what differs between two messages of one sequence; "" for
// nothing. rename turns an origin's subject into the mirror's; nil leaves it.
// Digests are compared only where both have one.
func difference(p pair, rename func(string) string) string {
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
