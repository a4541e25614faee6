package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// A mirror of a mirror, below a leaf: made, told that its chain has lost per-key
// TTL, and repaired from the top to the bottom.
func TestLeafBelowLeaf(t *testing.T) {
	slow(t)
	t.Parallel()
	chain, err := natstest.LeafBelowLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(chain.Stop)
	kv := keyValue(t, chain.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second})
	for _, key := range []string{"a", "b"} {
		if _, err := kv.PutString(t.Context(), key, "value"); err != nil {
			t.Fatal(err)
		}
	}
	leaf, below := []string{"--server", chain.Leaf.URL()}, []string{"--server", chain.Below.URL()}
	keyValue(t, chain.Leaf.URL(), jetstream.KeyValueConfig{Bucket: "demo", Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}})
	waitUntil(t, "the leaf has what the hub has", func() bool { return readStream(t, connectTo(t, chain.Leaf.URL()), "demo").State.Msgs == 2 })
	runJSON(t, t.Context(), append(below, "add", "--mirror", "demo", "--mirror-domain", "ksds", "--wait", "1m")...).mustBe(t, 0, mirror.Created, "")
	if hasTTL(t, chain.Below.URL(), "demo") {
		t.Error("the mirror has per-key TTL, and its origin has not")
	}

	// The chain is broken in the middle, and said to be.
	broken := runFleet(t, t.Context(), append(below, "check", "demo")...)
	if broken.code != 2 || !hasFinding(broken, "ttl-lost-above") {
		t.Errorf("exit code %d, findings %+v", broken.code, broken.fleet.Mirrors)
	}
	runJSON(t, t.Context(), append(leaf, "edit", "demo", "--force")...).mustBe(t, 0, mirror.Updated, "")
	runFleet(t, t.Context(), append(below, "repair", "demo", "--force")...).mustBe(t, 0, mirror.Updated, "")

	// What expires at the top expires at the bottom.
	if err := kv.Purge(t.Context(), "a", jetstream.PurgeTTL(5*time.Second)); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the marker is gone at the bottom", func() bool {
		is := readStream(t, connectTo(t, chain.Below.URL()), "demo")
		return is.State.Last >= 3 && is.State.Msgs == 1
	})
	checked := runFleet(t, t.Context(), append(below, "check", "demo", "--content", "--payload")...)
	checked.mustBe(t, 0, mirror.Checked, "")
	if n := checked.fleet.Mirrors[0].Content.Compared; n != 1 {
		t.Errorf("%d messages were compared, want 1", n)
	}
	runJSON(t, t.Context(), append(below, "recreate", "demo", "--force")...).mustBe(t, 0, mirror.Recreated, "")

	// When the one in the middle is promoted it holds what is older than itself, and
	// so does the mirror below it: nothing is wrong with that.
	request(t, connectTo(t, chain.Hub.URL()), "$JS.API.STREAM.DELETE.KV_demo", "")
	runJSON(t, t.Context(), append(leaf, "promote", "demo", "--force")...).mustBe(t, 0, mirror.Promoted, "")
	if checked := runFleet(t, t.Context(), append(below, "check", "demo")...); hasFinding(checked, "origin-recreated") {
		t.Errorf("findings %+v", checked.fleet.Mirrors[0].Findings)
	}
}

// Over accounts of which one shares too little: the messages are compared where
// they can be, and where not, that is said and nothing is purged.
func TestContentOverAccounts(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, test := range []struct {
		name string
		kind natstest.AccountsKind
		leaf bool // the mirror is behind a leafnode
		code int  // of check --content
	}{
		{"all", natstest.CrossAccount, false, 0},
		{"unreadable", natstest.CrossAccountUnreadable, false, 3},
		{"unreadable over a leafnode", natstest.CrossAccountUnreadable, true, 3},
		{"no flow control", natstest.CrossAccountNoFlowControl, false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, b := accounts(t, test.kind, test.leaf)
			kv := keyValue(t, a, jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second})
			if _, err := kv.PutString(t.Context(), "key", "value"); err != nil {
				t.Fatal(err)
			}
			runJSON(t, t.Context(), "add", "m", "--mirror", "demo", "--mirror-api-prefix", "JS.A.API", "--mirror-deliver-prefix", "deliver.B", "--allow-msg-ttl", "--server", b).mustBe(t, 0, mirror.Created, "")
			waitUntil(t, "the mirror has the value", func() bool { return readStream(t, connectTo(t, b), "m").State.Msgs == 1 })
			o := runFleet(t, t.Context(), "check", "m", "--content", "--server", b, "--timeout", (2 * brief).String())
			if o.code != test.code {
				t.Errorf("exit code %d, want %d: %+v\n%s", o.code, test.code, o.fleet.Mirrors, o.stderr)
			}
			pruned := runFleet(t, t.Context(), "prune", "m", "--gone", "--force", "--server", b, "--timeout", (2 * brief).String())
			if test.code == 0 {
				pruned.mustBe(t, 0, mirror.Unchanged, "")
			} else if pruned.code == 0 || readStream(t, connectTo(t, b), "m").State.Msgs != 1 {
				t.Errorf("exit code %d, %+v", pruned.code, pruned.fleet.Mirrors)
			}
		})
	}
}

