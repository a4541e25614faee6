package content

import (
	"encoding/binary"
	"math"

	"nats-kvmirror/internal/jsapi"
)

// seqSet is a set of sequences, which are added in rising order. It takes one to
// three bytes for each.
type seqSet struct {
	data []byte
	last uint64
	n    int
}

func (s *seqSet) add(seq uint64) {
	s.data = binary.AppendUvarint(s.data, seq-s.last)
	s.last = seq
	s.n++
}

// seqReader reads a seqSet. has must be called with rising sequences.
type seqReader struct {
	data []byte
	seq  uint64
}

func (s *seqSet) reader() *seqReader { return &seqReader{data: s.data} }

// next is the next sequence; ok is false after the last.
func (r *seqReader) next() (seq uint64, ok bool) {
	if len(r.data) == 0 {
		return 0, false
	}
	delta, n := binary.Uvarint(r.data)
	r.data = r.data[n:]
	r.seq += delta
	return r.seq, true
}

// has says whether a sequence is in the set.
func (r *seqReader) has(seq uint64) bool {
	for r.seq < seq {
		if _, ok := r.next(); !ok {
			return false
		}
	}
	return r.seq == seq
}

// within are the sequences of a range.
func (s *seqSet) within(in jsapi.Range) []uint64 {
	var seqs []uint64
	for r := s.reader(); ; {
		seq, ok := r.next()
		if !ok || seq > in.To {
			return seqs
		}
		if seq >= in.From {
			seqs = append(seqs, seq)
		}
	}
}

// toEnd is the end of a range that ends where there is nothing more.
const toEnd = math.MaxUint64

// farApart is the distance from which on two sequences are read by two consumers:
// below it, reading on costs less than another consumer.
const farApart = 20_000

// part is a range that covers some sequences of a set, and how many these are.
type part struct {
	jsapi.Range
	n int
}

// parts covers the sequences of the set.
func (s *seqSet) parts() []part {
	var parts []part
	r := s.reader()
	for {
		seq, ok := r.next()
		if !ok {
			return parts
		}
		if n := len(parts); n > 0 && seq-parts[n-1].To < farApart {
			parts[n-1].To = seq
			parts[n-1].n++
		} else {
			parts = append(parts, part{jsapi.Range{From: seq, To: seq}, 1})
		}
	}
}
