package content

import "encoding/binary"

// trace remembers sequences, which are added in rising order, in one to three
// bytes each.
type trace struct {
	data []byte
	last uint64
	n    int
}

func (t *trace) add(seq uint64) {
	t.data = binary.AppendUvarint(t.data, seq-t.last)
	t.last = seq
	t.n++
}

// reader goes through a trace; has must be asked in rising order.
type reader struct {
	data []byte
	seq  uint64
}

func (t *trace) reader() *reader { return &reader{data: t.data} }

// next is the next sequence; ok is false after the last.
func (r *reader) next() (seq uint64, ok bool) {
	if len(r.data) == 0 {
		return 0, false
	}
	delta, n := binary.Uvarint(r.data)
	r.data = r.data[n:]
	r.seq += delta
	return r.seq, true
}

// has says whether a sequence is in the trace.
func (r *reader) has(seq uint64) bool {
	for r.seq < seq {
		if _, ok := r.next(); !ok {
			return false
		}
	}
	return r.seq == seq
}

// Range is a range of sequences, both ends in it.
type Range struct{ From, To uint64 }

// farApart is from which distance on two sequences are read apart: reading on
// costs less than another consumer.
const farApart = 20_000

// ranges covers the sequences of a trace.
func (t *trace) ranges() []Range {
	var ranges []Range
	r := t.reader()
	for {
		seq, ok := r.next()
		if !ok {
			return ranges
		}
		if n := len(ranges); n > 0 && seq-ranges[n-1].To < farApart {
			ranges[n-1].To = seq
		} else {
			ranges = append(ranges, Range{seq, seq})
		}
	}
}
