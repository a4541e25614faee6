package cli

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// Each way in which a write can go wrong between the client and the server, and
// the verdict that is true.
func TestWriteOutcomes(t *testing.T) {
	slow(t)
	t.Parallel()
	writes := []struct {
		name, subject, bucket string
		args                  []string
		done                  mirror.Action
	}{
		{"create", "STREAM.CREATE", "made", []string{"add", "made", "--mirror", "demo", "--mirror-domain", "hub"}, mirror.Created},
		{"update", "STREAM.UPDATE", "plain", []string{"edit", "plain", "--force"}, mirror.Updated},
	}
	faults := []struct {
		name      string
		direction natstest.Direction
		verdict   natstest.Verdict
		applied   bool
	}{
		{"request dropped", natstest.ToServer, natstest.Drop, false},
		{"reply dropped", natstest.ToClient, natstest.Drop, true},
		{"cut before the request", natstest.ToServer, natstest.Cut, false},
		{"cut before the reply", natstest.ToClient, natstest.Cut, true},
	}
	for _, w := range writes {
		for _, f := range faults {
			t.Run(w.name+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				var sites *natstest.Sites
				var p *natstest.Proxy
				var o outcome
				timeout := 2 * brief
				for ; timeout < longest; timeout *= 2 {
					sites, p = sitesWithProxy(t)
					var sent, hit atomic.Int64
					strike := hitOnce(w.subject, f.direction, f.verdict)
					p.SetHook(func(m natstest.Message) natstest.Verdict {
						now := time.Now().UnixNano()
						if m.Direction == natstest.ToServer && strings.Contains(m.Subject, w.subject) {
							sent.CompareAndSwap(0, now)
						}
						verdict := strike(m)
						if verdict != natstest.Pass {
							hit.Store(now)
						}
						return verdict
					})
					o = runJSON(t, t.Context(), append(slices.Clone(w.args), "--server", p.URL(), "--timeout", timeout.String())...)
					if took := time.Duration(hit.Load() - sent.Load()); o.code != exitUnknown || !f.applied || hit.Load() > 0 && took < timeout/2 {
						break
					} // else the server had not applied it by then
				}
				if f.applied {
					o.mustBe(t, 0, w.done, "")
				} else {
					o.mustBe(t, 3, mirror.Unknown, mirror.ErrOutcomeUnknown)
				}
				if limit := timeout + time.Second; o.took > limit+slack {
					t.Errorf("it took %v, want at most %v", o.took, limit)
				}
				if n := p.Traffic().Count("$JS.API." + w.subject + ".>"); n > 1 {
					t.Errorf("it was written %d times", n)
				}
				if f.applied && !hasTTL(t, sites.Leaf.URL(), w.bucket) {
					t.Error("the mirror has no per-key TTL")
				}
			})
		}
	}
}

// What the client does not even send is known not to be done.
func TestNotSent(t *testing.T) {
	t.Parallel()
	s, err := natstest.Start("listen: 127.0.0.1:-1\nmax_payload: 2000\njetstream { store_dir: \"{{dir}}\", max_memory_store: 64MB, max_file_store: 64MB }")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	keyValue(t, s.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second})
	long := []string{"--description", strings.Repeat("x", 2500), "--server", s.URL()}
	runJSON(t, t.Context(), append([]string{"add", "m", "--mirror", "demo"}, long...)...).mustBe(t, 1, mirror.Failed, mirror.ErrRejected)
	keyValue(t, s.URL(), jetstream.KeyValueConfig{Bucket: "m", Mirror: &jetstream.StreamSource{Name: "demo"}})
	runJSON(t, t.Context(), append([]string{"edit", "m", "--force"}, long...)...).mustBe(t, 1, mirror.Failed, mirror.ErrRejected)
}

// In which domain the mirror is decides whether an origin in a domain is beside
// it. Where that cannot be read, what may come of it is said.
func TestOwnDomainUnread(t *testing.T) {
	t.Parallel()
	s, err := natstest.Start(`
listen: 127.0.0.1:-1
jetstream { store_dir: "{{dir}}", domain: here, max_memory_store: 64MB, max_file_store: 64MB }
authorization { users: [ {user: app, password: app}, {user: lim, password: lim, permissions: { publish: { deny: ["$JS.API.INFO"] } } } ] }
`)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	keyValue(t, "nats://app:app@"+s.Addr(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second})
	for _, test := range []struct {
		user   string
		warned bool
	}{{"lim", true}, {"app", false}} {
		o := runJSON(t, t.Context(), "add", "m"+test.user, "--mirror", "demo", "--mirror-domain", "here", "--server", "nats://"+test.user+":"+test.user+"@"+s.Addr())
		o.mustBe(t, 0, mirror.Created, "")
		if said := o.warnings(); strings.Contains(said, "which domain the mirror is in was not read") != test.warned {
			t.Errorf("%s: the warnings are %q", test.user, said)
		}
	}
}

