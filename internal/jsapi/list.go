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
	return pageOf(subject, data)
}

// pageOf reads an answer that has to be a page.
func pageOf(subject string, data []byte) (Page, error) {
	var page struct {
		head
		Streams []*stream.Info `json:"streams"`
	}
	if err := json.Unmarshal(data, &page); err != nil {
		return singly(subject, data)
	}
	if err := page.check(subject); err != nil {
		return Page{}, err
	}
	return Page{Total: *page.Total, Streams: page.Streams, Missing: page.Missing}, nil
}

// head is what a page says besides the streams.
type head struct {
	Type    string    `json:"type"`
	Error   *apiError `json:"error"`
	Total   *int      `json:"total"` // said also of no streams at all
	Missing []string  `json:"missing"`
}

func (h head) check(subject string) error {
	switch {
	case h.Error != nil:
		return h.Error.sorted(subject)
	case h.Type == "" || h.Total == nil || *h.Total < 0:
		return &Error{Kind: ErrMalformed, Subject: subject, Description: "it is no list of streams"}
	}
	return nil
}

// singly reads a page on which some stream cannot be understood, stream by
// stream, so that the others are not lost.
func singly(subject string, data []byte) (Page, error) {
	var page struct {
		head
		Streams []json.RawMessage `json:"streams"`
	}
	if err := json.Unmarshal(data, &page); err != nil {
		return Page{}, &Error{Kind: ErrMalformed, Subject: subject, Description: err.Error()}
	}
	if err := page.check(subject); err != nil {
		return Page{}, err
	}
	p := Page{Total: *page.Total, Missing: page.Missing}
	for _, data := range page.Streams {
		s, err := stream.Parse(data)
		if err != nil {
			p.Malformed++
			continue
		}
		p.Streams = append(p.Streams, s)
	}
	return p, nil
}
