package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"

	"nats-kvmirror/internal/natstest"
)

// wire holds a script's servers, and its proxy, which counts its requests.
type wire struct {
	sites *natstest.Sites
	proxy *natstest.Proxy
}

type wireKey struct{}

func noErr(ts *testscript.TestScript, err error) {
	if err != nil {
		ts.Fatalf("%v", err)
	}
}

// withProxy sets NATS_URL to a proxy in front of a server, which `requests` reads.
func withProxy(ts *testscript.TestScript, addr string) {
	p, err := natstest.NewProxy(addr)
	noErr(ts, err)
	ts.Defer(p.Close)
	ts.Value(wireKey{}).(*wire).proxy = p
	ts.Setenv("NATS_URL", p.URL())
}

// sites starts a hub and a leaf: $HUB, $LEAF, and $NATS_URL for the leaf through
// a proxy that counts.
func cmdSites(ts *testscript.TestScript, _ bool, _ []string) {
	s, err := natstest.HubAndLeaf()
	noErr(ts, err)
	ts.Defer(s.Stop)
	ts.Setenv("HUB", s.Hub.URL())
	ts.Setenv("LEAF", s.Leaf.URL())
	ts.Value(wireKey{}).(*wire).sites = s
	withProxy(ts, s.Leaf.Addr())
}

// down hub stops the hub.
func cmdDown(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Value(wireKey{}).(*wire).sites.Hub.Shutdown()
}

// up hub starts it again, with what it held, and waits until its API answers at the leaf.
func cmdUp(ts *testscript.TestScript, _ bool, _ []string) {
	noErr(ts, ts.Value(wireKey{}).(*wire).sites.Hub.Restart())
	cmdReaches(ts, false, []string{ts.Getenv("LEAF"), "hub"})
}

// another DOMAIN starts one more leaf, with this domain, and waits until the hub's API
// answers there.
func cmdAnother(ts *testscript.TestScript, _ bool, args []string) {
	hub := ts.Value(wireKey{}).(*wire).sites.Hub
	s, err := natstest.Start(fmt.Sprintf("server_name: %s\nlisten: 127.0.0.1:-1\nleafnodes { reconnect: \"100ms\", remotes: [ { urls: [%q] } ] }\njetstream { store_dir: \"{{dir}}\", domain: %s }\n", args[0], hub.LeafURL(), args[0]))
	noErr(ts, err)
	ts.Defer(s.Stop)
	ts.Setenv(strings.ToUpper(args[0]), s.URL())
	cmdReaches(ts, false, []string{s.URL(), "hub"})
}

// reaches URL DOMAIN waits until a domain's API answers there.
func cmdReaches(ts *testscript.TestScript, _ bool, args []string) {
	_, nc, done := jetStream(ts, args[0])
	defer done()
	for began := time.Now(); ; {
		if _, err := nc.Request("$JS."+args[1]+".API.INFO", nil, time.Second); err == nil {
			return
		} else if time.Since(began) > longest {
			ts.Fatalf("domain %s does not answer: %v", args[1], err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// accounts KIND starts a server with two accounts: $ORIGIN for account A and
// $NATS_URL for account B, with its user.
func cmdAccounts(ts *testscript.TestScript, _ bool, args []string) {
	kinds := map[string]natstest.AccountsKind{
		"works":      natstest.CrossAccount,
		"unreadable": natstest.CrossAccountUnreadable,
	}
	s, err := natstest.Accounts(kinds[args[0]])
	noErr(ts, err)
	ts.Defer(s.Stop)
	ts.Setenv("ORIGIN", "nats://a:a@"+s.Addr())
	ts.Setenv("NATS_URL", "nats://b:b@"+s.Addr())
}

// restricted starts a hub and a leaf with users who may not do everything;
// $LEAFADDR is where they log in.
func cmdRestricted(ts *testscript.TestScript, _ bool, _ []string) {
	s, err := natstest.Restricted()
	noErr(ts, err)
	ts.Defer(s.Stop)
	ts.Setenv("HUB", s.Hub.URL())
	ts.Setenv("LEAFADDR", s.Leaf.Addr())
}

// jetStream connects to a server.
func jetStream(ts *testscript.TestScript, url string) (jetstream.JetStream, *nats.Conn, func()) {
	nc, err := nats.Connect(url, nats.Timeout(longest))
	noErr(ts, err)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(longest))
	noErr(ts, err)
	return js, nc, nc.Close
}

func scriptContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), longest)
}

