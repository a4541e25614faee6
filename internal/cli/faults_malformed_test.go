//go:build faults

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nats-kvmirror/internal/mirror"

	"github.com/nats-io/nats.go"
)

// allCorruptions are the answers of servers that are mad or mean.
func allCorruptions() []corruption {
	constant := func(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }
	tree := func(change func(path string, v any) any) func([]byte) []byte {
		return func(answer []byte) []byte {
			d := json.NewDecoder(bytes.NewReader(answer))
			d.UseNumber()
			var v any
			if d.Decode(&v) != nil {
				return answer
			}
			out, err := json.Marshal(walkTree("", v, change))
			if err != nil {
				return answer
			}
			return out
		}
	}
	return []corruption{
		{name: "truncated", make: func(a []byte) []byte { return a[:len(a)/2] }},
		{name: "without its end", make: func(a []byte) []byte { return a[:len(a)-1] }},
		{name: "empty", make: constant("")},
		{name: "null", make: constant("null")},
		{name: "an empty object", make: constant("{}")},
		{name: "a list", make: constant("[1,2]")},
		{name: "no JSON", make: constant("\x1b[31m<html>\x00"), control: true},
		{name: "an error of nothing", make: constant(`{"type":"x","error":{}}`)},
		{name: "an error in color", make: constant(`{"type":"x","error":{"code":500,"err_code":1,"description":"\u001b[31mred\u0007\u009b"}}`), refusal: true, control: true},
		{name: "a type alone", make: constant(`{"type":"io.nats.jetstream.api.v1.whatever"}`)},
		{name: "deep", make: constant(`{"type":` + strings.Repeat("[", 20000))},
		{name: "numbers are texts", make: tree(func(_ string, v any) any {
			if n, ok := v.(json.Number); ok {
				return n.String()
			}
			return v
		})},
		{name: "texts are numbers", make: tree(func(path string, v any) any {
			if _, ok := v.(string); ok && path != ".type" {
				return 7
			}
			return v
		})},
		{name: "booleans are lists", make: tree(func(_ string, v any) any {
			if b, ok := v.(bool); ok {
				return []any{b}
			}
			return v
		})},
		{name: "numbers are huge", make: tree(func(_ string, v any) any {
			if _, ok := v.(json.Number); ok {
				return json.Number("1e400")
			}
			return v
		})},
		{name: "numbers are negative", make: tree(func(_ string, v any) any {
			if _, ok := v.(json.Number); ok {
				return json.Number("-1")
			}
			return v
		})},
		{name: "another stream", make: tree(func(path string, v any) any {
			if path == ".config.name" || strings.HasSuffix(path, ".stream_name") {
				return "KV_another"
			}
			return v
		})},
		{name: "unknown fields", make: tree(func(path string, v any) any {
			if m, ok := v.(map[string]any); ok && path == "" {
				m["new_in_3_0"] = map[string]any{"a": []any{1, nil}}
			}
			return v
		})},
		{name: "texts in color", control: true, make: tree(func(path string, v any) any {
			if path == ".config.description" || strings.HasPrefix(path, ".config.metadata.") || path == ".cluster.name" || path == ".cluster.leader" {
				return "\x1b[31mred\x07\u009b\r\n"
			}
			return v
		})},
	}
}

// walkTree changes each value of a document, from the leaves up.
func walkTree(path string, v any, change func(string, any) any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = walkTree(path+"."+k, x[k], change)
		}
	case []any:
		for i := range x {
			x[i] = walkTree(path, x[i], change)
		}
	}
	return change(path, v)
}

// askOrigins are the commands that are told malformed answers by their origins as well; the
// others read them as one of these does.
var askOrigins = []string{"info", "ls", "check", "check --content", "add", "edit", "repair", "prune", "recreate"}

// A server that gives malformed answers, to each kind of request of each command, in the
// place of the mirror's API and in that of its origin's: no panic, no success that
// is none, and nothing that reaches the terminal.
func TestFaultsMalformed(t *testing.T) {
	sampled := sampler()
	st := newTestSites(t)
	sane := corruption{name: "sane", make: func(a []byte) []byte { return a }}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	commands := append(readScenarios(), writeScenarios(st)...)
	asked := make([][2][]string, len(commands)) // by each when nothing is amiss, of both APIs
	for i, w := range commands {
		for side := range asked[i] {
			wg.Go(func() { asked[i][side] = runMalformed(t, st, w, side == 1, "", sane) })
		}
	}
	wg.Wait()
	for i, w := range commands {
		for side, kinds := range asked[i] {
			if side == 1 && !slices.Contains(askOrigins, w.name) {
				continue
			}
			for _, kind := range kinds {
				for _, n := range allCorruptions() {
					for _, text := range []bool{false, true} {
						if text && !n.control || !sampled() {
							continue
						}
						slots <- struct{}{}
						wg.Go(func() {
							defer func() { <-slots }()
							if text {
								runMalformedText(t, st, w, side == 1, kind, n)
							} else {
								runMalformed(t, st, w, side == 1, kind, n)
							}
						})
					}
				}
			}
		}
	}
	wg.Wait()
}

// told prepares a run whose questions to the mirror's API, or to its origin's, are
// answered with a malformed answer if they are of a kind, and returns its arguments.
func (w scenario) told(t *testing.T, st *testSites, bucket string, origin bool, kind string, n corruption) (*fakeAPI, []string) {
	m := &fakeAPI{prefix: "FAKE." + bucket, api: "$JS.API", kind: kind, change: n.make}
	at := []string{"--server", st.Leaf.URL(), "--timeout", brief.String()}
	if origin {
		m.api = "$JS.hub.API"
		st.prefixes.Store(bucket, m.prefix)
	} else {
		at = append(at, "--js-api-prefix", m.prefix)
	}
	m.answers(t, st)
	w.prepare(t, st, bucket)
	m.activate()
	return m, append(w.args(bucket), at...)
}

