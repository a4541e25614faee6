package jsapi

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What a walk returns of a message is what was stored, whatever its headers are
// called: control messages have a header "Status", and those without their
// bodies "Nats-Msg-Size".
func TestMsgMeta(t *testing.T) {
	t.Parallel()
	s := start(t, alone)
	nc := dial(t, s.URL())
	st := newStream(t, nc, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowMsgTTL: true})
	put := func(body string, header ...string) {
		t.Helper()
		m := nats.NewMsg("s.key")
		for i := 0; i < len(header); i += 2 {
			m.Header.Add(header[i], header[i+1])
		}
		m.Data = []byte(body)
		if _, err := st.js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	put("plain")
	put("")
	put("", "Status", "100")
	put("", "Status", "409", "Description", "Consumer Deleted")
	put("five5", "Nats-Msg-Size", "77")
	put("x", "Nats-Msg-Size", "many")
	put("ttl", "Nats-TTL", "1h", "Other", "o")
	put("", "KV-Operation", "DEL", "Nats-TTL", "never")
	put("x", "Other", "1")
	put("x", "Other", "2")
	api := connect(t, s.URL(), 10*time.Second).At("$JS.API")
	for _, bodies := range []bool{false, true} {
		digests := map[string]uint64{}
		w := begin(t, api, WalkOptions{Stream: "S", From: 1, To: 10, Bodies: bodies})
		for seq, want := range []struct {
			size    int
			control string
		}{
			{5, ""}, {0, ""}, {0, ""}, {0, ""}, {5, ""}, {1, ""}, {3, "Nats-TTL: 1h\n"},
			{0, "Nats-TTL: never\nKV-Operation: DEL\n"}, {1, ""}, {1, ""},
		} {
			h, err := w.Next()
			if err != nil {
				t.Fatal(err)
			}
			stored, err := st.GetMsg(t.Context(), uint64(seq+1))
			if err != nil {
				t.Fatal(err)
			}
			if h.Seq != stored.Sequence || h.Time != stored.Time.UnixNano() || h.Size != want.size || string(h.Subject) != "s.key" || string(h.ControlHeaders) != want.control {
				t.Errorf("%+v, want %d, %v", h, seq+1, want)
			}
			if (h.Digest != nil) != bodies {
				t.Errorf("message %d: a digest %x", h.Seq, h.Digest)
			}
			if other, ok := digests[string(h.Digest)]; ok && bodies {
				t.Errorf("messages %d and %d have the same digest", other, h.Seq)
			}
			digests[string(h.Digest)] = h.Seq
		}
		if _, err := w.Next(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}
}

// FuzzMetaBuffer: what is put into a buffer comes out of it.
func FuzzMetaBuffer(f *testing.F) {
	f.Add(uint64(1), int64(1_700_000_000_000_000_000), "$KV.demo.key", "5s", []byte("value"), true, 3)
	f.Add(uint64(1<<63), int64(-1), "", "", []byte{}, false, 1)
	f.Add(uint64(7), int64(1<<62), "s", "never", []byte("x"), false, 200)
	f.Fuzz(func(t *testing.T, seq uint64, at int64, subject, ttl string, body []byte, bodies bool, n int) {
		n = min(max(n, 0), 300)
		var buf metaBuffer
		for round := range 2 { // the second time in memory that was used
			message := func(i int) (uint64, int64, *nats.Msg) {
				m := &nats.Msg{Subject: subject + strings.Repeat("x", i%3), Data: body, Header: nats.Header{}}
				if i%2 == 0 {
					m.Header.Set(TTLHeader, ttl)
				}
				if !bodies {
					m.Header.Add(sizeHeader, strconv.Itoa(len(body)+i))
				}
				return seq + uint64(i*i), at - int64(i*round), m
			}
			for i := range n {
				s, at, m := message(i)
				if err := buf.add(s, at, m, bodies, false); err != nil {
					t.Fatal(err)
				}
			}
			r := metaReader{buf: &buf}
			for i := range n {
				s, at, m := message(i)
				size := len(body) + i
				if bodies {
					size = len(body)
				}
				h := r.next()
				if h == nil || h.Seq != s || h.Time != at || h.Size != size || string(h.Subject) != m.Subject ||
					string(h.ControlHeaders) != controlHeadersOf(m.Header) || (h.Digest != nil) != bodies || bodies && !bytes.Equal(h.Digest, digest(m)) {
					t.Fatalf("number %d is %+v", i, h)
				}
				if i%2 == 0 && !strings.Contains(ttl, "\n") && h.Header(TTLHeader) != ttl {
					t.Errorf("the TTL %q is %q", ttl, h.Header(TTLHeader))
				}
			}
			if h := r.next(); h != nil {
				t.Errorf("behind the last there is %+v", h)
			}
			buf = buf.emptied()
		}
	})
}
