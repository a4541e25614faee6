package jsapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

const alone = `
listen: 127.0.0.1:-1
jetstream { store_dir: "{{dir}}", max_memory_store: 256MB, max_file_store: 256MB }
`

func start(t *testing.T, conf string) *natstest.Server {
	t.Helper()
	s, err := natstest.Start(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// stream is one to walk through, as another client sees it.
type testStream struct {
	jetstream.Stream
	js   jetstream.JetStream
	name string
}

func newStream(t *testing.T, nc *nats.Conn, config jetstream.StreamConfig) testStream {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1_000), jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return testStream{s, js, config.Name}
}

func dial(t *testing.T, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, append(opts, nats.Timeout(time.Minute))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// put publishes n messages, with subjects prefix.1 and on, and with a header
// and a body of these sizes.
func (s testStream) put(t *testing.T, prefix string, n, header, body int) {
	t.Helper()
	for i := range n {
		m := nats.NewMsg(fmt.Sprintf("%s.%d", prefix, i+1))
		m.Data = bytes.Repeat([]byte("b"), body)
		if header > 0 {
			m.Header.Set("Pad", strings.Repeat("h", header))
		}
		if _, err := s.js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-s.js.PublishAsyncComplete():
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

func (s testStream) delete(t *testing.T, seqs ...uint64) {
	t.Helper()
	for _, seq := range seqs {
		if err := s.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
}

// short are waits for a server on this machine.
var short = walkWaits{heartbeat: 250 * time.Millisecond, inactiveThreshold: time.Second}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

func (s testStream) consumers(t *testing.T) (names []string) {
	t.Helper()
	list := s.ConsumerNames(context.Background())
	for name := range list.Name() {
		names = append(names, name)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

// noConsumers checks that no consumer is left.
func (s testStream) noConsumers(t *testing.T) {
	t.Helper()
	eventually(t, "the consumers to go", func() bool { return len(s.consumers(t)) == 0 })
}

// begin begins a walk that ends with the test.
func begin(t *testing.T, api *API, opts WalkOptions) *Walk {
	t.Helper()
	w, err := api.Walk(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// rest reads a walk to its end.
func rest(w *Walk) (seqs []uint64, err error) {
	for {
		h, err := w.Next()
		switch {
		case errors.Is(err, io.EOF):
			return seqs, nil
		case err != nil:
			return seqs, err
		}
		seqs = append(seqs, h.Seq)
	}
}

func sequence(from, to uint64, but ...uint64) (seqs []uint64) {
	for seq := from; seq <= to; seq++ {
		if !slices.Contains(but, seq) {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

// same compares sequences without printing thousands of them.
func same(t *testing.T, got, want []uint64) {
	t.Helper()
	for i, seq := range got {
		if i == len(want) || seq != want[i] {
			t.Errorf("sequence %d is number %d of %d; %d were to come", seq, i+1, len(got), len(want))
			return
		}
	}
	if len(got) < len(want) {
		t.Errorf("the %d from %d on are missing", len(want)-len(got), want[len(got)])
	}
}

// padded is a stream with more than what a consumer sends before it is
// answered, so that a walk that is not read stalls on its way.
func padded(t *testing.T, nc *nats.Conn, n int) testStream {
	t.Helper()
	s := newStream(t, nc, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowMsgTTL: true})
	s.put(t, "s", n, 1_000, 0)
	return s
}

// isStalled says whether all came that the consumer sends before an answer.
func (w *Walk) isStalled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.received.bytes-w.received.base > w.received.window
}
