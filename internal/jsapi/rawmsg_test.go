package jsapi

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

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
// servers find in them, unless the message is too large to be asked for.
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
			size       int
			control    string
			unreadable bool
		}{{4, "", false}, {4, "", false}, {0, "Nats-TTL: 1h\n", false}, {0, "", true}, {4, "", false}, {4, "", false}} {
			m, err := w.Next()
			if err != nil {
				t.Fatal(err)
			}
			if m.Unreadable != want.unreadable || string(m.ControlHeaders) != want.control || !m.Unreadable && m.Size != want.size || (m.Digest != nil) != (bodies && !want.unreadable) {
				t.Errorf("bodies %v, %d: %+v", bodies, seq+1, m)
			}
			digests = append(digests, bytes.Clone(m.Digest))
		}
		if bodies && (bytes.Equal(digests[0], digests[1]) || !bytes.Equal(digests[0], digests[5])) {
			t.Errorf("digests: %x", digests)
		}
	}
}
