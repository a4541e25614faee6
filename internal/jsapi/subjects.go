package jsapi

import (
	"context"
	"errors"
	"math"
)

// ErrNotCounted is returned where there are more messages than were asked for, or the
// answer may be larger than what it comes over lets through.
var ErrNotCounted = errors.New("the messages are not counted by subject")

// SubjectMessages is how many messages a stream holds of each subject that a filter
// matches, if they are no more than most. The error wraps [ErrNotCounted] if they are, and
// behind a leafnode, see [API.MaxAnswer].
func (a *API) SubjectMessages(ctx context.Context, stream, filter string, most uint64) (map[string]uint64, error) {
	if a.MaxAnswer() < math.MaxInt {
		return nil, ErrNotCounted
	}
	// A consumer's count may be short, and costs nothing: it is asked first, so that no
	// list of many subjects is asked for in vain.
	c := newOnce("all", 0, []string{filter})
	n, _, err := a.createOnce(ctx, stream, c)
	if err != nil {
		return nil, err
	}
	a.deleteOnce(stream, c)
	if n > most {
		return nil, ErrNotCounted
	}
	subject := a.InfoSubject(stream)
	data, err := a.conn.query(ctx, subject, map[string]string{"subjects_filter": filter})
	if err != nil {
		return nil, err
	}
	var r struct {
		Total int `json:"total"`
		State struct {
			Subjects map[string]uint64 `json:"subjects"`
		} `json:"state"`
	}
	if err := decode(subject, data, &r); err != nil {
		return nil, err
	}
	if len(r.State.Subjects) < r.Total { // it is a page of them (server/jetstream_api.go, JSMaxSubjectDetails)
		return nil, ErrNotCounted
	}
	return r.State.Subjects, nil
}