// accounts starts the two accounts of a kind, side by side or with the mirror's
// behind a leafnode, and returns where the origin and the mirror are.
func accounts(t *testing.T, kind natstest.AccountsKind, leafnode bool) (origin, mirror string) {
	t.Helper()
	if leafnode {
		sites, err := natstest.AccountsAndLeaf(kind)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sites.Stop)
		return "nats://a:a@" + sites.Hub.Addr(), sites.Leaf.URL()
	}
	s, err := natstest.Accounts(kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return "nats://a:a@" + s.Addr(), "nats://b:b@" + s.Addr()
}

// Accounts that do not share flow control: the mirror stalls part-way, side by
// side and over a leafnode. Whatever looks at it finds it, and what the mirror has
// not got is not taken for anything else.
func TestStallOverAccounts(t *testing.T) {
	slow(t)
	t.Parallel()
	for name, leafnode := range map[string]bool{"side by side": false, "over a leafnode": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const keys = 2000
			a, b := accounts(t, natstest.CrossAccountNoFlowControl, leafnode)
			keyValue(t, a, jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Minute})
			putMany(t, a, keys, strings.Repeat("x", 1024)) // more than is sent without an answer
			at := func(args ...string) []string { return append(args, "--server", b) }

			added := runJSON(t, t.Context(), at("add", "m", "--mirror", "demo", "--mirror-api-prefix", "JS.A.API", "--mirror-deliver-prefix", "deliver.B", "--wait", brief.String())...)
			added.mustBe(t, 1, mirror.Failed, mirror.ErrNotCaughtUp)
			waitUntil(t, "the stall is found", func() bool {
				checked := runFleet(t, t.Context(), at("check", "m")...)
				return checked.code == 2 && hasFinding(checked, "stalled") && hasFinding(checked, "mirror-error")
			})
			has := readStream(t, connectTo(t, b), "m").State
			if has.Msgs == 0 || has.Msgs >= keys {
				t.Fatalf("the mirror has %d messages of %d", has.Msgs, keys)
			}

			compared := runFleet(t, t.Context(), at("check", "m", "--content")...)
			if c := compared.fleet.Mirrors[0].Content; compared.code != 2 || c.Verdict == content.Identical || c.Behind != keys-has.Last || content.Sum(c.LeftOver) > 0 {
				t.Errorf("exit code %d, %+v", compared.code, c)
			}
			pruned := runFleet(t, t.Context(), at("prune", "m", "--gone", "--force")...)
			pruned.mustBe(t, 1, mirror.Failed, mirror.ErrIncomplete)
			if n := pruned.fleet.Mirrors[0].Purge.Keys; n > 0 {
				t.Errorf("%d keys were to be purged", n)
			}
			if now := readStream(t, connectTo(t, b), "m").State; now.Msgs != has.Msgs {
				t.Errorf("the mirror has %d messages, and had %d", now.Msgs, has.Msgs)
			}
		})
	}
}

