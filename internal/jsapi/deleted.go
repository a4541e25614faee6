package jsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"nats-kvmirror/internal/stream"
)

// ErrNoSequences is returned where the sequences of a stream's messages cannot be had
// without reading them: the answer may be too large, or it is not as it should be.
var ErrNoSequences = errors.New("the sequences cannot be had without reading the messages")

// maxDeletedList is how many bytes a list of deleted sequences may have where no leafnode
// is between: the answer is held in memory, and a walk would not take much longer.
const maxDeletedList = 16 << 20

// Range is a range of sequences, From and To included.
type Range struct{ From, To uint64 }

// Sequences are the sequences of all messages that a stream held at one instant.
type Sequences struct {
	first, last uint64 // first is last+1 when there is none
	deleted     []uint64
}

// Sequences reads a stream's sequences and, of the same instant, its information. known
// is the state as it was just read: a stream of many deletions is not asked, see
// [API.MaxAnswer], and the error wraps [ErrNoSequences]. The question is put once.
func (a *API) Sequences(ctx context.Context, name string, known stream.State) (*stream.Info, *Sequences, error) {
	if !a.listable(known) {
		return nil, nil, fmt.Errorf("%w: %d are deleted", ErrNoSequences, known.Deleted)
	}
	subject := a.InfoSubject(name)
	data, err := a.conn.request(ctx, subject, nil, map[string]bool{"deleted_details": true})
	if err != nil {
		return nil, nil, err
	}
	i, err := a.infoOf(subject, name, data)
	if err != nil {
		return nil, nil, err
	}
	s, err := sequencesOf(i.State, data)
	return i, s, err
}

// listable says whether the list of a stream's deleted sequences can be expected.
func (a *API) listable(s stream.State) bool {
	each := len(strconv.FormatUint(s.LastSeq, 10)) + 1
	return s.Deleted >= 0 && s.Deleted < min(a.MaxAnswer(), maxDeletedList)/each
}

// sequencesOf reads an answer with the deleted sequences, which counts only if these are
// all between the first and the last that there is no message for.
func sequencesOf(state stream.State, data []byte) (*Sequences, error) {
	var r struct {
		State struct {
			Deleted []uint64 `json:"deleted"`
		} `json:"state"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSequences, err)
	}
	return NewSequences(state, r.State.Deleted)
}

// NewSequences are those of a stream's state and the deleted ones between its first and
// its last. It returns an error that wraps [ErrNoSequences] if these do not fit.
func NewSequences(state stream.State, deleted []uint64) (*Sequences, error) {
	s := &Sequences{state.FirstSeq, state.LastSeq, deleted}
	if state.Msgs == 0 && (s.last == 0 || s.first == s.last+1 && len(deleted) == 0) {
		return &Sequences{first: s.last + 1, last: s.last}, nil // one that is new lists sequence 0
	}
	ok := s.first > 0 && s.first <= s.last && s.last-s.first < 1<<63 && state.Msgs > 0 && state.Msgs+uint64(len(deleted)) == s.last-s.first+1
	before := s.first // which is a message
	for _, seq := range deleted {
		ok = ok && seq > before && seq <= s.last
		before = seq
	}
	if !ok {
		return nil, fmt.Errorf("%w: %d of %d to %d are deleted, and %d are listed", ErrNoSequences, state.Deleted, s.first, s.last, len(deleted))
	}
	return s, nil
}

// First is the first sequence; with no message, that of the next one.
func (s *Sequences) First() uint64 { return s.first }

// Last is the last sequence that the stream has come to.
func (s *Sequences) Last() uint64 { return s.last }

// Count is how many messages there are up to a sequence.
func (s *Sequences) Count(to uint64) uint64 {
	to = min(to, s.last)
	if to < s.first {
		return 0
	}
	deleted, _ := slices.BinarySearch(s.deleted, to+1)
	return to - s.first + 1 - uint64(deleted)
}

// Has says whether there is a message with a sequence.
func (s *Sequences) Has(seq uint64) bool {
	_, deleted := slices.BinarySearch(s.deleted, seq)
	return seq >= s.first && seq <= s.last && !deleted
}

// Next is the first sequence at or after one; 0 when there is none.
func (s *Sequences) Next(seq uint64) uint64 {
	seq = max(seq, s.first)
	for i, _ := slices.BinarySearch(s.deleted, seq); i < len(s.deleted) && s.deleted[i] == seq; i++ {
		seq++
	}
	if seq > s.last {
		return 0
	}
	return seq
}

// Previous is the last sequence at or before one; 0 when there is none.
func (s *Sequences) Previous(seq uint64) uint64 {
	seq = min(seq, s.last)
	i, found := slices.BinarySearch(s.deleted, seq)
	for ; found && i >= 0 && s.deleted[i] == seq; i-- {
		seq--
	}
	if seq < s.first {
		return 0
	}
	return seq
}

// Ranges are the sequences, by rising ranges.
func (s *Sequences) Ranges() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		from := s.first
		for _, seq := range s.deleted {
			if from < seq && !yield(Range{from, seq - 1}) {
				return
			}
			from = seq + 1
		}
		if from <= s.last {
			yield(Range{from, s.last})
		}
	}
}

// Without are the sequences up to one that other does not have, by rising ranges.
func (s *Sequences) Without(other *Sequences, to uint64) []Range {
	var without []Range
	next, stop := iter.Pull(other.Ranges())
	defer stop()
	hole, more := next()
	for r := range s.Ranges() {
		if r.To = min(r.To, to); r.From > r.To {
			break
		}
		for r.From <= r.To {
			for more && hole.To < r.From {
				hole, more = next()
			}
			if !more || hole.From > r.To {
				without = append(without, r)
				break
			}
			if r.From < hole.From {
				without = append(without, Range{r.From, hole.From - 1})
			}
			r.From = hole.To + 1
		}
	}
	return without
}
