package cli

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// The link between the domains is cut: before a command, in the midst of one, and
// it comes back afterwards. What is not known is said to be, nothing hangs, and
// nothing is changed that should not be.
func TestDomainCut(t *testing.T) {
	slow(t)
	t.Parallel()
	sites, link, err := natstest.HubAndLeafVia()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	kv := keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Minute})
	for _, key := range []string{"a", "b"} {
		if _, err := kv.PutString(t.Context(), key, "value"); err != nil {
			t.Fatal(err)
		}
	}
	at := func(args ...string) []string {
		return append(args, "--server", sites.Leaf.URL(), "--timeout", (2 * brief).String())
	}
	runJSON(t, t.Context(), at("add", "m", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "1m")...).mustBe(t, 0, mirror.Created, "")
	keyValue(t, sites.Leaf.URL(), jetstream.KeyValueConfig{Bucket: "plain", Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}})

	link.Refuse(true)
	link.CutAll()
	begin := time.Now()
	waitUntil(t, "the hub is out of reach", func() bool {
		return runJSON(t, t.Context(), at("add", "n", "--mirror", "demo", "--mirror-domain", "hub", "--dry-run")...).code == 3
	})
	runJSON(t, t.Context(), at("add", "n", "--mirror", "demo", "--mirror-domain", "hub")...).mustBe(t, 1, mirror.Failed, mirror.ErrOriginUnreadable)
	runJSON(t, t.Context(), at("edit", "plain", "--force")...).mustBe(t, 1, mirror.Failed, mirror.ErrOriginUnreadable)
	if o := runJSON(t, t.Context(), at("info", "m")...); o.code != 0 || o.report.Origin.Reachable {
		t.Errorf("info: exit code %d, origin %+v", o.code, o.report.Origin)
	}
	for _, args := range [][]string{{"check", "m"}, {"check", "m", "--content"}} {
		if o := runFleet(t, t.Context(), at(args...)...); o.code != 3 || !hasFinding(o, "origin-unreachable") {
			t.Errorf("%v: exit code %d, %+v", args, o.code, o.fleet.Mirrors)
		}
	}
	runFleet(t, t.Context(), at("repair", "plain", "--force")...).mustBe(t, 1, mirror.Failed, mirror.ErrOriginUnreadable)
	runFleet(t, t.Context(), at("prune", "m", "--gone", "--force")...).mustBe(t, 1, mirror.Failed, mirror.ErrIncomplete)
	runFleet(t, t.Context(), at("prune", "m", "--dry-run")...).mustBe(t, 3, mirror.Failed, mirror.ErrIncomplete)
	runJSON(t, t.Context(), at("recreate", "m", "--force")...).mustBe(t, 1, mirror.Failed, mirror.ErrOriginUnreadable)
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	if is := readStream(t, connectTo(t, sites.Leaf.URL()), "m"); !is.there || is.State.Msgs != 2 {
		t.Errorf("the mirror is %+v", is)
	}

	link.Refuse(false)
	waitUntil(t, "the mirror is known to hold what its origin holds", func() bool {
		return runFleet(t, t.Context(), at("check", "m", "--content")...).code == 0
	})
}

// Servers that let clients connect and say nothing are out of reach, with the hint
// that fits.
func TestSilentServers(t *testing.T) {
	t.Parallel()
	var servers []string
	for range 3 {
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		servers = append(servers, "nats://"+silent.Addr().String())
	}
	o := runJSON(t, t.Context(), "info", "demo", "--timeout", "100ms", "--server", strings.Join(servers, ","))
	o.mustBe(t, 1, mirror.Failed, kindUnreachable)
	if e := o.report.Error; e != nil && (!strings.Contains(e.Message, "no answer in time: waited 100ms") || !strings.Contains(e.Hint, "--timeout")) {
		t.Errorf("%q, hint %q", e.Message, e.Hint)
	}
}

// An origin in another account of the hub, which is read through the account that
// the leafnode is connected to.
func TestAccountsOverLeafnode(t *testing.T) {
	slow(t)
	t.Parallel()
	sites, err := natstest.AccountsAndLeaf(natstest.CrossAccount)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	origin := strings.Replace(sites.Hub.URL(), "://", "://a:a@", 1)
	kv := keyValue(t, origin, jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Minute})
	for i := range 3 {
		if _, err := kv.PutString(t.Context(), fmt.Sprint(i), "value"); err != nil {
			t.Fatal(err)
		}
	}
	at := func(args ...string) []string { return append(args, "--server", sites.Leaf.URL()) }
	runJSON(t, t.Context(), at("add", "--mirror", "demo", "--mirror-api-prefix", "JS.A.API", "--mirror-deliver-prefix", "deliver.B", "--wait", "1m")...).mustBe(t, 0, mirror.Created, "")
	if !hasTTL(t, sites.Leaf.URL(), "demo") {
		t.Error("the mirror has no per-key TTL")
	}
	checked := runFleet(t, t.Context(), at("check", "demo", "--content", "--payload")...)
	if checked.code != 0 || checked.fleet.Mirrors[0].Content.Compared != 3 {
		t.Errorf("exit code %d, %+v", checked.code, checked.fleet.Mirrors)
	}
	js, err := jetstream.New(connectTo(t, origin), jetstream.WithDefaultTimeout(longest))
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "KV_demo")
	if err == nil {
		err = s.Purge(t.Context(), jetstream.WithPurgeSubject("$KV.demo.1"))
	}
	if err != nil {
		t.Fatal(err)
	}
	runFleet(t, t.Context(), at("prune", "demo", "--gone", "--force")...).mustBe(t, 0, mirror.Updated, "")
	runJSON(t, t.Context(), at("recreate", "demo", "--force")...).mustBe(t, 0, mirror.Recreated, "")
}