// Clusters on both sides: a leader that steps down, and a server that is stopped,
// while a mirror of three replicas is edited, repaired and pruned.
func TestTwoClusters(t *testing.T) {
	slow(t)
	t.Parallel()
	hub, leaf, err := natstest.Clusters(3)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(hub, leaf...) {
		t.Cleanup(s.Stop)
	}
	kv := keyValue(t, hub[0].URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second, Replicas: 3})
	for _, key := range []string{"a", "b"} {
		if _, err := kv.PutString(t.Context(), key, "value"); err != nil {
			t.Fatal(err)
		}
	}
	at := []string{"--server", leaf[0].URL() + "," + leaf[1].URL(), "--timeout", "20s"}
	direct := connectTo(t, leaf[0].URL())
	for _, bucket := range []string{"m0", "m1"} {
		keyValue(t, leaf[0].URL(), jetstream.KeyValueConfig{Bucket: bucket, Replicas: 3, Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}})
		waitUntil(t, "the mirror has all", func() bool { return readStream(t, direct, bucket).State.Msgs == 2 })
	}
	stepDown(t, leaf, "KV_m0")
	// A leader has to be found first; until then a refusal is right, and nothing else.
	waitUntil(t, "m0 is edited", func() bool {
		r := play(t, t.Context(), "edit", "m0", "--force", "--server", leaf[0].URL(), "--timeout", (5 * brief).String())
		if r.code == exitOK && !readFromLeader(t, direct, "m0").Config.TTL {
			t.Fatalf("it is not edited: %s", r.stdout)
		}
		return r.code == exitOK
	})
	stepDown(t, hub, "KV_demo")
	leaf[2].Shutdown()
	waitUntil(t, "m1 is repaired", func() bool {
		r := play(t, t.Context(), append(at, "repair", "m1", "--only", "ttl-off", "--force")...)
		if r.code == exitOK && !readFromLeader(t, direct, "m1").Config.TTL {
			t.Fatalf("it is not repaired: %s", r.stdout)
		}
		return r.code == exitOK
	})
	askLeader(t, connectTo(t, hub[0].URL()), "STREAM.PURGE.KV_demo", `{"filter":"$KV.demo.a"}`)
	waitUntil(t, "m1 is pruned", func() bool {
		r := play(t, t.Context(), append(at, "prune", "m1", "--gone", "--force")...)
		return r.code == exitOK && readFromLeader(t, direct, "m1").State.Msgs == 1
	})
	restart(t, leaf, 2, "KV_m0", "KV_m1")
	waitUntil(t, "both hold what their origin holds", func() bool {
		r := play(t, t.Context(), append(at, "prune", "m0", "m1", "--gone", "--force")...)
		return r.code == exitOK
	})
}

// The origin's account has no JetStream. Its server says so, or, when a leafnode is
// connected to the account, nothing at all (nats-server, Account.checkJetStream):
// nothing is created, changed or taken for known.
func TestOriginWithoutJetStream(t *testing.T) {
	slow(t)
	t.Parallel()
	hub, err := natstest.Start(`
server_name: HUB
listen: 127.0.0.1:-1
jetstream { store_dir: "{{dir}}", domain: hub, max_memory_store: 64MB, max_file_store: 64MB }
leafnodes { listen: 127.0.0.1:-1, no_advertise: true }
accounts {
  A { users: [ {user: a, password: a} ], exports: [ { service: "$JS.API.>", accounts: [B] } ] }
  B { jetstream: enabled, users: [ {user: b, password: b} ], imports: [ { service: { account: A, subject: "$JS.API.>" }, to: "JS.A.API.>" } ] }
  L { users: [ {user: l, password: l} ] }
}
`)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Stop)
	leaf, err := natstest.Start(fmt.Sprintf(`
server_name: LEAF
listen: 127.0.0.1:-1
jetstream { store_dir: "{{dir}}", domain: leaf, max_memory_store: 64MB, max_file_store: 64MB }
leafnodes { remotes: [ { url: "nats-leaf://l:l@%s" } ] }
`, hub.LeafAddr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leaf.Stop)
	for _, test := range []struct {
		url    string
		origin []string
		says   string
	}{
		{"nats://b:b@" + hub.Addr(), []string{"--mirror-api-prefix", "JS.A.API", "--mirror-deliver-prefix", "deliver.B"}, "JetStream is not enabled"},
		{leaf.URL(), []string{"--mirror-domain", "hub"}, "$JS.hub.API.STREAM.INFO.KV_demo"},
	} {
		at := func(args ...string) []string {
			return append(args, "--server", test.url, "--timeout", brief.String())
		}
		add := append([]string{"add", "m", "--mirror", "demo"}, test.origin...)
		refused := runJSON(t, t.Context(), at(add...)...)
		refused.mustBe(t, 1, mirror.Failed, mirror.ErrOriginUnreadable)
		if e := refused.report.Error; e != nil && !strings.Contains(e.Message, test.says) {
			t.Errorf("%q is not said in %q", test.says, e.Message)
		}
		if readStream(t, connectTo(t, test.url), "m").there {
			t.Error("the mirror was created")
		}
		runJSON(t, t.Context(), at(append(add, "--allow-msg-ttl")...)...).mustBe(t, 0, mirror.Created, "")
		if checked := runFleet(t, t.Context(), at("check", "m")...); checked.code != 2 || !hasFinding(checked, "never-connected") || !hasFinding(checked, "origin-unreachable") {
			t.Errorf("exit code %d, %+v", checked.code, checked.fleet.Mirrors)
		}
		runFleet(t, t.Context(), at("repair", "m", "--force")...).mustBe(t, 1, mirror.Failed, mirror.ErrOriginUnreadable)
		runJSON(t, t.Context(), at("recreate", "m", "--force")...).mustBe(t, 1, mirror.Failed, mirror.ErrOriginUnreadable)
	}
}
