//go:build unix

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
	"nats-kvmirror/internal/render"
)

// pair is a hub and a leaf with the bucket demo and its mirror m.
func pair(t *testing.T, demo jetstream.KeyValueConfig, more ...string) (*natstest.Sites, jetstream.KeyValue) {
	t.Helper()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	demo.Bucket, demo.LimitMarkerTTL = "demo", time.Hour
	kv := keyValue(t, sites.Hub.URL(), demo)
	args := append([]string{"add", "m", "--mirror", "demo", "--mirror-domain", "hub", "--server", sites.Leaf.URL()}, more...)
	runJSON(t, t.Context(), args...).mustBe(t, 0, mirror.Created, "")
	return sites, kv
}

// isAt waits until the mirror is at a sequence.
func isAt(t *testing.T, sites *natstest.Sites, seq uint64) {
	t.Helper()
	nc := connectTo(t, sites.Leaf.URL())
	waitUntil(t, fmt.Sprintf("the mirror is at sequence %d", seq), func() bool { return readStream(t, nc, "m").State.Last >= seq })
}

// holds is how many messages the mirror holds; -1 when it is not there.
func holds(t *testing.T, sites *natstest.Sites) int {
	t.Helper()
	is := readStream(t, connectTo(t, sites.Leaf.URL()), "m")
	if !is.there {
		return -1
	}
	return int(is.State.Msgs)
}

