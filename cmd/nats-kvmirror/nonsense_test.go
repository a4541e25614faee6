package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/lab"
	"nats-kvmirror/internal/render"
)

// nonsense is what a server makes of its answers.
type nonsense struct {
	name string
	make func(answer []byte) []byte
	// refusal says that it is a refusal, which is believed.
	refusal bool
	// control says that there are control characters in it.
	control bool
}

// allNonsense are the answers of servers that are mad or mean.
func allNonsense() []nonsense {
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
	return []nonsense{
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

// madness answers on a prefix of its own in the place of the leaf's API; one kind
// of requests is answered with nonsense.
func (st *scene) madness(t testing.TB, prefix, kind string, n nonsense) (asked func() []string) {
	var mu sync.Mutex
	kinds := map[string]bool{}
	sub, err := st.leaf.Subscribe(prefix+".>", func(m *nats.Msg) {
		subject := strings.TrimPrefix(m.Subject, prefix+".")
		is := requestKind(subject)
		mu.Lock()
		kinds[is] = true
		mu.Unlock()
		go func() {
			answer, err := st.leaf.RequestMsg(&nats.Msg{Subject: "$JS.API." + subject, Header: m.Header, Data: m.Data}, longest)
			if err != nil {
				return
			}
			data := answer.Data
			if is == kind {
				data = n.make(data)
			}
			_ = m.Respond(data)
		}()
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	if err := st.leaf.Flush(); err != nil {
		t.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		var all []string
		for k := range kinds {
			all = append(all, k)
		}
		slices.Sort(all)
		return all
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

// A server that answers nonsense, to each kind of request of each command: no
// panic, no success that is none, and nothing that reaches the terminal.
func TestNonsense(t *testing.T) {
	const atOnce = 64 // they mostly wait
	st := newScene(t)
	sane := nonsense{name: "sane", make: func(a []byte) []byte { return a }}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	commands := append(allReads(), allWrites(st)...)
	asked := make([][]string, len(commands)) // by each when nothing is amiss
	for i, w := range commands {
		wg.Go(func() { _, asked[i] = runNonsense(t, st, w, "", sane) })
	}
	wg.Wait()
	for i, w := range commands {
		for j, kind := range asked[i] {
			all := allNonsense()
			for k := (i + j) % stride; k < len(all); k += stride {
				n := all[k]
				for _, text := range []bool{false, true} {
					if text && !n.control {
						continue
					}
					slots <- struct{}{}
					wg.Go(func() {
						defer func() { <-slots }()
						if text {
							runNonsenseText(t, st, w, kind, n)
						} else {
							runNonsense(t, st, w, kind, n)
						}
					})
				}
			}
		}
	}
	wg.Wait()
}

func (w written) nonsenseArgs(st *scene, bucket, prefix string) []string {
	return append(w.args(bucket), "--server", st.Leaf.URL(), "--js-api-prefix", prefix, "--timeout", brief.String())
}

// runNonsense runs a command and compares what it says with what is there.
func runNonsense(t *testing.T, st *scene, w written, kind string, n nonsense) (result, []string) {
	bucket := st.name()
	w.prepare(t, st, bucket)
	defer st.drop(t, w, bucket)
	before := look(t, st.leaf, w.target(bucket))
	prefix := "FAKE." + bucket
	asked := st.madness(t, prefix, kind, n)
	begin := time.Now()
	r := play(t, t.Context(), w.nonsenseArgs(st, bucket, prefix)...)
	inTime := time.Since(begin) < brief // else the answer may have been too late
	after := look(t, st.leaf, w.target(bucket))
	wrong := func(format string, a ...any) {
		t.Errorf("%s, %s is %s: exit code %d, action %q: "+format+"\n%s%s", append(append([]any{w.name, kind, n.name, r.code, r.action}, a...), r.stderr, r.says())...)
	}
	if n.name != "sane" && r.failure != nil && r.failure.Kind == kindInternal {
		wrong("it is not said what is wrong")
	}
	switch {
	case kind == "INFO": // a server that says that it is too old is believed
	case n.refusal && slices.Contains(w.writes, kind): // and one that says that it did not
		if r.code == exitOK && inTime {
			wrong("it is a success")
		}
	default:
		w.judge(before, after, r, wrong)
	}
	if n.name == "sane" && r.action == render.Failed {
		wrong("it fails")
	}
	return r, asked()
}

// runNonsenseText runs a command as people see it.
func runNonsenseText(t *testing.T, st *scene, w written, kind string, n nonsense) {
	bucket := st.name()
	w.prepare(t, st, bucket)
	defer st.drop(t, w, bucket)
	prefix := "FAKE." + bucket
	st.madness(t, prefix, kind, n)
	var out, errs bytes.Buffer
	run(context.Background(), append(w.nonsenseArgs(st, bucket, prefix), "--no-context"), streams{in: strings.NewReader(""), out: &out, err: &errs})
	if i := strings.IndexFunc(out.String()+errs.String(), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 }); i >= 0 {
		t.Errorf("%s, %s is %s: a control character is shown in %q", w.name, kind, n.name, out.String()+errs.String())
	}
}

// A server that says that it wrote and did not.
func TestLyingEcho(t *testing.T) {
	t.Parallel()
	st := newScene(t)
	for _, w := range allWrites(st) {
		if w.name == "sync --recreate" {
			continue // what it does is proved by comparing
		}
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
			r := play(t, t.Context(), w.nonsenseArgs(st, bucket, prefix)...)
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

// An answer of 10 MB.
func TestHugeAnswer(t *testing.T) {
	t.Parallel()
	s, err := lab.Start("listen: 127.0.0.1:-1\nmax_payload: 60MB\nmax_pending: 200MB")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	nc := connectTo(t, s.URL())
	huge := fmt.Appendf(nil, `{"type":"x","total":1,"streams":[],"config":{"name":"KV_huge","description":"%s"}}`, strings.Repeat("x", 10<<20))
	if _, err := nc.Subscribe("FAKE.>", func(m *nats.Msg) { _ = m.Respond(huge) }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"edit", "huge", "--force"}, {"info", "huge"}, {"ls"}, {"sync", "huge", "--force"}} {
		r := play(t, t.Context(), append(args, "--server", s.URL(), "--js-api-prefix", "FAKE", "--timeout", "1m")...)
		if r.action == render.Updated {
			t.Errorf("%q: %q", args, r.action)
		}
	}
}
