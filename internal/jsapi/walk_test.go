package jsapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
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
type stream struct {
	jetstream.Stream
	js   jetstream.JetStream
	name string
}

func newStream(t *testing.T, nc *nats.Conn, config jetstream.StreamConfig) stream {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1_000), jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return stream{s, js, config.Name}
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
func (s stream) put(t *testing.T, prefix string, n, header, body int) {
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

func (s stream) delete(t *testing.T, seqs ...uint64) {
	t.Helper()
	for _, seq := range seqs {
		if err := s.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

func (s stream) consumers(t *testing.T) (names []string) {
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
func (s stream) noConsumers(t *testing.T) {
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

// A walk gives every message of its range that matches, once, in order.
func TestWalk(t *testing.T) {
	t.Parallel()
	s := start(t, alone)
	nc := dial(t, s.URL())
	full := newStream(t, nc, jetstream.StreamConfig{Name: "full", Subjects: []string{"f.>"}})
	full.put(t, "f.a", 50, 0, 1)
	full.put(t, "f.b", 50, 0, 1)
	full.put(t, "f.c", 10, 0, 1)
	full.delete(t, 1, 10, 11, 50, 51, 110)
	newStream(t, nc, jetstream.StreamConfig{Name: "empty", Subjects: []string{"e.>"}})
	gone := newStream(t, nc, jetstream.StreamConfig{Name: "gone", Subjects: []string{"g.>"}})
	gone.put(t, "g", 5, 0, 1)
	if err := gone.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	api := connect(t, s.URL(), 10*time.Second).At("$JS.API")
	all := sequence(2, 109, 10, 11, 50, 51)
	for _, test := range []struct {
		name, stream string
		from, to     uint64
		filters      []string
		want         []uint64
	}{
		{"empty", "empty", 1, 100, nil, nil},
		{"empty to 0", "empty", 0, 0, nil, nil},
		{"purged", "gone", 1, 5, nil, nil},
		{"behind the purged", "gone", 6, 100, nil, nil},
		{"all", "full", 1, 110, nil, all},
		{"from 0", "full", 0, 110, nil, all},
		{"to far behind the last", "full", 1, 1 << 60, nil, all},
		{"to a deleted one", "full", 5, 11, nil, sequence(5, 9)},
		{"to before deleted ones", "full", 5, 9, nil, sequence(5, 9)},
		{"to behind deleted ones", "full", 5, 12, nil, []uint64{5, 6, 7, 8, 9, 12}},
		{"from a deleted one", "full", 10, 13, nil, []uint64{12, 13}},
		{"only deleted ones", "full", 50, 51, nil, nil},
		{"one", "full", 20, 20, nil, []uint64{20}},
		{"the last one", "full", 109, 109, nil, []uint64{109}},
		{"behind the last", "full", 110, 110, nil, nil},
		{"far behind the last", "full", 111, 200, nil, nil},
		{"from behind to", "full", 5, 4, nil, nil},
		{"a filter", "full", 1, 110, []string{"f.a.>"}, sequence(2, 49, 10, 11)},
		{"a filter that matches one", "full", 1, 110, []string{"f.b.7"}, []uint64{57}},
		{"a filter from within", "full", 48, 60, []string{"f.b.>"}, sequence(52, 60)},
		{"filters", "full", 45, 105, []string{"f.a.*", "f.c.*"}, append(sequence(45, 49), sequence(101, 105)...)},
		{"a filter that matches nothing", "full", 1, 110, []string{"f.x.>"}, nil},
		{"filters that match nothing", "full", 1, 110, []string{"f.x.>", "f.y.>"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := begin(t, api, WalkOptions{Stream: test.stream, From: test.from, To: test.to, Filters: test.filters})
			got, err := rest(w)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, test.want)
			if _, err := w.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("behind the end: %v", err)
			}
			w.Close()
			w.Close()
		})
	}
	full.noConsumers(t)
	if _, err := api.Walk(t.Context(), WalkOptions{Stream: "none", From: 1, To: 2}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no stream: %v, want %v", err, ErrNotFound)
	}
	if _, err := api.Walk(t.Context(), WalkOptions{Stream: "full", From: 1, To: 2, Filters: []string{"f.>", "f.a.>"}}); !errors.Is(err, ErrRejected) {
		t.Errorf("overlapping filters: %v, want %v", err, ErrRejected)
	}
}

// What a walk tells of a message is what was stored, whatever its headers are
// called: control messages have a header "Status", and those without their
// bodies "Nats-Msg-Size".
func TestHeads(t *testing.T) {
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
			size     int
			decisive string
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
			if h.Seq != stored.Sequence || h.Time != stored.Time.UnixNano() || h.Size != want.size || string(h.Subject) != "s.key" || string(h.ControlHeaders) != want.decisive {
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

// What is larger than what a consumer sends in one go comes as well, with and
// without the bodies, each message once: none is sent twice because a consumer
// was given up before it had sent all that it would.
func TestWalkIsLong(t *testing.T) {
	t.Parallel()
	s := start(t, alone)
	const n = 12_000
	st := newStream(t, dial(t, s.URL()), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	st.put(t, "s", n, 2_000, 2_500)
	proxy, err := natstest.NewProxy(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	var sent atomic.Int64
	proxy.SetHook(func(m natstest.Message) natstest.Verdict {
		if strings.HasPrefix(m.Reply, ackPrefix) {
			sent.Add(1)
		}
		return natstest.Pass
	})
	api := connect(t, proxy.URL(), 10*time.Second).At("$JS.API")
	for _, test := range []struct {
		name   string
		bodies bool
		from   uint64
	}{{"heads", false, 1}, {"bodies", true, 1}, {"from within", true, n / 2}} {
		t.Run(test.name, func(t *testing.T) {
			sent.Store(0)
			w := begin(t, api, WalkOptions{Stream: "S", From: test.from, To: n, Bodies: test.bodies})
			got, err := rest(w)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, sequence(test.from, n))
			if w.got.generation < 2 || sent.Load() != int64(len(got)) {
				t.Errorf("%d messages were sent by %d consumers", sent.Load(), w.got.generation)
			}
			if w.deaf {
				t.Error("answers are believed not to arrive")
			}
		})
	}
	st.noConsumers(t)
}

// padded is a stream with more than what a consumer sends before it is
// answered, so that a walk that is not read stands still on its way.
func padded(t *testing.T, nc *nats.Conn, n int) stream {
	t.Helper()
	s := newStream(t, nc, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowMsgTTL: true})
	s.put(t, "s", n, 1_000, 0)
	return s
}

// What happens to a stream while it is walked through changes what is read, and
// no more than that.
func TestWalkWhileChanging(t *testing.T) {
	t.Parallel()
	const n, tail = 6_000, 5_000 // some 2,000 of them come in one go
	for _, test := range []struct {
		name   string
		change func(t *testing.T, s stream)
		want   []uint64 // as far as the walk reads the tail; nil for all
		to     uint64
	}{
		{"the tail is purged", func(t *testing.T, s stream) {
			for seq := uint64(tail + 1); seq <= n; seq++ {
				s.delete(t, seq)
			}
		}, sequence(1, tail), n},
		{"inner messages are deleted", func(t *testing.T, s stream) { s.delete(t, 4_000, 4_001, 5_500) }, sequence(1, n, 4_000, 4_001, 5_500), n},
		{"more come", func(t *testing.T, s stream) { s.put(t, "s.more", 10, 0, 0) }, sequence(1, n), n},
		{"more come and are read", func(t *testing.T, s stream) { s.put(t, "s.more", 10, 0, 0) }, sequence(1, n+10), 1 << 40},
		{"a consumer is deleted", func(t *testing.T, s stream) {
			names := s.consumers(t)
			if len(names) != 1 {
				t.Fatalf("%d consumers", len(names))
			}
			if err := s.DeleteConsumer(t.Context(), names[0]); err != nil {
				t.Fatal(err)
			}
		}, sequence(1, n), n},
		{"all is purged", func(t *testing.T, s stream) {
			if err := s.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, nil, n},
		{"the tail expires", func(t *testing.T, s stream) {
			for range 3 {
				m := nats.NewMsg("s.ttl")
				m.Header.Set("Nats-TTL", "1s")
				if _, err := s.js.PublishMsg(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "expiry", func() bool {
				info, err := s.Info(t.Context())
				return err == nil && info.State.Msgs == n
			})
		}, sequence(1, n), n + 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := start(t, alone)
			s := padded(t, dial(t, server.URL()), n)
			w := begin(t, connect(t, server.URL(), 20*time.Second).At("$JS.API"), WalkOptions{Stream: "S", From: 1, To: test.to})
			if h, err := w.Next(); err != nil || h.Seq != 1 {
				t.Fatal(h, err)
			}
			eventually(t, "the consumer to stand still", func() bool { return w.standsStill() })
			test.change(t, s)
			got, err := rest(w)
			if err != nil {
				t.Fatal(err)
			}
			got = slices.Insert(got, 0, 1)
			if test.want != nil {
				same(t, got, test.want)
			} else {
				same(t, got, sequence(1, uint64(len(got))))
				if len(got) == n {
					t.Error("what was purged was read")
				}
			}
			w.Close()
			s.noConsumers(t)
		})
	}
	t.Run("the stream is deleted", func(t *testing.T) {
		t.Parallel()
		server := start(t, alone)
		s := padded(t, dial(t, server.URL()), n)
		w := begin(t, connect(t, server.URL(), 20*time.Second).At("$JS.API"), WalkOptions{Stream: "S", From: 1, To: n})
		if err := s.js.DeleteStream(t.Context(), "S"); err != nil {
			t.Fatal(err)
		}
		if got, err := rest(w); !errors.Is(err, ErrNotFound) {
			t.Errorf("%d messages, %v; want %v", len(got), err, ErrNotFound)
		}
	})
}

// standsStill says whether all came that the consumer sends before an answer.
func (w *Walk) standsStill() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.bytes-w.got.base > w.got.window
}

// Messages deleted at random while they are read: all others come, once.
func TestWalkWhileDeleting(t *testing.T) {
	t.Parallel()
	const n = 10_000
	server := start(t, alone)
	s := padded(t, dial(t, server.URL()), n)
	random := rand.New(rand.NewPCG(1, 2))
	var deleted []uint64
	for _, i := range random.Perm(n)[:500] {
		deleted = append(deleted, uint64(i+1))
	}
	w := begin(t, connect(t, server.URL(), 10*time.Second).At("$JS.API"), WalkOptions{Stream: "S", From: 1, To: n, Rate: 20_000})
	done := make(chan error, 1)
	go func() {
		for _, seq := range deleted {
			if err := s.DeleteMsg(context.Background(), seq); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	got, err := rest(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(got); i++ {
		if got[i] <= got[i-1] {
			t.Fatalf("%d comes after %d", got[i], got[i-1])
		}
	}
	stay := slices.DeleteFunc(got, func(seq uint64) bool { return slices.Contains(deleted, seq) })
	same(t, stay, sequence(1, n, deleted...))
}

// A walk outlives what is lost on the way, of each kind, and reads all.
func TestWalkLoses(t *testing.T) {
	t.Parallel()
	const n = 8_000
	server := start(t, alone)
	s := padded(t, dial(t, server.URL()), n)
	request := func(m natstest.Message) bool { return bytes.Contains(m.Header, []byte("FlowControl")) }
	answer := func(m natstest.Message) bool { return strings.HasPrefix(m.Subject, "$JS.FC.") }
	message := func(m natstest.Message) bool { return strings.HasPrefix(m.Reply, ackPrefix) }
	deletion := func(m natstest.Message) bool { return strings.Contains(m.Subject, ".CONSUMER.DELETE.") }
	every := func(int64) bool { return true }
	first := func(nth int64) bool { return nth == 1 }
	t.Run("all", func(t *testing.T) { // returns when all of them have
		for _, test := range []struct {
			name string
			what func(natstest.Message) bool
			lost func(nth int64) bool
		}{
			{"every flow control request", request, every},
			{"the first flow control request", request, first},
			{"every answer", answer, every},
			{"the first answer", answer, first},
			{"the first message", message, first},
			{"some messages", message, func(nth int64) bool { return nth%3_000 == 1_500 }},
			{"the last message", message, func(nth int64) bool { return nth == n }},
			{"deletions", deletion, every},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				proxy, err := natstest.NewProxy(server.Addr())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(proxy.Close)
				var seen, lost atomic.Int64
				proxy.SetHook(func(m natstest.Message) natstest.Verdict {
					if test.what(m) && test.lost(seen.Add(1)) {
						lost.Add(1)
						return natstest.Drop
					}
					return natstest.Pass
				})
				w := begin(t, connect(t, proxy.URL(), 20*time.Second).At("$JS.API"), WalkOptions{Stream: "S", From: 1, To: n})
				got, err := rest(w)
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, sequence(1, n))
				w.Close()
				if lost.Load() == 0 {
					t.Error("nothing was lost")
				}
			})
		}
	})
	s.noConsumers(t)
}

// A link that is cut ends a walk within the timeout; after it has healed, the
// next one reads all. One that heals at once is no reason to end, or a clean one.
func TestWalkOverALinkThatIsCut(t *testing.T) {
	t.Parallel()
	const n, timeout = 6_000, 2 * time.Second
	sites, link, err := natstest.HubAndLeafVia()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	s := padded(t, dial(t, sites.Hub.URL()), n)
	api := connect(t, sites.Leaf.URL(), timeout).At("$JS.hub.API")
	opts := WalkOptions{Stream: "S", From: 1, To: n}

	w := begin(t, api, opts)
	eventually(t, "the consumer to stand still", w.standsStill)
	link.Refuse(true)
	link.CutAll()
	cut := time.Now()
	got, err := rest(w)
	if !errors.Is(err, ErrNoResponders) && !errors.Is(err, ErrTimeout) {
		t.Errorf("%d messages, %v", len(got), err)
	}
	if took := time.Since(cut); took > timeout+10*time.Second { // a busy machine adds to a second
		t.Errorf("it took %v to end", took)
	}
	w.Close()
	link.Refuse(false)
	up := func() bool {
		_, err := api.Account(t.Context())
		return err == nil
	}
	eventually(t, "the link", up)

	for i := range 5 {
		w := begin(t, api, opts)
		for range 100 * i {
			if _, err := w.Next(); err != nil {
				t.Fatal(err)
			}
		}
		link.CutAll()
		got, err := rest(w)
		if err == nil {
			same(t, got, sequence(uint64(100*i+1), n))
		} else if !errors.Is(err, ErrNoResponders) && !errors.Is(err, ErrTimeout) {
			t.Error(err)
		}
		w.Close()
		eventually(t, "the link", up)
	}
	s.noConsumers(t)
}

// A walk ends when its own connection is lost, though that comes back.
func TestWalkOverAConnectionThatIsCut(t *testing.T) {
	t.Parallel()
	const n = 6_000
	server := start(t, alone)
	padded(t, dial(t, server.URL()), n)
	proxy, err := natstest.NewProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	api := connect(t, proxy.URL(), time.Minute).At("$JS.API")
	w := begin(t, api, WalkOptions{Stream: "S", From: 1, To: n})
	eventually(t, "the consumer to stand still", w.standsStill)
	start := time.Now()
	proxy.CutAll()
	got, err := rest(w)
	if !errors.Is(err, ErrDisconnected) {
		t.Errorf("%d messages, %v; want %v", len(got), err, ErrDisconnected)
	}
	same(t, got, sequence(1, uint64(len(got))))
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	w.Close()
	eventually(t, "the connection", func() bool {
		_, err := api.Account(t.Context())
		return err == nil
	})
	got, err = rest(begin(t, api, WalkOptions{Stream: "S", From: 1, To: n}))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, sequence(1, n))
}

// The server that holds the consumer may go down, and the stream's leader
// change: another one goes on.
func TestWalkInACluster(t *testing.T) {
	t.Parallel()
	const n = 6_000
	servers, err := natstest.Cluster(3, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		t.Cleanup(s.Stop)
	}
	nc := dial(t, servers[0].URL())
	s := newStream(t, nc, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Replicas: 3})
	s.put(t, "s", n, 1_000, 0)

	api := connect(t, servers[0].URL(), 10*time.Second).At("$JS.API")
	w := begin(t, api, WalkOptions{Stream: "S", From: 1, To: n})
	eventually(t, "the consumer to stand still", w.standsStill)
	if _, err := nc.Request("$JS.API.STREAM.LEADER.STEPDOWN.S", nil, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	got, err := rest(w)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, sequence(1, n))
	w.Close()
	s.noConsumers(t)

	// A walk from a server that stays.
	w = begin(t, api, WalkOptions{Stream: "S", From: 1, To: n})
	eventually(t, "the consumer to stand still", w.standsStill)
	c, err := s.PushConsumer(t.Context(), w.name)
	if err != nil {
		t.Fatal(err)
	}
	host := c.CachedInfo().Cluster.Leader
	for _, server := range servers[1:] {
		if server.Underlying().Name() == host {
			server.Shutdown()
		}
	}
	got, err = rest(w)
	if err != nil {
		// The API may have no leader for some seconds.
		if !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrRejected) && !errors.Is(err, ErrNoResponders) {
			t.Error(err)
		}
		same(t, got, sequence(1, uint64(len(got))))
		return
	}
	same(t, got, sequence(1, n))
}

// Across accounts messages come to the deliver prefix; without flow control
// there too, a window at a time.
func TestWalkAcrossAccounts(t *testing.T) {
	t.Parallel()
	const n = 6_000
	for _, test := range []struct {
		name string
		kind natstest.AccountsKind
		deaf bool
	}{{"with flow control", natstest.CrossAccount, false}, {"without", natstest.CrossAccountNoFlowControl, true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, err := natstest.Accounts(test.kind)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Stop)
			s := newStream(t, dial(t, server.URL(), nats.UserInfo("a", "a")), jetstream.StreamConfig{Name: "KV_demo", Subjects: []string{"$KV.demo.>"}})
			s.put(t, "$KV.demo.k", n, 1_000, 0)
			conn, err := Connect(t.Context(), server.URL(), 20*time.Second, nil, nats.UserInfo("b", "b"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(conn.Close)
			w := begin(t, conn.At("JS.A.API"), WalkOptions{Stream: "KV_demo", From: 1, To: n, DeliverPrefix: "deliver.B"})
			h, err := w.Next()
			if err != nil || string(h.Subject) != "$KV.demo.k.1" {
				t.Fatal(h, err)
			}
			got, err := rest(w)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, sequence(2, n))
			if w.deaf != test.deaf {
				t.Errorf("deaf: %v", w.deaf)
			}
			w.Close()
			s.noConsumers(t)
		})
	}
}

// What is denied is said at once.
func TestWalkIsDenied(t *testing.T) {
	t.Parallel()
	server := start(t, `
listen: 127.0.0.1:-1
jetstream { store_dir: "{{dir}}", max_memory_store: 64MB, max_file_store: 64MB }
accounts {
  A { jetstream: enabled, users: [
    { user: all, password: p }
    { user: create, password: p, permissions: { publish: { deny: "$JS.API.CONSUMER.CREATE.>" } } }
    { user: deliver, password: p, permissions: { subscribe: { deny: "far.>" } } }
    { user: inbox, password: p, permissions: { subscribe: { deny: "_INBOX.>" } } }
    { user: delete, password: p, permissions: { publish: { deny: "$JS.API.CONSUMER.DELETE.>" } } }
  ] }
}`)
	s := padded(t, dial(t, server.URL(), nats.UserInfo("all", "p")), 10)
	for _, test := range []struct {
		user string
		kind error
	}{{"all", nil}, {"create", ErrDenied}, {"deliver", ErrDenied}, {"inbox", ErrDenied}, {"delete", nil}} {
		t.Run(test.user, func(t *testing.T) {
			conn, err := Connect(t.Context(), server.URL(), time.Minute, nil, nats.UserInfo(test.user, "p"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(conn.Close)
			opts := WalkOptions{Stream: "S", From: 1, To: 10}
			if test.user == "deliver" {
				opts.DeliverPrefix = "far.away"
			}
			start := time.Now()
			w, err := conn.At("$JS.API").Walk(t.Context(), opts)
			if err == nil {
				_, err = rest(w)
				w.Close()
			}
			if !errors.Is(err, test.kind) {
				t.Errorf("%v, want %v", err, test.kind)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
			if test.user == "deliver" {
				// The connection is as good as before, also when it hears late of
				// what was denied to the walk.
				conn.asyncError(fmt.Errorf(`%w: permissions violation for subscription to "far.away.x.1"`, nats.ErrPermissionViolation))
				if _, err := conn.At("$JS.API").Account(t.Context()); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			}
		})
	}
	s.noConsumers(t)
}

// A walk whose context ends says so, whenever that is, and has its consumers
// deleted: each that was made, not only those that the server takes away.
func TestWalkIsCancelled(t *testing.T) {
	t.Parallel()
	const n = 6_000
	server := start(t, alone)
	s := padded(t, dial(t, server.URL()), n)
	proxy, err := natstest.NewProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	proxy.SetDelay(2 * time.Millisecond)
	api := connect(t, proxy.URL(), 10*time.Second).At("$JS.API")
	for i := range 40 {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(i)*time.Millisecond/2, cancel)
		opts := WalkOptions{Stream: "S", From: 1, To: n, Rate: 10_000} // takes longer than that
		if i%2 == 0 {
			opts.Rate = 0
		}
		w, err := api.Walk(ctx, opts)
		if err == nil {
			if _, err = rest(w); err == nil {
				err = context.Canceled // it had come to its end
			}
			w.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after %d ms: %v", i/2, err)
		}
		cancel()
	}
	s.noConsumers(t)
	traffic := proxy.Traffic()
	made, deleted := map[string]bool{}, map[string]bool{}
	for _, r := range traffic.Requests {
		name := r.Subject[strings.LastIndexByte(r.Subject, '.')+1:]
		made[name] = made[name] || strings.Contains(r.Subject, ".CONSUMER.CREATE.")
		deleted[name] = deleted[name] || strings.Contains(r.Subject, ".CONSUMER.DELETE.")
	}
	for name := range made {
		if !deleted[name] {
			t.Errorf("consumer %s was not deleted", name)
		}
	}
	if len(made) < 10 {
		t.Errorf("%d consumers were made", len(made))
	}
}

// A walk is no faster than it may be, and the server is told; where that keeps
// the server from sending at all, because it does not allow a message as large
// as they are at once, it is not.
func TestWalkAtARate(t *testing.T) {
	t.Parallel()
	server := start(t, alone)
	nc := dial(t, server.URL())
	api := connect(t, server.URL(), silence*maxHeartbeat).At("$JS.API")
	for name, largest := range map[string]int32{"unlimited": -1, "small": 16} {
		t.Run(name, func(t *testing.T) {
			const n, rate = 300, 400
			s := newStream(t, nc, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, MaxMsgSize: largest})
			s.put(t, name, n, 0, 1)
			start := time.Now()
			w := begin(t, api, WalkOptions{Stream: name, From: 1, To: n, Rate: rate})
			c, err := s.PushConsumer(t.Context(), w.name)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.CachedInfo().Config.RateLimit; got != 8*headSize*rate {
				t.Errorf("the server is told %d bit/s", got)
			}
			got, err := rest(w)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, sequence(1, n))
			if took := time.Since(start); took < (n-rate/50)*time.Second/rate {
				t.Errorf("it took %v", took)
			}
			w.Close()
			s.noConsumers(t)
		})
	}
}

// FuzzAck: whatever a subject is, reading it does not panic, and what is read
// is what the server wrote.
func FuzzAck(f *testing.F) {
	f.Add("$JS.ACK.KV_demo.c.1.17.4.1700000000000000000.9")
	f.Add("$JS.ACK.hub.ABCDEF.KV_demo.c.1.17.4.1700000000000000000.9.random")
	f.Add("$JS.ACK._.ABCDEF.KV_demo.c.1.17.4.1700000000000000000.9")
	f.Add("$JS.ACK.KV_demo.c.1.17.4.1700000000000000000.9.10")
	f.Add("$JS.ACK.KV_demo.c.1.-17.4.5.9")
	f.Add("$JS.ACK.........")
	f.Add("")
	f.Fuzz(func(t *testing.T, reply string) {
		p, err := parseAck(reply)
		if err != nil {
			if p != (position{}) {
				t.Errorf("%q: %v and %v", reply, p, err)
			}
			return
		}
		skip, tokens := 4, strings.Split(reply, ".")
		if len(tokens) > 9 {
			skip = 6
		}
		for i, value := range []uint64{p.seq, p.delivered, uint64(p.time), p.pending} {
			n, err := strconv.ParseUint(tokens[skip+1+i], 10, 64)
			if i == 2 {
				at, e := strconv.ParseInt(tokens[skip+1+i], 10, 64)
				n, err = uint64(at), e
			}
			if err != nil || n != value {
				t.Errorf("%q: token %d is %d", reply, skip+1+i, value)
			}
		}
	})
}

func TestAck(t *testing.T) {
	want := position{seq: 17, delivered: 4, pending: 9, time: 1700000000000000000}
	for reply, ok := range map[string]bool{
		"$JS.ACK.S.c.1.17.4.1700000000000000000.9":              true,
		"$JS.ACK._.ACC.S.c.1.17.4.1700000000000000000.9":        true,
		"$JS.ACK.hub.ACC.S.c.1.17.4.1700000000000000000.9.more": true,
		"$JS.ACK.S.c.1.17.4.1700000000000000000":                false,
		"$JS.ACK.S.c.1.17.4.1700000000000000000.9.more":         false,
		"$JS.ACK.S.c.1.x.4.1700000000000000000.9":               false,
		"$JS.FC.S.c.1.17.4.1700000000000000000.9":               false,
		"": false,
	} {
		got, err := parseAck(reply)
		if (err == nil) != ok || ok && got != want {
			t.Errorf("%q: %+v, %v", reply, got, err)
		}
	}
}

// FuzzHeads: what is put into a buffer comes out of it.
func FuzzHeads(f *testing.F) {
	f.Add(uint64(1), int64(1_700_000_000_000_000_000), "$KV.demo.key", "5s", []byte("value"), true, 3)
	f.Add(uint64(1<<63), int64(-1), "", "", []byte{}, false, 1)
	f.Add(uint64(7), int64(1<<62), "s", "never", []byte("x"), false, 200)
	f.Fuzz(func(t *testing.T, seq uint64, at int64, subject, ttl string, body []byte, bodies bool, n int) {
		n = min(max(n, 0), 300)
		var buf headBuffer
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
			r := headReader{buf: &buf}
			for i := range n {
				s, at, m := message(i)
				size := len(body) + i
				if bodies {
					size = len(body)
				}
				h := r.next()
				if h == nil || h.Seq != s || h.Time != at || h.Size != size || string(h.Subject) != m.Subject ||
					string(h.ControlHeaders) != decisiveOf(m.Header) || (h.Digest != nil) != bodies || bodies && !bytes.Equal(h.Digest, digest(m)) {
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

// A consumer on a replica that is behind has nothing to send, though there is
// more: the leader knows.
func TestWalkOnReplicaThatIsBehind(t *testing.T) {
	t.Parallel()
	const n = 100
	server := start(t, alone)
	nc := dial(t, server.URL())
	s := newStream(t, nc, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	s.put(t, "s", n, 0, 10)
	for _, test := range []struct {
		name       string
		behind     int64 // how many consumers are: they begin after the last message
		replicated bool
		denied     bool // the leader may not be asked
		want       uint64
		err        error
	}{
		{"once", 1, true, false, n, nil},
		{"five times", 5, true, false, n, nil},
		{"for ever", 1 << 40, true, false, 0, ErrTimeout},
		{"no replicas", 1 << 40, false, false, 0, nil},
		{"unknown", 1, true, true, 0, ErrNoResponders},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			prefix := "BEHIND." + strings.ReplaceAll(test.name, " ", "_")
			var made atomic.Int64
			serve := func(subject string, change func([]byte) []byte) {
				sub, err := nc.Subscribe(prefix+"."+subject, func(m *nats.Msg) {
					data := change(m.Data)
					go func() {
						if r, err := nc.Request("$JS.API"+strings.TrimPrefix(m.Subject, prefix), data, 30*time.Second); err == nil {
							_ = m.Respond(r.Data)
						}
					}()
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = sub.Unsubscribe() })
			}
			serve("CONSUMER.DELETE.>", func(data []byte) []byte { return data })
			if !test.denied {
				serve("STREAM.MSG.GET.>", func(data []byte) []byte { return data })
			}
			serve("CONSUMER.CREATE.>", func(data []byte) []byte {
				if made.Add(1) > test.behind {
					return data
				}
				return bytes.Replace(data, []byte(`"opt_start_seq":1,`), fmt.Appendf(nil, `"opt_start_seq":%d,`, 10*n), 1)
			})
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			api := connect(t, server.URL(), 3*time.Second).At(prefix)
			w, err := api.Walk(t.Context(), WalkOptions{Stream: "S", From: 1, To: n, Replicated: test.replicated})
			var got []uint64
			if err == nil {
				t.Cleanup(w.Close)
				got, err = rest(w)
			}
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("%v, want %v", err, test.err)
			}
			same(t, got, sequence(1, test.want))
		})
	}
}