// What prune cannot take without taking more, or what may be the last copy, is
// left alone and said.
func TestPruneTakesNoMore(t *testing.T) {
	slow(t)
	t.Parallel()
	askHub := func(t *testing.T, sites *natstest.Sites, subject, body string) {
		t.Helper()
		request(t, connectTo(t, sites.Hub.URL()), subject, body)
	}
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T) *natstest.Sites // whose mirror has something left over
		keeps   int
		says    string // in the member's note, or a key that is left alone
	}{
		// A server stores what is published under a wildcard as if it were a name.
		{"a key that is a wildcard", func(t *testing.T) *natstest.Sites {
			sites, err := natstest.HubAndLeaf()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(sites.Stop)
			askHub(t, sites, "$JS.API.STREAM.CREATE.KV_demo", `{"name":"KV_demo","subjects":["$KV.demo.>"],"max_msgs_per_subject":1,"storage":"memory","discard":"new","allow_direct":true}`)
			for i := range 20 {
				askHub(t, sites, fmt.Sprint("$KV.demo.live.", i), "value")
			}
			askHub(t, sites, "$KV.demo.live.*", "value")
			runJSON(t, t.Context(), "add", "m", "--mirror", "demo", "--mirror-domain", "hub", "--server", sites.Leaf.URL()).mustBe(t, 0, mirror.Created, "")
			isAt(t, sites, 21)
			askHub(t, sites, "$JS.API.STREAM.MSG.DELETE.KV_demo", `{"seq":21}`)
			return sites
		}, 21, "live.*"},
		{"history that the mirror alone keeps", func(t *testing.T) *natstest.Sites {
			sites, kv := pair(t, jetstream.KeyValueConfig{History: 2}, "--history", "10")
			for i := range 6 {
				must(t)(kv.PutString(t.Context(), "key", "value"))
				isAt(t, sites, uint64(i)+1)
			}
			askHub(t, sites, "$JS.API.STREAM.PURGE.KV_demo", `{"filter":"$KV.demo.key","seq":6}`)
			return sites
		}, 6, "1 message is on one side alone, by design or not"},
		{"an origin that was created again", func(t *testing.T) *natstest.Sites {
			sites, kv := pair(t, jetstream.KeyValueConfig{})
			for i := range 5 {
				must(t)(kv.PutString(t.Context(), fmt.Sprint(i), "value"))
			}
			isAt(t, sites, 5)
			askHub(t, sites, "$JS.API.STREAM.DELETE.KV_demo", "")
			keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Hour})
			return sites
		}, 5, "the origin was created again"},
		// As 2.11.6 makes them where roll-ups are not allowed: all of the mirror's
		// sequences are one too low.
		{"sequences that are shifted", func(t *testing.T) *natstest.Sites {
			sites, err := natstest.HubAndLeaf()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(sites.Stop)
			hub, leaf := connectTo(t, sites.Hub.URL()), connectTo(t, sites.Leaf.URL())
			request(t, hub, "$JS.API.STREAM.CREATE.KV_demo", `{"name":"KV_demo","subjects":["$KV.demo.>"],"max_msgs_per_subject":1,"storage":"memory","allow_msg_ttl":true,"allow_direct":true}`)
			request(t, hub, "$JS.API.STREAM.CREATE.SHIFTED", `{"name":"SHIFTED","subjects":["S.>"],"max_msgs_per_subject":1,"storage":"memory","allow_msg_ttl":true,"allow_direct":true,"subject_transform":{"src":"S.>","dest":"$KV.demo.>"}}`)
			for i, key := range []string{"j", "a", "j", "b", "j", "c", "d"} {
				request(t, hub, "$KV.demo."+key, "value")
				if i > 0 {
					request(t, hub, "S."+key, "value")
				}
			}
			request(t, hub, "S.e", "value")
			request(t, leaf, "$JS.API.STREAM.CREATE.KV_m", `{"name":"KV_m","storage":"memory","max_msgs_per_subject":1,"allow_msg_ttl":true,"allow_direct":true,"mirror":{"name":"SHIFTED","external":{"api":"$JS.hub.API"}}}`)
			isAt(t, sites, 7)
			// From here on the mirror says that it mirrors demo: a server is asked
			// that answers so.
			shim(t, sites.Leaf.URL(), func(_ string, reply map[string]any) {
				if c := config(reply); c != nil && c["name"] == "KV_m" {
					c["mirror"].(map[string]any)["name"] = "KV_demo"
				}
				streams, _ := reply["streams"].([]any)
				for _, s := range streams {
					if c := config(s.(map[string]any)); c != nil && c["name"] == "KV_m" {
						c["mirror"].(map[string]any)["name"] = "KV_demo"
					}
				}
			})
			return sites
		}, 6, "messages are different at the same sequence"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sites := test.prepare(t)
			before := holds(t, sites)
			if before != test.keeps {
				t.Fatalf("the mirror holds %d messages, want %d", before, test.keeps)
			}
			args := []string{"prune", "m", "--gone", "--force", "--server", sites.Leaf.URL()}
			if strings.HasPrefix(test.name, "sequences") {
				args = append(args, "--js-api-prefix", "FAKE.API")
			}
			o := runFleet(t, t.Context(), args...)
			if got := holds(t, sites); got != before {
				t.Errorf("the mirror holds %d messages, and held %d", got, before)
			}
			m := o.fleet.Mirrors[0]
			if o.code != 1 || m.Purge == nil || m.Purge.Purged != 0 || m.Purge.Messages != 0 {
				t.Errorf("exit code %d, %+v\n%s", o.code, m, o.stderr)
			}
			if said := strings.Join(append(m.Purge.Unpurgeable, m.Note, render.Sentence(m.Content)), "\n"); !strings.Contains(said, test.says) {
				t.Errorf("%q is not said in %q", test.says, said)
			}
		})
	}
}

// An interrupt while it is compared what prune did is no failure, and says what
// was purged.
func TestPruneInterruptedComparing(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := leftBehind(t, 20)
	p := natstest.ProxyTo(t, sites.Leaf)
	interrupt := atRequest("hub.API.STREAM.INFO", "STREAM.PURGE")
	ctx, cancel := interrupt.context(t)
	defer cancel()
	p.SetHook(interrupt.hook)
	o := runFleet(t, ctx, "prune", "m", "--gone", "--force", "--server", p.URL())
	o.mustBe(t, 1, mirror.Failed, mirror.ErrInterrupted)
	if m := o.fleet.Mirrors[0]; m.Action != mirror.Skipped || m.Note != "interrupted after 20 messages were purged" || m.Failure != nil {
		t.Errorf("%+v", m)
	}
	isIdentical(t, sites, 100)
}

