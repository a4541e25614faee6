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

// MsgMeta is what a [Walk] tells of a message: all but its body.
type MsgMeta struct {
	Seq  uint64
	Time int64 // when it was stored, nanoseconds since 1970; a mirror's are its origin's
	Size int   // of the body, bytes
	// Source is the sequence of the message that this one was made from; 0 unless
	// [WalkOptions] has Sourced.
	Source uint64
	// Subject, Decisive and Digest are valid until the next message is read.
	Subject []byte
	// ControlHeaders are the headers that decide what becomes of the message or of
	// those before it, as "Nats-TTL: 5s\n"; mostly there are none.
	ControlHeaders []byte
	// Digest is of the body and of all headers; nil unless bodies were asked for.
	Digest []byte
}

// Headers that decide what becomes of a message (ADR-8, ADR-43).
const (
	TTLHeader       = "Nats-TTL"
	operationHeader = "KV-Operation"
	rollupHeader    = "Nats-Rollup"
	markerHeader    = "Nats-Marker-Reason"
	sizeHeader      = "Nats-Msg-Size"
)

// SourceHeader names the message that a sourced one was made from: its stream,
// its sequence, and more (server/stream.go, genSourceHeader).
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

// Header is the value of a decisive header, "" when the message has none.
func (h *MsgMeta) Header(name string) string {
	for line := range strings.Lines(string(h.ControlHeaders)) {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSuffix(value, "\n")
		}
	}
	return ""
}

// headBuffer holds heads one after the other, in some 40 bytes each: a hundred
// thousand of them wait to be read while the other side is slower.
type headBuffer struct {
	data []byte
	n    int
	seq  uint64 // of the last one
	time int64
}

// maxKept is how large a buffer may be to be used again.
const maxKept = 4 << 20

// emptied is an empty buffer, with the memory of this one unless it is large.
func (b headBuffer) emptied() headBuffer {
	if cap(b.data) > maxKept {
		return headBuffer{}
	}
	return headBuffer{data: b.data[:0]}
}

var (
	errNoSize   = errors.New("a message without its body does not say its size")
	errNoSource = errors.New("a message does not say what it was made from")
)

// add appends a message.
func (b *headBuffer) add(seq uint64, time int64, m *nats.Msg, bodies, sourced bool) error {
	var source uint64
	if sourced {
		var ok bool
		if source, ok = SourceSeq(m.Header.Get(SourceHeader)); !ok {
			return fmt.Errorf("message %d: %w", seq, errNoSource)
		}
		m.Header.Del(SourceHeader) // it is not the source's
	}
	size := len(m.Data)
	if !bodies {
		// The server's is the last: the message may have one of its own, as
		// those have that were republished without their bodies.
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
	b.data = binary.AppendUvarint(b.data, uint64(size))
	b.data = binary.AppendUvarint(b.data, uint64(len(m.Subject)))
	b.data = append(b.data, m.Subject...)
	decisive := ""
	if bodies && len(m.Header) > 0 || len(m.Header) > 1 { // one is the size
		decisive = decisiveOf(m.Header)
	}
	b.data = binary.AppendUvarint(b.data, uint64(len(decisive)))
	b.data = append(b.data, decisive...)
	if bodies {
		b.data = append(b.data, sha256.Size)
		b.data = append(b.data, digest(m)...)
	} else {
		b.data = append(b.data, 0)
	}
	b.n++
	b.seq, b.time = seq, time
	return nil
}

func decisiveOf(header nats.Header) string {
	var lines string
	for _, name := range []string{TTLHeader, operationHeader, rollupHeader, markerHeader} {
		if values, ok := header[name]; ok && len(values) > 0 {
			lines += name + ": " + values[0] + "\n"
		}
	}
	return lines
}

// headReader reads a buffer from its beginning.
type headReader struct {
	buf  *headBuffer
	at   int // in the data
	read int // how many heads
	head MsgMeta
}

// next is the next head; nil after the last.
func (r *headReader) next() *MsgMeta {
	if r.buf == nil || r.read == r.buf.n {
		return nil
	}
	r.read++
	seq := r.uvarint()
	time, n := binary.Varint(r.buf.data[r.at:])
	r.at += n
	r.head.Seq += seq
	r.head.Time += time
	r.head.Source = r.uvarint()
	r.head.Size = int(r.uvarint())
	r.head.Subject = r.bytes(r.uvarint())
	r.head.ControlHeaders = r.bytes(r.uvarint())
	r.head.Digest = r.bytes(r.uvarint())
	return &r.head
}

func (r *headReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.buf.data[r.at:])
	r.at += n
	return v
}

// bytes is nil when there are none.
func (r *headReader) bytes(n uint64) []byte {
	if n == 0 {
		return nil
	}
	b := r.buf.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}
