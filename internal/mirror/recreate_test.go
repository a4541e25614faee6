package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/natstest"
)

// unrecreatable are states of a mirror that, once deleted, could not be created again,
// or not hold then what it has to.
var unrecreatable = []struct {
	name     string
	change   func(t *testing.T, l *lostLab)
	says     string
	settings kvcfg.Settings
}{
	{"the account requires max bytes", func(t *testing.T, l *lostLab) {
		l.limit(t, func(a *server.JetStreamAccountLimits) { a.MaxBytesRequired = true })
	}, "max bytes", kvcfg.Settings{}},
	{"the account has no storage", func(t *testing.T, l *lostLab) {
		l.limit(t, func(a *server.JetStreamAccountLimits) { a.MaxMemory = 100 })
	}, "needs", kvcfg.Settings{}},
	{"the account has too many streams", func(t *testing.T, l *lostLab) {
		api(t, l.leaf, "STREAM.CREATE.other", map[string]any{"name": "other", "storage": "memory"}, nil)
		l.limit(t, func(a *server.JetStreamAccountLimits) { a.MaxStreams = 1 })
	}, "streams", kvcfg.Settings{}},
	{"the account has no storage to reserve", func(t *testing.T, l *lostLab) {
		l.again(t, map[string]any{"max_bytes": 1 << 19})
		l.isAt(t, 5)
		l.limit(t, func(a *server.JetStreamAccountLimits) { a.MaxMemory = 1 << 20 })
	}, "(10028)", kvcfg.Settings{MaxBucketSize: new(int64(1<<20 + 1))}},
	{"it sets fewer bytes than there are", func(*testing.T, *lostLab) {}, "150 bytes at the most", kvcfg.Settings{MaxBucketSize: new(int64(150))}},
	{"it is sealed", func(t *testing.T, l *lostLab) {
		config := map[string]any{}
		for field, value := range l.is(t).Config {
			config[field] = value
		}
		config["sealed"] = true
		api(t, l.leaf, "STREAM.UPDATE.KV_m", config, nil)
	}, "sealed", kvcfg.Settings{}},
	{"it takes fewer messages than there are", func(t *testing.T, l *lostLab) {
		l.again(t, map[string]any{"max_msgs": 3})
		l.isAt(t, 3)
	}, "3 messages at the most", kvcfg.Settings{}},
	{"it takes fewer bytes than there are", func(t *testing.T, l *lostLab) {
		l.again(t, map[string]any{"max_bytes": 150})
		l.isAt(t, 1)
	}, "150 bytes at the most", kvcfg.Settings{}},
	{"its retention is workqueue", func(t *testing.T, l *lostLab) {
		l.again(t, map[string]any{"retention": "workqueue"})
		l.isAt(t, 5)
	}, "workqueue", kvcfg.Settings{}},
	{"it reads through a durable consumer", func(t *testing.T, l *lostLab) {
		api(t, l.hub, "CONSUMER.CREATE.KV_demo.feed", map[string]any{"stream_name": "KV_demo", "config": map[string]any{
			"durable_name": "feed", "name": "feed", "deliver_subject": "feed.demo", "ack_policy": "flow_control", "flow_control": true, "idle_heartbeat": time.Second, "max_ack_pending": 1000,
		}}, nil)
		l.again(t, map[string]any{"mirror": map[string]any{"name": "KV_demo", "external": map[string]any{"api": "$JS.hub.API"}, "consumer": map[string]any{"name": "feed", "deliver_subject": "feed.demo"}}})
	}, `through the consumer "feed"`, kvcfg.Settings{}},
}

// A mirror that could not be created again, or not hold what it has to, is not deleted;
// a plan says so.
func TestRecreateRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range unrecreatable {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLostLab(t, 5)
			test.change(t, l)
			before := l.is(t)
			plan, err := l.client.PlanRecreate(t.Context(), RecreateRequest{Bucket: "m", AcceptLoss: 5, Settings: test.settings, BackupDir: t.TempDir()})
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), test.says) || plan.Action == WouldRecreate {
				t.Errorf("%v, action %q", err, plan.Action)
			}
			if now := l.is(t); !now.there() || !now.Created.Equal(before.Created) || len(l.scratch(t)) > 0 {
				t.Errorf("the mirror is %+v, and left are %q", now, l.scratch(t))
			}
		})
	}
}

