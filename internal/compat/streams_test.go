//go:build faults

package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// The data. A value is so large that file streams of Key-Value buckets, with
// blocks of 4 MB, spread over several: some servers clean the last block alone.
const (
	lasting   = 5   // values that stay
	expiring  = 100 // values that carry a TTL
	valueSize = 128 << 10
)

// api makes a request to the JetStream API, which has to succeed, and decodes the
// answer into reply unless that is nil.
func api(t *testing.T, nc *nats.Conn, subject string, body, reply any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if body == nil {
		data = nil
	}
	answer, err := nc.Request(subject, data, longTimeout)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	var failed struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &failed); err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	if failed.Error != nil {
		t.Fatalf("%s: %s", subject, failed.Error.Description)
	}
	if reply == nil {
		return
	}
	if err := json.Unmarshal(answer.Data, reply); err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
}

// state is what a stream holds.
type state struct {
	Msgs      int    `json:"messages"`
	LastSeq   uint64 `json:"last_seq"`
	Consumers int    `json:"consumer_count"`
}

// info is what a server says of a stream.
type info struct {
	State  state `json:"state"`
	Mirror struct {
		Active time.Duration    `json:"active"` // negative when the link was never active
		Error  *json.RawMessage `json:"error"`
	} `json:"mirror"`
}

// read reads a bucket's stream at a server.
func read(t *testing.T, nc *nats.Conn, bucket string) info {
	t.Helper()
	var i info
	api(t, nc, "$JS.API.STREAM.INFO.KV_"+bucket, nil, &i)
	return i
}

// held is what a bucket holds at a server.
func held(t *testing.T, nc *nats.Conn, bucket string) state {
	t.Helper()
	return read(t, nc, bucket).State
}

// createOrigin makes a bucket with per-key TTL, as far as the server knows it:
// 2.10 ignores the field.
func createOrigin(t *testing.T, nc *nats.Conn, bucket string) {
	t.Helper()
	api(t, nc, "$JS.API.STREAM.CREATE.KV_"+bucket, map[string]any{
		"name": "KV_" + bucket, "subjects": []string{"$KV." + bucket + ".>"}, "retention": "limits", "storage": "file", "discard": "new",
		"num_replicas": 1, "max_msgs_per_subject": 1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": -1, "max_consumers": -1,
		"allow_rollup_hdrs": true, "deny_delete": true, "allow_direct": true, "allow_msg_ttl": true,
	}, nil)
}

// createOldMirror makes a mirror as `nats kv add --mirror` does: without
// per-message TTL.
func createOldMirror(t *testing.T, nc *nats.Conn, bucket, origin, storage string) {
	t.Helper()
	api(t, nc, "$JS.API.STREAM.CREATE.KV_"+bucket, map[string]any{
		"name": "KV_" + bucket, "retention": "limits", "storage": storage, "discard": "new",
		"num_replicas": 1, "max_msgs_per_subject": 1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": -1, "max_consumers": -1,
		"allow_rollup_hdrs": true, "deny_delete": true, "allow_direct": true, "mirror_direct": true, "duplicate_window": 2 * time.Minute,
		"mirror": map[string]any{"name": "KV_" + origin, "external": map[string]any{"api": "$JS.hub.API", "deliver": ""}},
	}, nil)
}

// deleteBucket is `nats kv rm`.
func deleteBucket(t *testing.T, nc *nats.Conn, bucket string) {
	t.Helper()
	api(t, nc, "$JS.API.STREAM.DELETE.KV_"+bucket, nil, nil)
}

// put stores a value; with a ttl of 0 one that stays.
func put(t *testing.T, nc *nats.Conn, bucket, key string, size int, ttl time.Duration) {
	t.Helper()
	msg := nats.NewMsg("$KV." + bucket + "." + key)
	msg.Data = make([]byte, size)
	if ttl > 0 {
		msg.Header.Set("Nats-TTL", ttl.String())
	}
	answer, err := nc.RequestMsg(msg, longTimeout)
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	var ack struct {
		Seq   uint64          `json:"seq"`
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil || ack.Seq == 0 {
		t.Fatalf("put %s: %s", key, answer.Data)
	}
}

// waitCaughtUp waits until a mirror's link is active and it has come to its last
// sequence. A restarted mirror may first be refused: by hubs up to 2.11.17, for
// twelve seconds, "deliver policy cannot be updated".
func (p *pair) waitCaughtUp(ctx context.Context, t *testing.T, mirror, origin string) {
	t.Helper()
	var here info
	var there state
	if !tryFor(ctx, longTimeout, func() bool {
		here, there = read(t, p.atLeaf, mirror), held(t, p.atHub, origin)
		return here.Mirror.Active >= 0 && here.Mirror.Error == nil && here.State.LastSeq == there.LastSeq
	}) {
		t.Fatalf("the mirror %s is at %+v, its origin %s at %+v", mirror, here, origin, there)
	}
}

// fill stores values that stay and values that expire in an origin, and returns
// when all of its old mirrors hold all of them, and the origin, if its server
// knows TTLs, the lasting ones alone.
func (p *pair) fill(ctx context.Context, t *testing.T, origin string, mirrors []string, expires bool) {
	t.Helper()
	for i := range lasting {
		put(t, p.atHub, origin, fmt.Sprintf("stays.%d", i), 100, 0)
	}
	// On a slow machine a value may expire before the mirrors have taken it.
	for ttl := 2 * time.Second; ; ttl *= 2 {
		for i := range expiring {
			put(t, p.atHub, origin, fmt.Sprintf("expires.%d", i), valueSize, ttl)
		}
		complete := true
		for _, m := range mirrors {
			p.waitCaughtUp(ctx, t, m, origin)
			complete = complete && held(t, p.atLeaf, m).Msgs == lasting+expiring
		}
		if complete {
			break
		}
		if ttl > longTimeout {
			t.Fatalf("the mirrors %v lack values that have not expired", mirrors)
		}
	}
	if expires {
		p.waitHolds(ctx, t, p.atHub, origin, lasting)
	}
}

// waitHolds waits until a bucket holds so many messages.
func (p *pair) waitHolds(ctx context.Context, t *testing.T, nc *nats.Conn, bucket string, msgs int) {
	t.Helper()
	var now state
	if !tryFor(ctx, longTimeout, func() bool { now = held(t, nc, bucket); return now.Msgs == msgs }) {
		t.Fatalf("the bucket %s holds %d messages and not %d", bucket, now.Msgs, msgs)
	}
}

// holds says whether a mirror holds a value of a key of its origin.
func holds(t *testing.T, nc *nats.Conn, mirror, origin, key string) bool {
	t.Helper()
	subject := "$JS.API.STREAM.MSG.GET.KV_" + mirror
	answer, err := nc.Request(subject, []byte(`{"last_by_subj":"$KV.`+origin+`.`+key+`"}`), longTimeout)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	var reply struct {
		Message *json.RawMessage `json:"message"`
		Error   *struct {
			ErrCode int `json:"err_code"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &reply); err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	const noMessageFound = 10037
	if reply.Message == nil && (reply.Error == nil || reply.Error.ErrCode != noMessageFound) {
		t.Fatalf("%s: %s", subject, answer.Data)
	}
	return reply.Message != nil
}
