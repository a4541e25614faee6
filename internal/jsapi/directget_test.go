package jsapi

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
	"nats-kvmirror/internal/stream"
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
		got, err := api.GetMeta(t.Context(), "S", m.Seq, -1)
		if err != nil || got.Seq != m.Seq || got.Time != m.Time || got.Size != m.Size || !bytes.Equal(got.Subject, m.Subject) || !bytes.Equal(got.ControlHeaders, m.ControlHeaders) {
			t.Errorf("%+v, %v; want %+v", got, err, m)
		}
	}
	if m, err := api.GetMeta(t.Context(), "S", 9, -1); !errors.Is(err, ErrNotFound) {
		t.Error(m, err)
	}
	if m, err := api.GetMeta(t.Context(), "T", 9, -1); !errors.Is(err, ErrNoResponders) {
		t.Error(m, err)
	}
	if _, err := js.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "M", Mirror: &jetstream.StreamSource{Name: "S"}, MirrorDirect: true, AllowMsgTTL: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mirror to answer", func() bool {
		_, err := api.directGet(t.Context(), "S", 1)
		return errors.Is(err, ErrMalformed)
	})
	if m, err := api.GetMeta(t.Context(), "S", 2, -1); err != nil || m.Seq != 2 || m.Size != 5 || m.Header(TTLHeader) != "1h" {
		t.Errorf("%+v, %v", m, err)
	}
}

// A message that may be too large for the leafnode between comes without its body, and a
// list that may be is not asked for.
func TestGetMetaAcrossALeafnode(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	js := newStream(t, dial(t, sites.Hub.URL()), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowDirect: true})
	large := make([]byte, 1<<20-100)
	for _, data := range [][]byte{[]byte("small"), large} {
		if _, err := js.js.PublishMsg(t.Context(), &nats.Msg{Subject: "s.a", Header: nats.Header{"KV-Operation": {"DEL"}}, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	api := connect(t, sites.Leaf.URL(), time.Minute).At("$JS.hub.API")
	for seq, test := range []struct{ size, known int }{{5, 5}, {len(large), -1}} {
		m, err := api.GetMeta(t.Context(), "S", uint64(seq+1), test.known)
		if err != nil || m.Size != test.size || m.Header(operationHeader) != "DEL" || string(m.Subject) != "s.a" {
			t.Errorf("%+v, %v", m, err)
		}
	}
	if _, err := api.GetMeta(t.Context(), "S", 3, -1); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	for deleted, want := range map[int]bool{60_000: true, 70_000: false} { // 8 bytes each
		if got := api.listable(stream.State{LastSeq: 1_000_000, Deleted: deleted}); got != want {
			t.Errorf("a list of %d deleted sequences: %v", deleted, got)
		}
	}
	if n := sites.Leaf.TooLarge() + sites.Hub.TooLarge(); n > 0 {
		t.Errorf("%d messages were too large for the leafnode", n)
	}
}
