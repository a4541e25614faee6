package fleet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/natstest"
)

// call is a request that a fake was asked.
type call struct {
	origin  bool   // of the origins' side
	subject string // without its prefix, as STREAM.LIST
	offset  int    // of the page, for STREAM.LIST
	forward func() []byte
}

// is says whether it is a request to a stream on a side.
func (c call) is(origin bool, subject string) bool { return c.origin == origin && c.subject == subject }

// nobody is the answer of a server where nobody listens.
var nobody = []byte("nobody")

// fake stands between a reader and two servers, for the mirrors' side and for
// the origins', which are in the domain hub. What it answers is what answer
// returns; nil is no answer at all.
type fake struct {
	own, origins string // the prefixes

	mu     sync.Mutex
	calls  []call
	answer func(call) []byte
}

var fakes atomic.Int64

// newFake puts a fake in front of a leaf.
func newFake(t *testing.T, url string, answer func(call) []byte) *fake {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(longTimeout))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	n := fakes.Add(1)
	f := &fake{own: fmt.Sprintf("own%d.API", n), origins: fmt.Sprintf("$JS.origins%d.API", n), answer: answer}
	for _, prefix := range []string{fmt.Sprintf("own%d", n), fmt.Sprintf("$JS.origins%d", n)} {
		if _, err := nc.Subscribe(prefix+".>", func(m *nats.Msg) { go f.handle(nc, m) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return f
}

// knownAt waits until another server, on the other side of a leafnode, passes on what the
// fake is asked.
func (f *fake) knownAt(t *testing.T, s *natstest.Server) {
	t.Helper()
	account := s.Underlying().GlobalAccount()
	for late := time.Now().Add(longTimeout); !account.SubscriptionInterest(f.own + ".INFO"); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("%s is not known at the server", f.own)
		}
	}
}

func (f *fake) handle(nc *nats.Conn, m *nats.Msg) {
	_, subject, _ := strings.Cut(m.Subject, ".API.")
	c := call{origin: strings.HasPrefix(m.Subject, "$JS.origins"), subject: subject}
	var page struct{ Offset int }
	if json.Unmarshal(m.Data, &page) == nil {
		c.offset = page.Offset
	}
	c.forward = func() []byte {
		to := "$JS.API."
		if c.origin {
			to = "$JS.hub.API."
		}
		answer, err := nc.Request(to+subject, m.Data, longTimeout)
		if err != nil {
			return nobody
		}
		// Who reads through a fake finds the origins through it as well.
		return []byte(strings.ReplaceAll(string(answer.Data), "$JS.hub.API", f.origins))
	}
	f.mu.Lock()
	f.calls = append(f.calls, c)
	f.mu.Unlock()
	data := f.answer(c)
	switch {
	case data == nil:
	case string(data) == string(nobody):
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Status": []string{"503"}}})
	default:
		_ = m.Respond(data)
	}
}

// asked is how many questions there were on a side whose subject begins so. One
// that is put again, because no answer comes, is the same.
func (f *fake) asked(origin bool, subject string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	type question struct {
		subject string
		offset  int
	}
	questions := map[question]bool{}
	for _, c := range f.calls {
		if c.origin == origin && strings.HasPrefix(c.subject, subject) {
			questions[question{c.subject, c.offset}] = true
		}
	}
	return len(questions)
}

// altered is an answer whose document was changed.
func altered(data []byte, change func(doc map[string]any)) []byte {
	var doc map[string]any
	if json.Unmarshal(data, &doc) != nil {
		return data
	}
	change(doc)
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return data
}

// streamsIn are the streams of a page.
func streamsIn(doc map[string]any) []any {
	streams, _ := doc["streams"].([]any)
	return streams
}

// streamIn is a stream of a page by its name, or the document when it is about
// that stream itself; nil when it is not there.
func streamIn(doc map[string]any, name string) map[string]any {
	for _, s := range append(streamsIn(doc), any(doc)) {
		stream, _ := s.(map[string]any)
		if config, ok := stream["config"].(map[string]any); ok && config["name"] == name {
			return stream
		}
	}
	return nil
}

const notFound = `{"type":"x","error":{"code":404,"err_code":10059,"description":"stream not found"}}`

// reader reads through a connection of its own.
func reader(t *testing.T, url, prefix string, timeout time.Duration) *Reader {
	t.Helper()
	conn, err := jsapi.Connect(t.Context(), url, timeout, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return &Reader{Conn: conn, Own: []*jsapi.API{conn.At(prefix)}}
}

// names are those of the mirrors that were read.
func names(f Fleet) []string {
	var names []string
	for _, m := range f.Mirrors {
		names = append(names, m.Bucket)
	}
	return names
}

// mirror is one of those that were read.
func mirror(t *testing.T, f Fleet, bucket string) Mirror {
	t.Helper()
	i := slices.IndexFunc(f.Mirrors, func(m Mirror) bool { return m.Bucket == bucket })
	if i < 0 {
		t.Fatalf("%s was not read; read were %q, problems %v", bucket, names(f), f.Problems)
	}
	return f.Mirrors[i]
}

// unreadOnes are the mirrors whose origins were not read.
func unreadOnes(f Fleet) map[string]check.Reason {
	unread := map[string]check.Reason{}
	for _, m := range f.Mirrors {
		if m.Facts.Origin == nil {
			unread[m.Bucket] = m.Facts.OriginUnread.Reason
		}
	}
	return unread
}