// An interrupt before the write ends the command and nothing is written; one
// while the write is under way does not hide what became of it.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	add := []string{"add", "made", "--mirror", "demo", "--mirror-domain", "hub"}
	edit := []string{"edit", "plain", "--force"}
	for _, test := range []struct {
		name, at string
		args     []string
		code     int
		action   mirror.Action
		kind     mirror.Kind
		written  int
	}{
		{"add while reading", "STREAM.INFO.KV_demo", add, 1, mirror.Failed, mirror.ErrInterrupted, 0},
		{"add while creating", "STREAM.CREATE", add, 0, mirror.Created, "", 1},
		{"edit while reading", "STREAM.INFO.KV_plain", edit, 1, mirror.Failed, mirror.ErrInterrupted, 0},
		{"edit while updating", "STREAM.UPDATE", edit, 0, mirror.Updated, "", 1},
		{"info", "STREAM.INFO.KV_demo", []string{"info", "plain"}, 1, mirror.Failed, mirror.ErrInterrupted, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, p := sitesWithProxy(t)
			// The answer takes a while, so that the interrupt comes first.
			p.SetDelay(50 * time.Millisecond)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			p.SetHook(func(m natstest.Message) natstest.Verdict {
				if m.Direction == natstest.ToServer && strings.Contains(m.Subject, test.at) {
					interrupt()
				}
				return natstest.Pass
			})
			o := runJSON(t, ctx, append(test.args, "--server", p.URL())...)
			o.mustBe(t, test.code, test.action, test.kind)
			writes := p.Traffic().Count("$JS.API.STREAM.CREATE.>") + p.Traffic().Count("$JS.API.STREAM.UPDATE.>")
			if writes != test.written {
				t.Errorf("%d writes, want %d", writes, test.written)
			}
		})
	}
}

func TestOlderServers(t *testing.T) {
	t.Parallel()
	add := []string{"add", "made", "--mirror", "demo", "--mirror-domain", "hub"}
	edit := []string{"edit", "plain", "--force"}
	level0 := func(_ string, reply map[string]any) {
		if api, ok := reply["api"].(map[string]any); ok {
			api["level"] = 0
		}
	}
	drops := func(subject string, reply map[string]any) {
		if c := config(reply); c != nil && (strings.Contains(subject, "CREATE") || strings.Contains(subject, "UPDATE")) {
			delete(c, "allow_msg_ttl")
		}
	}
	refuses := func(subject string, reply map[string]any) {
		if strings.Contains(subject, "UPDATE") {
			reply["error"] = map[string]any{"code": 500, "err_code": 10052, "description": "message TTL status can not be changed after stream creation"}
		}
	}
	hosted := func(version string) func(string, map[string]any) {
		return func(_ string, reply map[string]any) {
			if c := config(reply); c != nil {
				c["metadata"] = map[string]any{"_nats.ver": version}
			}
		}
	}
	for _, test := range []struct {
		name  string
		alter func(string, map[string]any)
		args  []string
		code  int
		kind  mirror.Kind
		says  string
	}{
		{"2.10, add", level0, add, 1, mirror.ErrOldServer, "API level 1"},
		{"2.10, add without TTL", level0, append(add, "--no-allow-msg-ttl"), 0, "", "stays here forever"},
		{"2.10, edit something else", level0, append(edit, "--description", "x"), 0, "", "the mirror's server must be 2.11 or later"},
		{"2.11.0, edit something else", hosted("2.11.0"), append(edit, "--description", "x"), 0, "", "run `nats-kvmirror recreate plain --js-api-prefix FAKE.API`"},
		{"2.11.6, edit something else", hosted("2.11.6"), append(edit, "--description", "x"), 0, "", "edit plain --allow-msg-ttl --js-api-prefix FAKE.API` turns it on"},
		{"2.10, edit", level0, edit, 1, mirror.ErrOldServer, "the mirror's server must be 2.11 or later\nthen run `nats-kvmirror recreate plain --js-api-prefix FAKE.API`"},
		{"drops TTL on create", drops, add, 1, mirror.ErrNotKept, "allow_msg_ttl is false and not true"},
		{"drops TTL on update", drops, edit, 1, mirror.ErrNotKept, "allow_msg_ttl is false and not true"},
		{"drops TTL on update, and then", drops, edit, 1, mirror.ErrNotKept, "then run `nats-kvmirror recreate plain --js-api-prefix FAKE.API`"},
		{"2.11.0, edit", hosted("2.11.0"), edit, 1, mirror.ErrOldServer, "server 2.11.0 cannot turn per-key TTL on for a stream that exists\nrun `nats-kvmirror recreate plain --js-api-prefix FAKE.API`"},
		{"refuses TTL on update", refuses, edit, 1, mirror.ErrRejected, "(10052)\nrun `nats-kvmirror recreate plain --js-api-prefix FAKE.API`"},
		{"2.11.3, edit", hosted("2.11.3"), edit, 0, "", "until the server is restarted"},
		{"2.11.6, edit", hosted("2.11.6"), edit, 0, "", "never expires on the mirror"},
		{"2.11.17, edit", hosted("2.11.17"), edit, 0, "", "overlooks expired messages"},
		{"another stream", func(_ string, reply map[string]any) {
			if c := config(reply); c != nil {
				c["name"] = "KV_other"
			}
		}, edit, 1, mirror.ErrMalformed, `it is about the stream "KV_other"`},
		{"no configuration", func(_ string, reply map[string]any) { delete(reply, "config") }, edit, 1, mirror.ErrMalformed, "it has no configuration"},
		{"nonsense", func(_ string, reply map[string]any) { reply["config"] = "nonsense" }, edit, 1, mirror.ErrMalformed, "malformed answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sites := plainSites(t)
			shim(t, sites.Leaf.URL(), test.alter)
			o := runJSON(t, t.Context(), append(test.args, "--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API")...)
			got, said := mirror.Kind(""), o.warnings()
			if o.report.Error != nil {
				got, said = o.report.Error.Kind, said+o.report.Error.Message+"\n"+o.report.Error.Hint
			}
			if o.code != test.code || got != test.kind {
				t.Errorf("exit code %d, error %q; want %d, %q\n%s", o.code, got, test.code, test.kind, o.stderr)
			}
			if !strings.Contains(said, test.says) {
				t.Errorf("%q is not said in %q", test.says, said)
			}
		})
	}
}

