package mirror

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/natstest"
)

// lostLab is a hub and a leaf with a bucket demo and its mirror m, of which each test
// makes its own state.
type lostLab struct {
	*natstest.Sites
	hub, leaf *nats.Conn
	client    *Client
}

// newLostLab makes them with so many keys.
func newLostLab(t *testing.T, keys int) *lostLab {
	t.Helper()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	l := &lostLab{Sites: sites, hub: dial(t, sites.Hub.URL()), leaf: dial(t, sites.Leaf.URL())}
	l.client = l.connect(t, sites.Leaf.URL(), Observer{})
	l.origin(t, "demo", nil)
	for i := range keys {
		l.put(t, fmt.Sprint("demo.k", i))
	}
	l.mirror(t, nil)
	l.isAt(t, uint64(keys))
	return l
}

func dial(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// connect is a client that waits for nothing longer than a test has to.
func (l *lostLab) connect(t *testing.T, url string, o Observer) *Client {
	t.Helper()
	c, err := Connect(t.Context(), url, Options{Timeout: 10 * time.Second, Observer: o, Waits: Waits{
		Poll: 5 * time.Millisecond, SecondRead: 5 * time.Millisecond, Recheck: 5 * time.Millisecond, CatchUp: 2 * time.Second, Stall: 10 * time.Second, Watch: 50 * time.Millisecond,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// origin makes a bucket at the hub, with changes of its configuration.
func (l *lostLab) origin(t *testing.T, bucket string, changes map[string]any) {
	t.Helper()
	config := map[string]any{
		"name": "KV_" + bucket, "subjects": []string{"$KV." + bucket + ".>"}, "storage": "memory", "max_msgs_per_subject": 1, "discard": "new",
		"allow_rollup_hdrs": true, "allow_direct": true, "allow_msg_ttl": true,
	}
	for field, value := range changes {
		config[field] = value
	}
	api(t, l.hub, "STREAM.CREATE.KV_"+bucket, config, nil)
}

// mirror makes the mirror at the leaf, with changes of its configuration.
func (l *lostLab) mirror(t *testing.T, changes map[string]any) {
	t.Helper()
	config := map[string]any{
		"name": "KV_m", "storage": "memory", "max_msgs_per_subject": 1, "discard": "new", "deny_delete": true, "allow_rollup_hdrs": true, "allow_direct": true,
		"mirror_direct": true, "allow_msg_ttl": true, "mirror": map[string]any{"name": "KV_demo", "external": map[string]any{"api": "$JS.hub.API"}},
	}
	for field, value := range changes {
		config[field] = value
	}
	api(t, l.leaf, "STREAM.CREATE.KV_m", config, nil)
}

// again makes the mirror again.
func (l *lostLab) again(t *testing.T, changes map[string]any) {
	t.Helper()
	api(t, l.leaf, "STREAM.DELETE.KV_m", nil, nil)
	l.mirror(t, changes)
}

func (l *lostLab) put(t *testing.T, key string) {
	t.Helper()
	if _, err := l.hub.Request("$KV."+key, []byte("value"), time.Minute); err != nil {
		t.Fatal(err)
	}
}

// isAt waits until the mirror is at a sequence.
func (l *lostLab) isAt(t *testing.T, seq uint64) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if is := l.is(t); is.State.LastSeq >= seq {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the mirror is not at sequence %d", seq)
		}
	}
}

// lostState is the mirror as its server has it.
type lostState struct {
	Created time.Time `json:"created"`
	State   struct {
		Msgs    uint64 `json:"messages"`
		LastSeq uint64 `json:"last_seq"`
	} `json:"state"`
	Config map[string]json.RawMessage `json:"config"`
	Error  *struct {
		Code int `json:"code"`
	} `json:"error"`
}

func (s lostState) there() bool { return s.Error == nil }

func (l *lostLab) is(t *testing.T) (s lostState) {
	t.Helper()
	answer, err := l.leaf.Request("$JS.API.STREAM.INFO.KV_m", nil, time.Minute)
	if err == nil {
		err = json.Unmarshal(answer.Data, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// scratch are the scratch mirrors that were left.
func (l *lostLab) scratch(t *testing.T) (left []string) {
	t.Helper()
	var list struct {
		Streams []string `json:"streams"`
	}
	api(t, l.leaf, "STREAM.NAMES", nil, &list)
	for _, name := range list.Streams {
		if strings.Contains(name, "probe") {
			left = append(left, name)
		}
	}
	return left
}

// limit sets what the leaf's account may have.
func (l *lostLab) limit(t *testing.T, change func(*server.JetStreamAccountLimits)) {
	t.Helper()
	limits := server.JetStreamAccountLimits{MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1}
	change(&limits)
	account, err := l.Leaf.Underlying().LookupAccount(server.DEFAULT_GLOBAL_ACCOUNT)
	if err == nil {
		err = account.UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// api asks a JetStream API, which has to agree.
func api(t *testing.T, nc *nats.Conn, subject string, body, reply any) {
	t.Helper()
	var data []byte
	if body != nil {
		data, _ = json.Marshal(body)
	}
	answer, err := nc.Request("$JS.API."+subject, data, time.Minute)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	var failed struct{ Error json.RawMessage }
	if err := json.Unmarshal(answer.Data, &failed); err != nil || failed.Error != nil {
		t.Fatalf("%s: %v %s", subject, err, answer.Data)
	}
	if reply != nil {
		if err := json.Unmarshal(answer.Data, reply); err != nil {
			t.Fatal(err)
		}
	}
}