// bucket URL NAME [history=N] [ttl=D] [marker=D] [size=N] [mirror=B] [domain=D]
// creates a bucket as every client does.
func cmdBucket(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := scriptContext()
	defer cancel()
	js, _, done := jetStream(ts, args[0])
	defer done()
	cfg := jetstream.KeyValueConfig{Bucket: args[1]}
	for _, arg := range args[2:] {
		name, value, _ := strings.Cut(arg, "=")
		var err error
		switch name {
		case "history":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 8)
			cfg.History = uint8(n)
		case "ttl":
			cfg.TTL, err = time.ParseDuration(value)
		case "marker":
			cfg.LimitMarkerTTL, err = time.ParseDuration(value)
		case "size":
			var n int64
			n, err = strconv.ParseInt(value, 10, 32)
			cfg.MaxValueSize = int32(n)
		case "mirror":
			cfg.Mirror = &jetstream.StreamSource{Name: value}
		case "domain":
			cfg.Mirror.Domain = value
		default:
			ts.Fatalf("bucket: unknown argument %q", arg)
		}
		noErr(ts, err)
	}
	_, err := js.CreateKeyValue(ctx, cfg)
	noErr(ts, err)
}

// stream URL FILE creates a stream from the JSON in a file, whatever it says.
func cmdStream(ts *testscript.TestScript, _ bool, args []string) {
	config := ts.ReadFile(args[1])
	var named struct {
		Name string `json:"name"`
	}
	noErr(ts, json.Unmarshal([]byte(config), &named))
	cmdAPI(ts, false, []string{args[0], "STREAM.CREATE." + named.Name, config})
}

// put URL BUCKET KEY VALUE [TTL] stores a value.
func cmdPut(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := scriptContext()
	defer cancel()
	js, _, done := jetStream(ts, args[0])
	defer done()
	kv, err := js.KeyValue(ctx, args[1])
	noErr(ts, err)
	if len(args) > 4 {
		ttl, err := time.ParseDuration(args[4])
		noErr(ts, err)
		_, err = kv.Create(ctx, args[2], []byte(args[3]), jetstream.KeyTTL(ttl))
		noErr(ts, err)
		return
	}
	_, err = kv.PutString(ctx, args[2], args[3])
	noErr(ts, err)
}

// purge URL BUCKET KEY TTL purges a key and leaves a marker for so long.
func cmdPurge(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := scriptContext()
	defer cancel()
	js, _, done := jetStream(ts, args[0])
	defer done()
	kv, err := js.KeyValue(ctx, args[1])
	noErr(ts, err)
	ttl, err := time.ParseDuration(args[3])
	noErr(ts, err)
	noErr(ts, kv.Purge(ctx, args[2], jetstream.PurgeTTL(ttl)))
}

// get URL BUCKET KEY VALUE asserts the value of a key, as a client finds it; with
// ! that it finds none.
func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := scriptContext()
	defer cancel()
	js, _, done := jetStream(ts, args[0])
	defer done()
	kv, err := js.KeyValue(ctx, args[1])
	noErr(ts, err)
	entry, err := kv.Get(ctx, args[2])
	if neg {
		if !errors.Is(err, jetstream.ErrKeyNotFound) {
			ts.Fatalf("key %s is there: %v", args[2], err)
		}
		return
	}
	noErr(ts, err)
	if string(entry.Value()) != args[3] {
		ts.Fatalf("key %s is %q, want %q", args[2], entry.Value(), args[3])
	}
}

