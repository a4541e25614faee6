package jsapi

import (
	"context"
	"encoding/json"

	"nats-kvmirror/internal/stream"
)

// PageSize is how many streams a server puts on a page (server/jetstream_api.go,
// JSApiListLimit).
const PageSize = 256

// Page is a part of the list of all streams.
type Page struct {
	Total   int // how many streams there are on all pages
	Streams []*stream.Info
	// Missing are streams that the servers know of and could not tell about
	// (of a cluster whose servers do not all answer).
	Missing []string
	// Malformed is how many streams on the page could not be understood.
	Malformed int
}

// List reads the page of the list of streams that begins at offset.
func (a *API) List(ctx context.Context, offset int) (Page, error) {
	subject := a.prefix + ".STREAM.LIST"
	data, err := a.conn.request(ctx, subject, nil, map[string]int{"offset": offset})
	if err != nil {
		return Page{}, err
	}
	return pageOf(a.prefix, subject, data)
}

// pageOf reads an answer that has to be a page. A stream on it that cannot be
// understood is counted, so that the others are not lost. It is long, and read once.
func pageOf(prefix, subject string, data []byte) (Page, error) {
	var page struct {
		envelope
		Total   *int              `json:"total"` // said also of no streams at all
		Streams []json.RawMessage `json:"streams"`
		Missing []string          `json:"missing"`
	}
	err := unmarshal(subject, data, &page)
	if err == nil {
		err = page.failure(subject)
	}
	if err == nil && (page.Total == nil || *page.Total < 0) {
		err = &Error{Kind: ErrMalformed, Subject: subject, Description: "it is no list of streams"}
	}
	if err != nil {
		return Page{}, err
	}
	p := Page{Total: *page.Total, Missing: page.Missing}
	for _, data := range page.Streams {
		s, err := stream.Parse(data)
		if err != nil {
			p.Malformed++
			continue
		}
		s.Prefix = prefix
		p.Streams = append(p.Streams, s)
	}
	return p, nil
}

// NamesPageSize is how many names a server puts on a page (server/jetstream_api.go,
// JSApiNamesLimit).
const NamesPageSize = 1024

// Names reads the page of the sorted names of all streams that begins at offset, and
// how many there are on all pages. A page has some 30 KB.
func (a *API) Names(ctx context.Context, offset int) (names []string, total int, err error) {
	var page struct {
		Total   *int     `json:"total"`
		Streams []string `json:"streams"`
	}
	subject := a.prefix + ".STREAM.NAMES"
	data, err := a.conn.query(ctx, subject, map[string]int{"offset": offset})
	if err == nil {
		err = decode(subject, data, &page)
	}
	if err == nil && (page.Total == nil || *page.Total < 0) {
		err = &Error{Kind: ErrMalformed, Subject: subject, Description: "it is no list of names"}
	}
	if err != nil {
		return nil, 0, err
	}
	return page.Streams, *page.Total, nil
}