// runMalformed runs a command and compares what it says with what is there.
func runMalformed(t *testing.T, st *testSites, w scenario, origin bool, kind string, n corruption) (asked []string) {
	bucket := st.name()
	m, args := w.told(t, st, bucket, origin, kind, n)
	defer st.drop(t, w, bucket)
	before := readStream(t, st.leaf, w.target(bucket))
	begin := time.Now()
	r := play(t, t.Context(), args...)
	inTime := time.Since(begin) < brief // else the answer may have been too late
	after := readStream(t, st.leaf, w.target(bucket))
	wrong := func(format string, a ...any) {
		t.Errorf("%s, %s.%s is %s: exit code %d, action %q: "+format+"\n%s%s", append(append([]any{w.name, m.api, kind, n.name, r.code, r.action}, a...), r.stderr, r.says())...)
	}
	if n.name != "sane" && r.failure != nil && r.failure.Kind == mirror.ErrInternal {
		wrong("it is not said what is wrong")
	}
	switch {
	case kind == "INFO" && w.name == "repair" && r.action == mirror.Unchanged && (n.name == "a type alone" || n.name == "numbers are negative"):
		// A server that says that it is older than per-key TTL is believed: there is
		// nothing to repair.
	case n.refusal && !origin && slices.Contains(w.writes, kind): // one that says that it did not is believed
		if r.code == exitOK && inTime {
			wrong("it is a success")
		}
	default:
		w.verify(before, after, r, wrong)
	}
	if n.name == "sane" && r.action == mirror.Failed {
		wrong("it fails")
	}
	if len(w.writes) == 0 && n.name != "sane" && r.code == exitOK && inTime && !admits(t, w, bucket, origin, kind, n, r) {
		wrong("it is a success")
	}
	if w.name == "check" && n.name == "sane" && r.code != exitOK && inTime {
		wrong("there is nothing to find")
	}
	return m.asked()
}

// admits says of a command that reads and ends well that it may: it says itself
// what it could not read, or what it was told does not matter to it.
func admits(t *testing.T, w scenario, bucket string, origin bool, kind string, n corruption, r result) bool {
	var doc struct {
		Origin   struct{ Reachable bool }
		Problems []string
	}
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
		t.Error(err)
	}
	switch {
	case n.name == "unknown fields", n.name == "texts in color":
		return true // what is asked for is there
	case w.name == "info" && origin:
		return !doc.Origin.Reachable // it shows the mirror
	case w.name == "ls" && origin:
		return slices.ContainsFunc(r.members, func(m mirror.Member) bool { return m.Bucket == bucket && !m.Origin.Reachable })
	case w.name == "ls" && kind == "STREAM.LIST" && n.name == "another stream":
		return true // a list is about no stream of its own
	case w.name == "ls" && kind == "STREAM.LIST":
		return len(doc.Problems) > 0 // it lists the others
	case w.name == "ls", w.name == "check" && kind == "INFO":
		return true // the server's version and API level are no part of the list, and do not matter to a sound mirror
	}
	return false
}

// runMalformedText runs a command as people see it.
func runMalformedText(t *testing.T, st *testSites, w scenario, origin bool, kind string, n corruption) {
	bucket := st.name()
	m, args := w.told(t, st, bucket, origin, kind, n)
	defer st.drop(t, w, bucket)
	var out, errs bytes.Buffer
	Run(context.Background(), append(args, "--no-context"), Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	if i := strings.IndexFunc(out.String()+errs.String(), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 }); i >= 0 {
		t.Errorf("%s, %s.%s is %s: a control character is shown in %q", w.name, m.api, kind, n.name, out.String()+errs.String())
	}
}

// A server that says that it wrote and did not.
func TestFaultsFalseSuccess(t *testing.T) {
	t.Parallel()
	st := newTestSites(t)
	for _, w := range writeScenarios(st) {
		t.Run(w.name, func(t *testing.T) {
			bucket := st.name()
			w.prepare(t, st, bucket)
			prefix := "FAKE." + bucket
			sub, err := st.leaf.Subscribe(prefix+".>", func(m *nats.Msg) {
				subject := strings.TrimPrefix(m.Subject, prefix+".")
				if slices.ContainsFunc(w.writes, func(s string) bool { return strings.HasPrefix(subject, s) }) {
					_ = m.Respond(fmt.Appendf(nil, `{"type":"x","success":true,"purged":1,"config":%s}`, orObject(m.Data)))
					return
				}
				if answer, err := st.leaf.Request("$JS.API."+subject, m.Data, longest); err == nil {
					_ = m.Respond(answer.Data)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = sub.Unsubscribe() }()
			if err := st.leaf.Flush(); err != nil {
				t.Fatal(err)
			}
			r := play(t, t.Context(), append(w.args(bucket), "--server", st.Leaf.URL(), "--js-api-prefix", prefix, "--timeout", brief.String())...)
			if r.code == exitOK {
				t.Errorf("exit code 0, action %q: it was not done\n%s", r.action, r.stdout)
			}
		})
	}
}

func orObject(data []byte) []byte {
	if len(data) == 0 {
		return []byte("{}")
	}
	return data
}

// corruption is a change of answers into malformed ones.
type corruption struct {
	name string
	make func(answer []byte) []byte
	// refusal says that it is a refusal, which is believed.
	refusal bool
	// control says that there are control characters in it.
	control bool
}

// activate makes it mad.
func (m *fakeAPI) activate() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active = true
}

// asked are the kinds of requests that were made.
func (m *fakeAPI) asked() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.kinds))
}