// A mirror that keeps what is gone at its origin, although its server echoes
// the setting, is found out.
func TestEditFindsLeftovers(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := plainSites(t)
	kv := keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second})
	if _, err := kv.PutString(t.Context(), "key", "value"); err != nil {
		t.Fatal(err)
	}
	leaf := connectTo(t, sites.Leaf.URL())
	waitUntil(t, "the mirror has the value", func() bool { return readStream(t, leaf, "plain").State.Msgs == 1 })
	// A purge through the API is not replicated, so the mirror keeps the value.
	nc, err := nats.Connect(sites.Hub.URL(), nats.Timeout(longest))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Request("$JS.API.STREAM.PURGE.KV_demo", nil, longest); err != nil {
		t.Fatal(err)
	}
	o := runJSON(t, t.Context(), "edit", "plain", "--force", "--server", sites.Leaf.URL())
	o.mustBe(t, 0, mirror.Updated, "")
	if said := o.warnings(); !strings.Contains(said, "the mirror holds at least 1 message that its origin does not") {
		t.Errorf("the leftover is not said in %q", said)
	}
}

// A connection that is lost for good after the write, while the command looks at
// what came of it or waits: it ends in time, and says what was written.
func TestCutAfterTheWrite(t *testing.T) {
	slow(t)
	t.Parallel()
	st := newTestSites(t)
	// A mirror that does not get on.
	shim(t, st.Leaf.URL(), func(_ string, reply map[string]any) {
		if state, ok := reply["state"].(map[string]any); ok && config(reply)["mirror"] != nil {
			state["last_seq"], state["messages"] = 0, 3
			reply["mirror"] = map[string]any{"name": "KV_demo", "active": -1}
		}
	})
	for _, test := range []struct {
		name    string
		prepare func(*testing.T, *testSites, string)
		args    []string
		write   string
		code    int
		action  mirror.Action
		kind    mirror.Kind
		says    string
	}{
		{"edit", func(t *testing.T, st *testSites, b string) { st.leftOver(t, b) }, []string{"edit", "--force"}, "STREAM.UPDATE",
			0, mirror.Updated, "", "whether expired messages are left over on the mirror is not known"},
		{"add", func(*testing.T, *testSites, string) {}, []string{"add", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "10m"}, "STREAM.CREATE",
			1, mirror.Failed, mirror.ErrDisconnected, "was created, and cannot be read since"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bucket := st.name()
			test.prepare(t, st, bucket)
			p := natstest.ProxyTo(t, st.Leaf)
			var mu sync.Mutex
			var cut time.Time
			looks := -1 // since the write, which is read back
			p.SetHook(func(m natstest.Message) natstest.Verdict {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case m.Direction != natstest.ToServer:
				case strings.Contains(m.Subject, test.write):
					looks = 0
				case looks >= 0 && strings.Contains(m.Subject, "STREAM.INFO.KV_"+bucket):
					if looks++; looks == 1 {
						return natstest.Pass
					}
					cut = time.Now()
					p.Refuse(true)
					return natstest.Cut
				}
				return natstest.Pass
			})
			args := append(slices.Clone(test.args), bucket, "--js-api-prefix", "FAKE.API", "--server", p.URL(), "--timeout", brief.String())
			o := runJSON(t, t.Context(), args...)
			ended := time.Now()
			p.Close() // the hook is not called any more
			o.mustBe(t, test.code, test.action, test.kind)
			said := o.warnings()
			if o.report.Error != nil {
				said += o.report.Error.Message
			}
			if !strings.Contains(said, test.says) {
				t.Errorf("%q is not said in %q", test.says, said)
			}
			if took, limit := ended.Sub(cut), brief+time.Second; cut.IsZero() || took > limit+slack {
				t.Errorf("it ended %v after the cut, want %v at most", took, limit)
			}
		})
	}
}
