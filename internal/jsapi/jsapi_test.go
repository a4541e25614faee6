package jsapi

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/natstest"
	"nats-kvmirror/internal/stream"
)

func TestAnswersAreSorted(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		kind         error
		says         string
	}{
		{"stream not found", `{"type":"x","error":{"code":404,"err_code":10059,"description":"stream not found"}}`, ErrNotFound, "stream not found (10059)"},
		{"message not found", `{"type":"x","error":{"code":404,"err_code":10037,"description":"no message found"}}`, ErrNotFound, "(10037)"},
		{"account without", `{"type":"x","error":{"code":503,"err_code":10039,"description":"not enabled for account"}}`, ErrNoJetStream, "(10039)"},
		{"server without", `{"type":"x","error":{"code":503,"err_code":10076,"description":"not enabled"}}`, ErrNoJetStream, "(10076)"},
		{"old server", `{"type":"x","error":{"code":412,"err_code":10185,"description":"level"}}`, ErrOldServer, "(10185)"},
		{"anything else", `{"type":"x","error":{"code":500,"err_code":10052,"description":"no"}}`, ErrRejected, "no (10052)"},
		{"only an HTTP code", `{"type":"x","error":{"code":500,"description":"no"}}`, ErrRejected, "no (500)"},
		{"empty", ``, ErrMalformed, "malformed"},
		{"no JSON", `truncated {`, ErrMalformed, "malformed"},
		{"truncated", `{"type":"x","config":{"na`, ErrMalformed, "malformed"},
		{"no type", `{}`, ErrMalformed, "no type"},
		{"an array", `[]`, ErrMalformed, "malformed"},
		{"no configuration", `{"type":"x"}`, ErrMalformed, "no configuration"},
		{"null configuration", `{"type":"x","config":null}`, ErrMalformed, "no configuration"},
		{"wrong type", `{"type":"x","config":{"name":"KV_a","max_age":"long"}}`, ErrMalformed, "max_age"},
		{"another stream", `{"type":"x","config":{"name":"KV_b"}}`, ErrMalformed, `"KV_b"`},
		{"fine", `{"type":"x","config":{"name":"KV_a","unheard_of":[1,{"a":null}]}}`, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := (&API{prefix: "X"}).infoOf("SUBJECT", "KV_a", []byte(test.answer))
			if !errors.Is(err, test.kind) || (err == nil) != (test.kind == nil) {
				t.Fatalf("got %v, want %v", err, test.kind)
			}
			if err == nil {
				if got := string(s.Config.Raw()["unheard_of"]); got != `[1,{"a":null}]` {
					t.Errorf("the unknown field became %s", got)
				}
				return
			}
			if !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), `"SUBJECT"`) {
				t.Errorf("%q does not say %q and the subject", err, test.says)
			}
		})
	}
}

// FuzzAnswer: whatever a server answers, reading it does not panic, fails in a known
// way, and what is taken for a stream, a message or a success is one.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"type":"x","config":{"name":"KV_a","max_age":1}}`))
	f.Add([]byte(`{"type":"x","error":{"code":404,"err_code":10059}}`))
	f.Add([]byte(`{"type":"x","total":1,"streams":[{"config":{"name":"KV_a"}},{"config":7}],"missing":["KV_b"]}`))
	f.Add([]byte(`{"type":"x","total":-1,"streams":null}`))
	f.Add([]byte(`{"type":"x","domain":"hub","api":{"level":1,"total":7}}`))
	f.Add([]byte(`{"type":"x","message":{"seq":7,"subject":"$KV.a.b","hdrs":"TkFUUy8xLjANCk5hdHMtVFRMOiA1cw0KDQo="}}`))
	f.Add([]byte(`{"type":"x","message":{"seq":6,"hdrs":"TkFUUy8xLjA="}}`))
	f.Add([]byte(`{"type":"x","success":true,"purged":3}`))
	f.Add([]byte(`{"type":"x","success":false}`))
	kinds := []error{ErrNotFound, ErrNoJetStream, ErrOldServer, ErrRejected, ErrMalformed}
	f.Fuzz(func(t *testing.T, data []byte) {
		const from = 7
		stream, streamErr := (&API{prefix: "X"}).infoOf("SUBJECT", "KV_a", data)
		if streamErr == nil && stream.Config.Name != "KV_a" {
			t.Errorf("took %q for KV_a", stream.Config.Name)
		}
		page, pageErr := pageOf("X", "SUBJECT", data)
		if pageErr == nil && page.Total < 0 {
			t.Errorf("a list of %d streams", page.Total)
		}
		seq, _, messageErr := messageOf("SUBJECT", from, data)
		if messageErr == nil && seq < from {
			t.Errorf("took message %d for one from %d on", seq, from)
		}
		_, successErr := successOf("SUBJECT", data)
		if says := (struct{ Success bool }{}); successErr == nil && (json.Unmarshal(data, &says) != nil || !says.Success) {
			t.Errorf("took %s for a success", data)
		}
		_, accountErr := accountOf("SUBJECT", data)
		_, headerErr := headerOf("SUBJECT", TTLHeader, data)
		for _, err := range []error{streamErr, pageErr, messageErr, successErr, accountErr, headerErr} {
			var e *Error
			if err != nil && (!errors.As(err, &e) || !slices.Contains(kinds, e.Kind) || e.Subject != "SUBJECT") {
				t.Errorf("an error of no kind: %v", err)
			}
		}
	})
}

