package cli

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
)

// shim answers on FAKE.API in the place of the server, whose answers it may
// alter: a server of another age, or one that lies.
func shim(t *testing.T, url string, alter func(subject string, reply map[string]any)) {
	t.Helper()
	refusing(t, url, func(string, []byte) bool { return false }, alter)
}

// refusing is a shim that answers the requests that refuses says, in the place of
// the server, with a refusal.
func refusing(t *testing.T, url string, refuses func(subject string, request []byte) bool, alter func(subject string, reply map[string]any)) {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(longest))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	_, err = nc.Subscribe("FAKE.API.>", func(m *nats.Msg) {
		subject := strings.TrimPrefix(m.Subject, "FAKE.API.")
		if refuses(subject, m.Data) {
			_ = m.Respond([]byte(`{"type":"x","error":{"code":500,"err_code":10052,"description":"no such luck"}}`))
			return
		}
		answer, err := nc.Request("$JS.API."+subject, m.Data, longest)
		if err != nil {
			return
		}
		var reply map[string]any
		if json.Unmarshal(answer.Data, &reply) != nil {
			return
		}
		alter(subject, reply)
		data, err := json.Marshal(reply)
		if err == nil {
			_ = m.Respond(data)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func config(reply map[string]any) map[string]any {
	c, _ := reply["config"].(map[string]any)
	return c
}

// fakeAPI answers on a prefix of its own in the place of an API. Once it is active, one
// kind of requests is answered with a malformed answer, and it notes which kinds there are.
type fakeAPI struct {
	prefix, api string
	kind        string
	change      func(answer []byte) []byte

	mu     sync.Mutex
	active bool
	kinds  map[string]bool
}

// applies says whether a kind of requests is answered with a malformed answer, and notes it.
func (m *fakeAPI) applies(kind string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.active {
		m.kinds[kind] = true
	}
	return m.active && kind == m.kind
}

// answers answers until the test ends.
func (m *fakeAPI) answers(t testing.TB, st *testSites) {
	m.kinds = map[string]bool{}
	sub, err := st.leaf.Subscribe(m.prefix+".>", func(asked *nats.Msg) {
		subject := strings.TrimPrefix(asked.Subject, m.prefix+".")
		applies := m.applies(requestKind(subject))
		go func() {
			answer, err := st.leaf.RequestMsg(&nats.Msg{Subject: m.api + "." + subject, Header: asked.Header, Data: asked.Data}, longest)
			if err != nil {
				return
			}
			data := answer.Data
			if applies {
				data = m.change(data)
			}
			_ = asked.Respond(data)
		}()
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	if err := st.leaf.Flush(); err != nil {
		t.Fatal(err)
	}
}

// requestKind is a subject without what names streams and consumers.
func requestKind(subject string) string {
	var kind []string
	for token := range strings.SplitSeq(subject, ".") {
		if strings.ToUpper(token) != token || strings.HasPrefix(token, "KV_") {
			break
		}
		kind = append(kind, token)
	}
	return strings.Join(kind, ".")
}
