package jsapi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// A walk to the end has every key that there is, though one is always written beyond the
// last sequence that was known before.
func TestWalkToEnd(t *testing.T) {
	t.Parallel()
	s := start(t, alone)
	nc := dial(t, s.URL())
	st := newStream(t, nc, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, MaxMsgsPerSubject: 1})
	st.put(t, "s.cold", 10, 0, 1)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			_ = nc.Publish("s.hot", nil)
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	defer func() { close(stop); <-done }()
	eventually(t, "the hot key", func() bool {
		i, err := st.Info(t.Context())
		return err == nil && i.State.LastSeq > 20
	})
	api := connect(t, s.URL(), 10*time.Second).At("$JS.API")
	for range 20 {
		w := begin(t, api, WalkOptions{Stream: "S", From: 1, ToEnd: true})
		read := map[string]bool{}
		for {
			m, err := w.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			read[string(m.Subject)] = true
		}
		w.Close()
		if len(read) != 11 || !read["s.hot"] {
			t.Fatalf("read %v", read)
		}
	}
}

// putRaw publishes messages with headers as they are written.
func putRaw(t *testing.T, s *natstest.Server, subject string, messages ...[2]string) {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "CONNECT {\"verbose\":false,\"headers\":true}\r\n")
	for _, m := range messages {
		fmt.Fprintf(c, "HPUB %s %d %d\r\n%s%s\r\n", subject, len(m[0]), len(m[0])+len(m[1]), m[0], m[1])
	}
	fmt.Fprintf(c, "PING\r\n")
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "-ERR") {
			t.Fatal(line, err)
		}
		if strings.HasPrefix(line, "PONG") {
			return
		}
	}
}

// Headers that nats.go cannot parse are read as they are stored, with the TTL that
// servers find in them. A large one is too, since no leafnode is between.
func TestUnparsedHeaders(t *testing.T) {
	t.Parallel()
	s := start(t, alone)
	st := newStream(t, dial(t, s.URL()), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowMsgTTL: true})
	large := strings.Repeat("x", 600<<10)
	putRaw(t, s, "s.key",
		[2]string{"NATS/1.0\r\nfoo bar\r\n\r\n", "body"}, [2]string{"NATS/1.0\r\nfoo baz\r\n\r\n", "body"},
		[2]string{"NATS/1.0\r\nfoo bar\r\nNats-TTL: 1h\r\n\r\n", ""}, [2]string{"NATS/1.0\r\nfoo bar\r\n\r\n", large}, [2]string{"NATS/1.0\r\nA: 1\r\n\r\n", "last"},
		[2]string{"NATS/1.0\r\nfoo bar\r\n\r\n", "body"})
	eventually(t, "the messages", func() bool {
		i, err := st.Info(t.Context())
		return err == nil && i.State.Msgs == 6
	})
	api := connect(t, s.URL(), 10*time.Second).At("$JS.API")
	for _, bodies := range []bool{false, true} {
		w := begin(t, api, WalkOptions{Stream: "S", From: 1, To: 6, Bodies: bodies})
		var digests [][]byte
		for seq, want := range []struct {
			size    int
			control string
		}{{4, ""}, {4, ""}, {0, "Nats-TTL: 1h\n"}, {600 << 10, ""}, {4, ""}, {4, ""}} {
			m, err := w.Next()
			if err != nil {
				t.Fatal(err)
			}
			if m.Unreadable || string(m.ControlHeaders) != want.control || m.Size != want.size || (m.Digest != nil) != bodies {
				t.Errorf("bodies %v, %d: %+v", bodies, seq+1, m)
			}
			digests = append(digests, bytes.Clone(m.Digest))
		}
		if bodies && (bytes.Equal(digests[0], digests[1]) || !bytes.Equal(digests[0], digests[5])) {
			t.Errorf("digests: %x", digests)
		}
	}
}
