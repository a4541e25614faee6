package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// testSites is a hub and a leaf on which many runs are played, each with buckets of
// its own, and a connection to both that no fault touches.
type testSites struct {
	*natstest.Sites
	hub, leaf *nats.Conn
	dir       string // of saved configurations
	runs      atomic.Int64
	prefixes  sync.Map // through which the origin of a run's mirror is reached, by bucket
}

// newTestSites runs a hub with the bucket demo, which has per-key TTL and two keys,
// and a leaf.
func newTestSites(t testing.TB) *testSites {
	t.Helper()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	st := &testSites{Sites: sites, hub: connectTo(t, sites.Hub.URL()), leaf: connectTo(t, sites.Leaf.URL()), dir: t.TempDir()}
	st.origin(t, "demo")
	return st
}

// name is a bucket's name that no other run has.
func (st *testSites) name() string { return fmt.Sprintf("run%d", st.runs.Add(1)) }

// api is the prefix through which a run's mirror reaches its origin.
func (st *testSites) api(bucket string) string {
	if prefix, ok := st.prefixes.Load(bucket); ok {
		return prefix.(string)
	}
	return "$JS.hub.API"
}

// askAPI asks a JetStream API directly and decodes the answer into reply. It
// reports false when the answer is that there is no such thing.
func askAPI(t testing.TB, nc *nats.Conn, subject string, body, reply any) bool {
	t.Helper()
	var data []byte
	var err error
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	var answer *nats.Msg
	for range 5 {
		if answer, err = nc.Request("$JS.API."+subject, data, longest); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	var failed struct {
		Error *struct {
			Code int    `json:"code"`
			Text string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &failed); err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	if failed.Error != nil && failed.Error.Code == 404 {
		return false
	}
	if failed.Error != nil {
		t.Fatalf("%s: %s", subject, failed.Error.Text)
	}
	if err := json.Unmarshal(answer.Data, reply); err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	return true
}

// streamState is a stream as its own server knows it.
type streamState struct {
	there  bool
	Config struct {
		TTL         bool              `json:"allow_msg_ttl"`
		Description string            `json:"description"`
		Metadata    map[string]string `json:"metadata"`
		Subjects    []string          `json:"subjects"`
	} `json:"config"`
	Created time.Time `json:"created"`
	State   struct {
		Msgs      uint64 `json:"messages"`
		Last      uint64 `json:"last_seq"`
		Consumers int    `json:"consumer_count"`
	} `json:"state"`
	Mirror *struct {
		Active time.Duration `json:"active"`
	} `json:"mirror"`
}

// connected says whether the mirror has heard from its origin.
func (s streamState) connected() bool { return s.Mirror != nil && s.Mirror.Active >= 0 }

func readStream(t testing.TB, nc *nats.Conn, bucket string) streamState {
	t.Helper()
	var is streamState
	is.there = askAPI(t, nc, "STREAM.INFO.KV_"+bucket, nil, &is)
	return is
}

// origin makes a bucket with per-key TTL and two keys at the hub.
func (st *testSites) origin(t testing.TB, bucket string) {
	t.Helper()
	askAPI(t, st.hub, "STREAM.CREATE.KV_"+bucket, map[string]any{
		"name": "KV_" + bucket, "subjects": []string{"$KV." + bucket + ".>"}, "storage": "memory",
		"max_msgs_per_subject": 1, "max_bytes": -1, "max_msgs": -1, "max_msg_size": -1, "discard": "new", "deny_delete": true, "allow_rollup_hdrs": true,
		"allow_direct": true, "allow_msg_ttl": true, "subject_delete_marker_ttl": time.Minute,
	}, &struct{}{})
	for _, key := range []string{"a", "b"} {
		if _, err := st.hub.Request("$KV."+bucket+"."+key, []byte("value"), longest); err != nil {
			t.Fatal(err)
		}
	}
}

// mirror makes a mirror as other tools make it, without per-key TTL, and waits
// until it has all.
func (st *testSites) mirror(t testing.TB, bucket, origin string) {
	t.Helper()
	askAPI(t, st.leaf, "STREAM.CREATE.KV_"+bucket, map[string]any{
		"name": "KV_" + bucket, "storage": "memory", "max_msgs_per_subject": 1, "max_bytes": -1, "max_msgs": -1, "max_msg_size": -1,
		"discard": "new", "deny_delete": true, "allow_rollup_hdrs": true, "allow_direct": true, "mirror_direct": true,
		"mirror": map[string]any{"name": "KV_" + origin, "external": map[string]any{"api": st.api(bucket)}},
	}, &struct{}{})
	waitUntil(t, "the mirror has all of its origin", func() bool {
		is := readStream(t, st.leaf, bucket)
		return is.State.Last == 2 && is.connected()
	})
}

// result is what a run of any command came to.
type result struct {
	code    int
	action  mirror.Action
	failure *mirror.Failure
	members []mirror.Member
	stdout  string
	stderr  string
	began   time.Time
	took    time.Duration
}

// says is all that the document says in words.
func (r result) says() string {
	var all []string
	if r.failure != nil {
		all = append(all, r.failure.Message)
	}
	for _, m := range r.members {
		all = append(all, m.Note)
		if m.Failure != nil {
			all = append(all, m.Failure.Message)
		}
	}
	return strings.Join(all, "\n")
}

// play runs a command in this process with --json and reads its document.
func play(t testing.TB, ctx context.Context, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	began := time.Now()
	code := Run(ctx, append(args, "--json", "--no-context"), Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	r, err := readDocument(out.Bytes())
	if err != nil {
		t.Fatalf("%q: %v\n%s\n%s", args, err, out.String(), errs.String())
	}
	r.code, r.stderr, r.began, r.took = code, errs.String(), began, time.Since(began)
	return r
}

// readDocument reads a document of any command.
func readDocument(data []byte) (result, error) {
	var doc struct {
		Action  mirror.Action   `json:"action"`
		Error   *mirror.Failure `json:"error"`
		Mirrors []mirror.Member `json:"mirrors"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&doc); err != nil {
		return result{}, fmt.Errorf("stdout is no JSON document: %w", err)
	}
	if err := validate(data); err != nil {
		return result{}, err
	}
	return result{action: doc.Action, failure: doc.Error, members: doc.Mirrors, stdout: string(data)}, nil
}

// interruption ends a context when a request is seen, after another one was.
type interruption struct {
	at, after string // parts of the subjects
	seen      atomic.Bool
	cancel    context.CancelFunc
}

func atRequest(at, after string) *interruption { return &interruption{at: at, after: after} }

func (i *interruption) context(t testing.TB) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	i.cancel = cancel
	return ctx, cancel
}

func (i *interruption) hook(m natstest.Message) natstest.Verdict {
	switch {
	case m.Direction != natstest.ToServer:
	case strings.Contains(m.Subject, i.after):
		i.seen.Store(true)
	case i.seen.Load() && strings.Contains(m.Subject, i.at):
		i.cancel()
	}
	return natstest.Pass
}

// leftOver makes an origin and a mirror that holds one message more: a purge
// through the API is not replicated.
func (st *testSites) leftOver(t testing.TB, bucket string) {
	t.Helper()
	st.origin(t, bucket)
	st.mirror(t, bucket, bucket)
	askAPI(t, st.hub, "STREAM.PURGE.KV_"+bucket, map[string]any{"filter": "$KV." + bucket + ".a"}, &struct{}{})
}