// One that can be created is, also where there is just room for one.
func TestRecreateAllows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		change   func(t *testing.T, l *lostLab)
		settings kvcfg.Settings
	}{
		{"as it is", func(*testing.T, *lostLab) {}, kvcfg.Settings{}},
		{"no room for another stream", func(t *testing.T, l *lostLab) {
			l.limit(t, func(a *server.JetStreamAccountLimits) { a.MaxStreams = 1 })
		}, kvcfg.Settings{}},
		{"its bytes are all that the account has", func(t *testing.T, l *lostLab) {
			l.again(t, map[string]any{"max_bytes": 1 << 20})
			l.isAt(t, 5)
			l.limit(t, func(a *server.JetStreamAccountLimits) { a.MaxMemory, a.MaxBytesRequired = 1<<20, true })
		}, kvcfg.Settings{}},
		{"the account requires max bytes, which it gets", func(t *testing.T, l *lostLab) {
			l.limit(t, func(a *server.JetStreamAccountLimits) { a.MaxBytesRequired = true })
		}, kvcfg.Settings{MaxBucketSize: new(int64(1 << 20))}},
		{"its bytes become all that the account has", func(t *testing.T, l *lostLab) {
			l.again(t, map[string]any{"max_bytes": 1 << 19})
			l.isAt(t, 5)
			l.limit(t, func(a *server.JetStreamAccountLimits) { a.MaxMemory = 1 << 20 })
		}, kvcfg.Settings{MaxBucketSize: new(int64(1 << 20))}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLostLab(t, 5)
			test.change(t, l)
			plan, err := l.client.PlanRecreate(t.Context(), RecreateRequest{Bucket: "m", Settings: test.settings, BackupDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			if r, err := plan.Apply(t.Context()); err != nil || r.Action != Recreated || l.is(t).State.Msgs != 5 || len(l.scratch(t)) > 0 {
				t.Errorf("%v, %+v, left are %q", err, r, l.scratch(t))
			}
		})
	}
}

// sameDomain is a server with a bucket demo and its mirror m beside it, and two users:
// one that may do all, and one that may create and delete no other stream than m.
const sameDomain = `
listen: 127.0.0.1:-1
jetstream: {store_dir: "{{dir}}", domain: hub}
authorization: {users: [
  {user: all, password: all}
  {user: only, password: only, permissions: {subscribe: ">", publish: ["$JS.API.INFO", "$JS.API.STREAM.INFO.>", "$JS.API.CONSUMER.>", "$JS.API.STREAM.CREATE.KV_m", "$JS.API.STREAM.DELETE.KV_m", "$JS.FC.>"]}}
]}
`

// In its origin's own domain a scratch mirror, which is empty, would answer the direct
// gets of its origin. A user that may create only the mirror itself recreates it all
// the same, and leaves nothing.
func TestRecreateInSameDomain(t *testing.T) {
	t.Parallel()
	s, err := natstest.Start(sameDomain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	as := func(user string) string { return "nats://" + user + ":" + user + "@" + s.Addr() }
	nc := dial(t, as("all"))
	l := &lostLab{Sites: &natstest.Sites{Hub: s, Leaf: s}, hub: nc, leaf: nc}
	l.origin(t, "demo", nil)
	for i := range 5 {
		l.put(t, fmt.Sprint("demo.k", i))
	}
	l.mirror(t, map[string]any{"mirror": map[string]any{"name": "KV_demo"}})
	l.isAt(t, 5)
	done := make(chan struct{})
	got := make(chan string, 1)
	go func() {
		defer close(got)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			m, err := nc.Request(fmt.Sprint("$JS.API.DIRECT.GET.KV_demo.$KV.demo.k", i%5), nil, time.Minute)
			if err != nil || string(m.Data) != "value" {
				got <- fmt.Sprintf("%v %+v", err, m)
				return
			}
		}
	}()
	c := l.connect(t, as("all"), Observer{})
	for range 20 {
		if _, err := c.PlanRecreate(t.Context(), RecreateRequest{Bucket: "m"}); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	if wrong, ok := <-got; ok {
		t.Errorf("a direct get of the origin: %s", wrong)
	}
	plan, err := l.connect(t, as("only"), Observer{}).PlanRecreate(t.Context(), RecreateRequest{Bucket: "m", BackupDir: t.TempDir()})
	if err != nil || len(plan.Warnings) == 0 || plan.Warnings[0].Code != "not-tried" {
		t.Fatalf("%v, %+v", err, plan.Warnings)
	}
	if r, err := plan.Apply(t.Context()); err != nil || r.Action != Recreated || len(l.scratch(t)) > 0 {
		t.Errorf("%v, %+v, left are %q", err, r, l.scratch(t))
	}
}

// What the settings of another stream say excuses no loss.
func TestLossByAnotherOrigin(t *testing.T) {
	t.Parallel()
	young := map[string]any{"max_age": time.Second}
	for _, test := range []struct {
		name   string
		change func(t *testing.T, l *lostLab) (origin *string)
		loss   uint64
	}{
		{"the same origin", func(*testing.T, *lostLab) *string { return nil }, 0},
		{"another with a shorter maximum age", func(t *testing.T, l *lostLab) *string {
			l.origin(t, "other", young)
			return new("other")
		}, 5},
		{"created again with a shorter maximum age", func(t *testing.T, l *lostLab) *string {
			api(t, l.hub, "STREAM.DELETE.KV_demo", nil, nil)
			l.origin(t, "demo", young)
			return nil
		}, 5},
		{"purged", func(t *testing.T, l *lostLab) *string {
			api(t, l.hub, "STREAM.PURGE.KV_demo", nil, nil)
			return nil
		}, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLostLab(t, 5)
			origin := test.change(t, l)
			plan, err := l.client.PlanRecreate(t.Context(), RecreateRequest{Bucket: "m", Origin: OriginChange{Bucket: origin}, BackupDir: t.TempDir()})
			if err != nil || plan.Loss != test.loss {
				t.Fatalf("%v, a loss of %d", err, plan.Loss)
			}
			if test.loss == 0 {
				return
			}
			if _, err := plan.Apply(t.Context()); !errors.Is(err, ErrRefused) || l.is(t).State.Msgs != 5 {
				t.Errorf("%v, and the mirror holds %d messages", err, l.is(t).State.Msgs)
			}
		})
	}
}