// History that only the mirror keeps is counted among what a new one would lose.
func TestRecreateCountsHistory(t *testing.T) {
	t.Parallel()
	sites, kv := pair(t, jetstream.KeyValueConfig{}, "--history", "5")
	for i := range 5 {
		must(t)(kv.PutString(t.Context(), "key", "value"))
		isAt(t, sites, uint64(i)+1)
	}
	at := func(args ...string) []string { return append(args, "--server", sites.Leaf.URL()) }
	o := runJSON(t, t.Context(), at("recreate", "m", "--force")...)
	o.mustBe(t, 1, mirror.Failed, mirror.ErrRefused)
	if o.report.Error == nil || !strings.Contains(o.report.Error.Message, "up to 4 messages of bucket \"m\" would be lost") || holds(t, sites) != 5 {
		t.Errorf("it says %+v, and the mirror holds %d messages", o.report.Error, holds(t, sites))
	}
	// What would be lost can be had as a file beforehand.
	file := filepath.Join(t.TempDir(), "lost")
	runJSON(t, t.Context(), at("recreate", "m", "--dry-run", "--differences", file, "--rate", "1000", "--limit", "1")...).mustBe(t, 2, mirror.WouldRecreate, "")
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	runJSON(t, t.Context(), at("recreate", "m", "--force", "--accept-loss", "4")...).mustBe(t, 0, mirror.Recreated, "")
}

// The origin goes, or what it holds, while the question stands: the mirror is the
// last copy then, and is not deleted.
func TestRecreateAsksOriginAgain(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(t *testing.T, sites *natstest.Sites)
		says   string
	}{
		{"deleted", func(t *testing.T, sites *natstest.Sites) {
			request(t, connectTo(t, sites.Hub.URL()), "$JS.API.STREAM.DELETE.KV_demo", "")
		}, "does not exist"},
		{"created again", func(t *testing.T, sites *natstest.Sites) {
			request(t, connectTo(t, sites.Hub.URL()), "$JS.API.STREAM.DELETE.KV_demo", "")
			keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Hour})
		}, "was created again since the mirror was compared with it, so nothing is deleted"},
		{"purged", func(t *testing.T, sites *natstest.Sites) { purgeOrigin(t, sites) }, "100 messages of bucket \"m\" would be lost now"},
		{"down", func(_ *testing.T, sites *natstest.Sites) { sites.Hub.Shutdown() }, "cannot be read, so nothing is deleted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sites := mirrored(t, 100)
			p := startOnTerminal(t, sites.Leaf.URL(), "recreate", "m")
			p.isAsked("Really delete bucket m and create it again?")
			test.change(t, sites)
			p.types("y\r")
			if code := p.leaves(); code != 1 || !strings.Contains(p.shown(), test.says) {
				t.Errorf("exit code %d, %q is not said in:\n%s", code, test.says, p.shown())
			}
			if n := holds(t, sites); n != 100 {
				t.Errorf("the mirror holds %d messages", n)
			}
		})
	}
}

// A deletion that is refused leaves nothing to restore.
func TestRecreateDeleteRefused(t *testing.T) {
	sites := leftBehind(t, 0)
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	refusing(t, sites.Leaf.URL(), func(subject string, _ []byte) bool { return subject == "STREAM.DELETE.KV_m" }, func(string, map[string]any) {})
	o := runJSON(t, t.Context(), "recreate", "m", "--force", "--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API")
	o.mustBe(t, 1, mirror.Failed, mirror.ErrRejected)
	if o.report.Error == nil || strings.Contains(o.report.Error.Hint, "--from-backup") {
		t.Errorf("it says %+v", o.report.Error)
	}
	if saved, err := filepath.Glob(filepath.Join(cache, appName, "*")); err != nil || len(saved) > 0 {
		t.Errorf("saved are %q, %v", saved, err)
	}
	isIdentical(t, sites, 100)
}

// A mirror that was deleted is created from its saved configuration though its
// origin is down; that it is not compared is said.
func TestRestoreWithoutOrigin(t *testing.T) {
	sites := leftBehind(t, 0)
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	refusing(t, sites.Leaf.URL(), whenDeleted(func([]byte) bool { return true }), func(string, map[string]any) {})
	runJSON(t, t.Context(), "recreate", "m", "--force", "--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API").mustBe(t, 1, mirror.Failed, mirror.ErrRejected)
	saved, err := filepath.Glob(filepath.Join(cache, appName, "m-*.json"))
	if err != nil || len(saved) != 1 {
		t.Fatalf("saved are %q, %v", saved, err)
	}
	sites.Hub.Shutdown()
	o := runJSON(t, t.Context(), "recreate", "m", "--from-backup", saved[0], "--server", sites.Leaf.URL())
	o.mustBe(t, 1, mirror.Failed, mirror.ErrOriginUnreadable)
	if o.report.Error == nil || !strings.Contains(o.report.Error.Message, `bucket "m" was created again, and could not be compared with its origin`) || holds(t, sites) != 0 {
		t.Errorf("it says %+v, and the mirror holds %d messages", o.report.Error, holds(t, sites))
	}
	if err := sites.Hub.Restart(); err != nil {
		t.Fatal(err)
	}
	isAt(t, sites, 100)
	isIdentical(t, sites, 100)
}

