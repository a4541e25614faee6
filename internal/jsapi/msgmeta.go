package jsapi

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// MsgMeta is what a [Walk] returns of a message: all but its body.
type MsgMeta struct {
	Seq  uint64
	Time int64 // when it was stored, nanoseconds since 1970; a mirror keeps its origin's
	Size int   // of the body, bytes
	// Source is the sequence of the message that this one was sourced from; 0 unless
	// [WalkOptions] has ReadSourceSeq.
	Source uint64
	// Subject, ControlHeaders and Digest are valid until the next message is read.
	Subject []byte
	// ControlHeaders are the headers that decide what a server does with the message
	// or with those before it, as "Nats-TTL: 5s\n"; most messages have none.
	ControlHeaders []byte
	// Digest is of the body and of all headers; nil unless bodies were asked for.
	Digest []byte
	// Unreadable says that the headers could not be read. The size is then that of the
	// headers and of what came of the body.
	Unreadable bool
}

// Headers that decide what a server does with a message (ADR-8, ADR-43).
const (
	TTLHeader       = "Nats-TTL"
	operationHeader = "KV-Operation"
	rollupHeader    = "Nats-Rollup"
	markerHeader    = "Nats-Marker-Reason"
	sizeHeader      = "Nats-Msg-Size"
)

// SourceHeader names the message that another was sourced from: its stream, its
// sequence, and more (server/stream.go, genSourceHeader).
const SourceHeader = "Nats-Stream-Source"

// SourceSeq is the sequence in a [SourceHeader]; ok is false when there is none.
func SourceSeq(header string) (seq uint64, ok bool) {
	fields := strings.Fields(header)
	if len(fields) < 2 {
		return 0, false
	}
	seq, err := strconv.ParseUint(fields[1], 10, 64)
	return seq, err == nil && seq > 0
}

// Header is the value of a control header; "" when the message does not have it.
func (m *MsgMeta) Header(name string) string {
	for line := range strings.Lines(string(m.ControlHeaders)) {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSuffix(value, "\n")
		}
	}
	return ""
}

// metaBuffer holds messages one after the other, in some 40 bytes each: a hundred
// thousand of them wait to be read while the other side is slower.
type metaBuffer struct {
	data []byte
	n    int
	seq  uint64 // of the last one
	time int64
}

// maxReused is how large a buffer may be to be used again.
const maxReused = 4 << 20

// emptied is an empty buffer with the memory of this one, unless that is large.
func (b metaBuffer) emptied() metaBuffer {
	if cap(b.data) > maxReused {
		return metaBuffer{}
	}
	return metaBuffer{data: b.data[:0]}
}

var (
	errNoSize   = errors.New("a message without its body does not say its size")
	errNoSource = errors.New("a message does not say what it was sourced from")
)

// add appends a message.
func (b *metaBuffer) add(seq uint64, time int64, m *nats.Msg, bodies, readSource bool) error {
	var source uint64
	if readSource {
		var ok bool
		if source, ok = SourceSeq(m.Header.Get(SourceHeader)); !ok {
			return fmt.Errorf("message %d: %w", seq, errNoSource)
		}
		m.Header.Del(SourceHeader) // the source does not have it
	}
	size, unreadable := len(m.Data), uint64(0)
	switch {
	case unparsed(m):
		size, unreadable = m.Size()-len(m.Subject)-len(m.Reply), 1
	case !bodies:
		// The server's is the last: the message may have one of its own, if it was
		// republished without its body.
		values := m.Header[sizeHeader]
		if len(values) == 0 {
			return fmt.Errorf("message %d: %w", seq, errNoSize)
		}
		n, err := strconv.Atoi(values[len(values)-1])
		if err != nil || n < 0 {
			return fmt.Errorf("message %d: %w", seq, errNoSize)
		}
		size = n
	}
	b.data = binary.AppendUvarint(b.data, seq-b.seq)
	b.data = binary.AppendVarint(b.data, time-b.time)
	b.data = binary.AppendUvarint(b.data, source)
	b.data = binary.AppendUvarint(b.data, uint64(size)<<1|unreadable)
	b.data = binary.AppendUvarint(b.data, uint64(len(m.Subject)))
	b.data = append(b.data, m.Subject...)
	control := ""
	if bodies && len(m.Header) > 0 || len(m.Header) > 1 { // one is the size
		control = controlHeadersOf(m.Header)
	}
	b.data = binary.AppendUvarint(b.data, uint64(len(control)))
	b.data = append(b.data, control...)
	if bodies && unreadable == 0 {
		b.data = append(b.data, sha256.Size)
		b.data = append(b.data, digest(m)...)
	} else {
		b.data = append(b.data, 0)
	}
	b.n++
	b.seq, b.time = seq, time
	return nil
}

func controlHeadersOf(header nats.Header) string {
	var lines string
	for _, name := range []string{TTLHeader, operationHeader, rollupHeader, markerHeader} {
		if values, ok := header[name]; ok && len(values) > 0 {
			lines += name + ": " + values[0] + "\n"
		}
	}
	return lines
}

// metaReader reads a buffer from the start.
type metaReader struct {
	buf     *metaBuffer
	at      int // in the data
	read    int // how many messages
	current MsgMeta
}

// next is the next message; nil after the last.
func (r *metaReader) next() *MsgMeta {
	if r.buf == nil || r.read == r.buf.n {
		return nil
	}
	r.read++
	seq := r.uvarint()
	time, n := binary.Varint(r.buf.data[r.at:])
	r.at += n
	r.current.Seq += seq
	r.current.Time += time
	r.current.Source = r.uvarint()
	size := r.uvarint()
	r.current.Size, r.current.Unreadable = int(size>>1), size&1 == 1
	r.current.Subject = r.bytes(r.uvarint())
	r.current.ControlHeaders = r.bytes(r.uvarint())
	r.current.Digest = r.bytes(r.uvarint())
	return &r.current
}

func (r *metaReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.buf.data[r.at:])
	r.at += n
	return v
}

// bytes are the next n bytes; nil for none.
func (r *metaReader) bytes(n uint64) []byte {
	if n == 0 {
		return nil
	}
	b := r.buf.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}