func connect(t *testing.T, url string, timeout time.Duration) *Conn {
	t.Helper()
	c, err := Connect(t.Context(), url, timeout, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Silence, denial and a link that is gone are told apart, and all but plain
// silence long before the timeout.
func TestFailuresComeFast(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	nc, err := nats.Connect(sites.Leaf.URL(), nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	last := make(chan struct{}, queryAttempts)
	for _, subscription := range []struct {
		stream string
		is     func(*nats.Msg)
	}{{"KV_a", func(*nats.Msg) {}}, {"KV_last", func(*nats.Msg) { last <- struct{}{} }}} {
		if _, err := nc.Subscribe("FROZEN.STREAM.INFO."+subscription.stream, subscription.is); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}

	patient := connect(t, sites.Leaf.URL(), time.Minute)
	for _, test := range []struct {
		prefix string
		kind   error
	}{{"$JS.API", ErrNotFound}, {"$JS.hub.API", ErrNotFound}, {"$JS.typo.API", ErrNoResponders}} {
		start := time.Now()
		if _, err := patient.At(test.prefix).Stream(t.Context(), "KV_a"); !errors.Is(err, test.kind) {
			t.Errorf("%s: %v, want %v", test.prefix, err, test.kind)
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s: it took %v", test.prefix, took)
		}
	}
	if _, err := connect(t, sites.Leaf.URL(), time.Second).At("FROZEN").Stream(t.Context(), "KV_a"); !errors.Is(err, ErrTimeout) {
		t.Errorf("frozen: %v, want %v", err, ErrTimeout)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := patient.At("FROZEN").Stream(ctx, "KV_a"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, want %v", err, context.Canceled)
	}

	waiting := make(chan error, 1)
	go func() {
		_, err := patient.At("FROZEN").Stream(t.Context(), "KV_last")
		waiting <- err
	}()
	<-last
	sites.Leaf.Shutdown()
	select {
	case err := <-waiting:
		if !errors.Is(err, ErrDisconnected) {
			t.Errorf("server gone: %v, want %v", err, ErrDisconnected)
		}
	case <-time.After(30 * time.Second):
		t.Error("a request outlives its connection")
	}
}

// A question that is not answered, or answered that there is no leader, is put
// again; a write is sent once.
func TestQuestionsArePutAgain(t *testing.T) {
	slow(t)
	t.Parallel()
	s, err := natstest.Start("listen: 127.0.0.1:-1\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	nc, err := nats.Connect(s.URL(), nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	const (
		leaderless = `{"type":"x","error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`
		found      = `{"type":"x","config":{"name":"KV_a"}}`
		silence    = ""
	)
	for prefix, test := range map[string]struct {
		answers []string // to the first, the second … time; silence after the last
		kind    error
		asked   int64
	}{
		"LATE":       {[]string{silence, silence, found}, nil, 3},
		"ELECTED":    {[]string{leaderless, silence, found}, nil, 3},
		"LEADERLESS": {[]string{leaderless, leaderless, leaderless, leaderless}, ErrRejected, queryAttempts},
		"LEFT":       {[]string{silence, leaderless}, ErrRejected, queryAttempts},
		"SILENT":     {nil, ErrTimeout, queryAttempts},
	} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			var asked, written atomic.Int64
			subscribe := func(subject string, answer nats.MsgHandler) {
				t.Helper()
				if _, err := nc.Subscribe(subject, answer); err != nil {
					t.Fatal(err)
				}
			}
			subscribe(prefix+".STREAM.INFO.KV_a", func(m *nats.Msg) {
				if n := int(asked.Add(1)); n <= len(test.answers) && test.answers[n-1] != silence {
					_ = m.Respond([]byte(test.answers[n-1]))
				}
			})
			subscribe(prefix+".STREAM.UPDATE.KV_a", func(*nats.Msg) { written.Add(1) })
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			// A busy machine may be half a second late.
			patient := connect(t, s.URL(), 6*time.Second).At(prefix)
			if _, err := patient.Stream(t.Context(), "KV_a"); !errors.Is(err, test.kind) || (err == nil) != (test.kind == nil) {
				t.Errorf("%v, want %v", err, test.kind)
			}
			if n := asked.Load(); n != test.asked {
				t.Errorf("it was asked %d times, want %d", n, test.asked)
			}
			api := connect(t, s.URL(), 2*time.Second).At(prefix)
			if _, err := api.Update(t.Context(), Write{Config: stream.Raw{"name": []byte(`"KV_a"`)}}); !errors.Is(err, ErrTimeout) {
				t.Errorf("the write: %v, want %v", err, ErrTimeout)
			}
			if n := written.Load(); n != 1 {
				t.Errorf("it was written %d times", n)
			}
		})
	}
}

// A stream is written as it is given, and comes back with all that the server
// knows of it.
func TestCreateUpdateAndMessages(t *testing.T) {
	t.Parallel()
	s, err := natstest.Start(`
listen: 127.0.0.1:-1
jetstream { store_dir: "{{dir}}", max_memory_store: 64MB, max_file_store: 64MB }
`)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	c := connect(t, s.URL(), 10*time.Second)
	api := c.At("$JS.API")
	account, err := api.Account(t.Context())
	if err != nil || account.Level < stream.TTLAPILevel {
		t.Fatalf("API level %d, %v", account.Level, err)
	}
	raw, err := stream.ParseRaw([]byte(`{"name":"KV_a","subjects":["$KV.a.>"],"max_msgs_per_subject":1,"storage":"memory","consumer_limits":{"max_ack_pending":7}}`))
	if err != nil {
		t.Fatal(err)
	}
	made, err := api.Create(t.Context(), Write{Config: raw, Level: stream.TTLAPILevel})
	if err != nil {
		t.Fatal(err)
	}
	if got := raw.NotIn(made.Config.Raw()); len(got) > 0 {
		t.Errorf("the server has other %v", got)
	}
	changed := made.Config.Raw()
	changed["description"] = json.RawMessage(`"changed"`)
	updated, err := api.Update(t.Context(), Write{Config: changed})
	if err != nil || updated.Config.Description != "changed" {
		t.Errorf("description %q, %v", updated.Config.Description, err)
	}
	if _, err := api.Update(t.Context(), Write{Config: changed, Level: 1_000}); !errors.Is(err, ErrOldServer) {
		t.Errorf("an API level of 1000: %v, want %v", err, ErrOldServer)
	}

	for _, key := range []string{"x.1", "y.1", "x.2"} {
		if _, err := c.nc.Request("$KV.a."+key, nil, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		after   uint64
		filters []string
		want    uint64
	}{
		{0, nil, 1}, {1, nil, 2}, {3, nil, 0}, {1, []string{"$KV.a.x.*"}, 3}, {2, []string{"$KV.a.y.>"}, 0},
		{0, []string{"$KV.a.y.>", "$KV.a.x.2"}, 2},
	} {
		if got, err := api.NextPending(t.Context(), "KV_a", test.after, test.filters); err != nil || got != test.want {
			t.Errorf("after %d of %q: %d, %v; want %d", test.after, test.filters, got, err, test.want)
		}
	}
}