// A mirror that begins within its origin lacks nothing, and begins there again
// when it is recreated.
func TestRecreateKeepsStart(t *testing.T) {
	t.Parallel()
	sites, kv := pair(t, jetstream.KeyValueConfig{})
	for i := range 10 {
		must(t)(kv.PutString(t.Context(), fmt.Sprint("a.", i), "value"))
	}
	leaf := connectTo(t, sites.Leaf.URL())
	askAPI(t, leaf, "STREAM.DELETE.KV_m", nil, &struct{}{})
	askAPI(t, leaf, "STREAM.CREATE.KV_m", map[string]any{
		"name": "KV_m", "storage": "memory", "max_msgs_per_subject": 1, "discard": "new", "deny_delete": true, "allow_rollup_hdrs": true, "allow_direct": true, "mirror_direct": true, "allow_msg_ttl": true,
		"mirror": map[string]any{"name": "KV_demo", "opt_start_seq": 8, "external": map[string]any{"api": "$JS.hub.API"}},
	}, &struct{}{})
	isAt(t, sites, 10)
	o := runFleet(t, t.Context(), "check", "m", "--content", "--server", sites.Leaf.URL())
	if m := o.fleet.Mirrors[0]; o.code != 0 || m.Content.Verdict != content.Identical || m.Content.Compared != 3 || m.Content.ByDesign != 7 {
		t.Errorf("exit code %d, %+v", o.code, m)
	}
	runJSON(t, t.Context(), "recreate", "m", "--force", "--filter", "a.>", "--server", sites.Leaf.URL()).mustBe(t, 0, mirror.Recreated, "")
	if n := holds(t, sites); n != 3 {
		t.Errorf("the mirror holds %d messages, want 3", n)
	}
}

// A mirror that may have dropped its oldest messages at a limit, or may have lost
// them, is not said to hold what its origin holds.
func TestContentUncertain(t *testing.T) {
	slow(t)
	t.Parallel()
	sites, kv := pair(t, jetstream.KeyValueConfig{})
	for i := range 10 {
		must(t)(kv.PutString(t.Context(), fmt.Sprint(i), "value"))
	}
	leaf := connectTo(t, sites.Leaf.URL())
	askAPI(t, leaf, "STREAM.DELETE.KV_m", nil, &struct{}{})
	askAPI(t, leaf, "STREAM.CREATE.KV_m", map[string]any{
		"name": "KV_m", "storage": "memory", "max_msgs_per_subject": 1, "discard": "old", "max_bytes": 1 << 20, "deny_delete": true, "allow_rollup_hdrs": true, "allow_direct": true, "mirror_direct": true, "allow_msg_ttl": true,
		"mirror": map[string]any{"name": "KV_demo", "external": map[string]any{"api": "$JS.hub.API"}},
	}, &struct{}{})
	isAt(t, sites, 10)
	runFleet(t, t.Context(), "check", "m", "--content", "--ignore", "discard-old", "--server", sites.Leaf.URL()).mustBe(t, 0, mirror.Checked, "")
	for _, before := range []string{"6", "11"} {
		request(t, leaf, "$JS.API.STREAM.PURGE.KV_m", `{"seq":`+before+`}`)
		o := runFleet(t, t.Context(), "check", "m", "--content", "--ignore", "discard-old", "--server", sites.Leaf.URL())
		if m := o.fleet.Mirrors[0]; o.code != 3 && o.code != 2 || m.Content.Verdict != content.Unverified || m.Content.Uncertain == 0 {
			t.Errorf("purged up to %s: exit code %d, %+v", before, o.code, m.Content)
		}
	}
}
