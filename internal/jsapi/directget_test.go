package jsapi

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A direct get tells of a message what a walk tells, and nothing of that of another stream.
func TestGetMeta(t *testing.T) {
	t.Parallel()
	s := start(t, alone)
	api := connect(t, s.URL(), time.Minute).At("$JS.API")
	js := newStream(t, dial(t, s.URL()), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowDirect: true, AllowMsgTTL: true})
	for _, header := range []nats.Header{nil, {"Nats-TTL": {"1h"}}, {"Nats-Stream": {"other"}, "Nats-Sequence": {"7"}, "KV-Operation": {"DEL"}}, {"Status": {"404"}}, {"Pad": {"x"}}} {
		if _, err := js.js.PublishMsg(t.Context(), &nats.Msg{Subject: "s.a", Header: header, Data: []byte("value")}); err != nil {
			t.Fatal(err)
		}
	}
	w := begin(t, api, WalkOptions{Stream: "S", To: 5})
	for {
		m, err := w.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got, err := api.GetMeta(t.Context(), "S", m.Seq)
		if err != nil || got.Seq != m.Seq || got.Time != m.Time || got.Size != m.Size || !bytes.Equal(got.Subject, m.Subject) || !bytes.Equal(got.ControlHeaders, m.ControlHeaders) {
			t.Errorf("%+v, %v; want %+v", got, err, m)
		}
	}
	if m, err := api.GetMeta(t.Context(), "S", 9); !errors.Is(err, ErrNotFound) {
		t.Error(m, err)
	}
	if m, err := api.GetMeta(t.Context(), "T", 9); !errors.Is(err, ErrNoResponders) {
		t.Error(m, err)
	}
	if _, err := js.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "M", Mirror: &jetstream.StreamSource{Name: "S"}, MirrorDirect: true, AllowMsgTTL: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mirror to answer", func() bool {
		_, err := api.GetMeta(t.Context(), "S", 1)
		return errors.Is(err, ErrMalformed)
	})
}