// holds URL BUCKET LASTSEQ MESSAGES waits until a bucket has come so far.
func cmdHolds(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := scriptContext()
	defer cancel()
	js, _, done := jetStream(ts, args[0])
	defer done()
	for {
		s, err := js.Stream(ctx, "KV_"+args[1])
		noErr(ts, err)
		state := s.CachedInfo().State
		if fmt.Sprint(state.LastSeq) == args[2] && fmt.Sprint(state.Msgs) == args[3] {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("bucket %s is at sequence %d with %d messages", args[1], state.LastSeq, state.Msgs)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// api URL SUBJECT [BODY] asks the JetStream API for something, as
// STREAM.DELETE.KV_demo.
func cmdAPI(ts *testscript.TestScript, _ bool, args []string) {
	_, nc, done := jetStream(ts, args[0])
	defer done()
	reply, err := nc.Request("$JS.API."+args[1], []byte(strings.Join(args[2:], " ")), longest)
	noErr(ts, err)
	if strings.Contains(string(reply.Data), `"error"`) {
		ts.Fatalf("%s", reply.Data)
	}
}

// consumers URL BUCKET N waits until a bucket has so many consumers besides those
// of mirrors.
func cmdConsumers(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := scriptContext()
	defer cancel()
	js, _, done := jetStream(ts, args[0])
	defer done()
	s, err := js.Stream(ctx, "KV_"+args[1])
	noErr(ts, err)
	for {
		var ours []string
		list := s.ListConsumers(ctx)
		for c := range list.Info() {
			if strings.HasPrefix(c.Name, "kvmirror-") {
				ours = append(ours, c.Name)
			}
		}
		noErr(ts, list.Err())
		if fmt.Sprint(len(ours)) == args[2] {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("consumers of %s: %q, want %s", args[1], ours, args[2])
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// config URL STREAM FILE writes a stream's configuration, without what the
// server says of itself, to a file.
func cmdConfig(ts *testscript.TestScript, _ bool, args []string) {
	_, nc, done := jetStream(ts, args[0])
	defer done()
	reply, err := nc.Request("$JS.API.STREAM.INFO."+args[1], nil, longest)
	noErr(ts, err)
	var info struct {
		Config map[string]any `json:"config"`
	}
	noErr(ts, json.Unmarshal(reply.Data, &info))
	delete(info.Config, "metadata")
	data, err := json.MarshalIndent(info.Config, "", "  ")
	noErr(ts, err)
	noErr(ts, os.WriteFile(ts.MkAbs(args[2]), append(data, '\n'), 0o600))
}

// requests PATTERN N asserts how many requests have passed the proxy since it
// was last asked about anything; `requests reset` forgets them.
func cmdRequests(ts *testscript.TestScript, _ bool, args []string) {
	p := ts.Value(wireKey{}).(*wire).proxy
	if p == nil {
		ts.Fatalf("there is no proxy; start sites first")
	}
	if args[0] == "reset" {
		p.Reset()
		return
	}
	if got := p.Traffic().Count(args[0]); fmt.Sprint(got) != args[1] {
		ts.Fatalf("%d requests to %s, want %s: %+v", got, args[0], args[1], p.Traffic().Requests)
	}
}

// json PATH VALUE asserts that stdout is exactly one JSON document and what
// stands in it at a path, as origin.reachable or changes.0.field. A VALUE that
// begins with ~ has only to be contained in the text found.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	var v any
	noErr(ts, d.Decode(&v))
	if d.More() {
		ts.Fatalf("there is more than one document on stdout")
	}
	for key := range strings.SplitSeq(args[0], ".") {
		switch x := v.(type) {
		case map[string]any:
			found, ok := x[key]
			if !ok {
				ts.Fatalf("there is no %q in %v", key, x)
			}
			v = found
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(x) {
				ts.Fatalf("there is no element %q in %v", key, x)
			}
			v = x[i]
		default:
			ts.Fatalf("there is no %q in %v", key, v)
		}
	}
	got := fmt.Sprint(v)
	if v == nil {
		got = "null"
	}
	want := args[1]
	same := got == want
	if part, ok := strings.CutPrefix(want, "~"); ok {
		same = strings.Contains(got, part)
	}
	if rv := reflect.ValueOf(v); v != nil && rv.Kind() == reflect.Slice && want == "empty" {
		same = rv.Len() == 0
	}
	if same == neg {
		ts.Fatalf("%s is %s, want %s", args[0], got, want)
	}
}

// code N PROGRAM ARGS... runs a program and asserts its exit code.
func cmdCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}