// Whatever the state, and wherever a request or its answer is lost, a mirror that cannot
// be created again is there, and one that is not there has its configuration on disk.
func TestRecreateInterrupted(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it is slow")
	}
	for nth := 1; nth <= 12; nth++ {
		for _, verdict := range []natstest.Verdict{natstest.Drop, natstest.Cut} {
			t.Run(fmt.Sprint(nth, verdict), func(t *testing.T) {
				t.Parallel()
				l := newLostLab(t, 5)
				state := (nth + int(verdict)) % (2 * len(unrecreatable))
				req := RecreateRequest{Bucket: "m", AcceptLoss: 5, BackupDir: t.TempDir()}
				if state < len(unrecreatable) {
					unrecreatable[state].change(t, l)
					req.Settings = unrecreatable[state].settings
				}
				l.interrupted(t, nth, verdict, req, state < len(unrecreatable))
			})
		}
	}
}

// interrupted recreates the mirror while the nth message of a write is lost, on its way
// there or back.
func (l *lostLab) interrupted(t *testing.T, nth int, verdict natstest.Verdict, req RecreateRequest, refused bool) {
	t.Helper()
	p := natstest.ProxyTo(t, l.Leaf)
	c, err := Connect(t.Context(), p.URL(), Options{Timeout: 300 * time.Millisecond, Waits: Waits{Poll: 5 * time.Millisecond, Recheck: 5 * time.Millisecond, Stall: time.Second}},
		nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p.SetHook(l.loses(nth, verdict))
	before := l.is(t)
	plan, err := c.PlanRecreate(t.Context(), req)
	if err == nil {
		_, err = plan.Apply(t.Context())
	}
	now := l.is(t)
	saved, globErr := filepath.Glob(filepath.Join(req.BackupDir, "m-*.json"))
	switch {
	case globErr != nil:
		t.Fatal(globErr)
	case refused && (err == nil || !now.Created.Equal(before.Created)):
		t.Errorf("%v, and the mirror, which cannot be created again, is %+v", err, now)
	case !now.there() && (err == nil || len(saved) == 0):
		t.Errorf("%v, the mirror is not there, and its configuration is not saved", err)
	case !now.there():
		if data, err := os.ReadFile(saved[0]); err != nil || !json.Valid(data) {
			t.Errorf("what was saved: %v, %s", err, data)
		}
	}
}

// loses is a hook that loses the nth message of the writes, requests and answers.
func (l *lostLab) loses(nth int, verdict natstest.Verdict) func(natstest.Message) natstest.Verdict {
	var mu sync.Mutex // messages of both directions are asked about at the same time
	replies := map[string]bool{}
	seen := 0
	return func(m natstest.Message) natstest.Verdict {
		mu.Lock()
		defer mu.Unlock()
		write := m.Direction == natstest.ToServer && (strings.Contains(m.Subject, "STREAM.CREATE.") || strings.Contains(m.Subject, "STREAM.DELETE."))
		if write {
			replies[m.Reply] = true
		}
		if !write && (m.Direction == natstest.ToServer || !replies[m.Subject]) {
			return natstest.Pass
		}
		if seen++; seen == nth {
			return verdict
		}
		return natstest.Pass
	}
}
