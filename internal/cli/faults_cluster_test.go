//go:build faults

package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// Three replicas on both sides, and a leader that hands over, or is stopped, in the
// midst of a write: what is said is true, and running the command again ends it.
func TestFaultsCluster(t *testing.T) {
	t.Parallel()
	hub, leaf, err := natstest.Clusters(3)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(hub, leaf...) {
		t.Cleanup(s.Stop)
	}
	const keys = 60
	c := &clusterPair{hub: hub, leaf: leaf, left: keys}
	keyValue(t, hub[0].URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Minute, Replicas: 3})
	putMany(t, hub[0].URL(), keys, "value")
	direct := connectTo(t, leaf[0].URL())
	for _, bucket := range []string{"pruned", "edited", "repaired", "edited-too", "repaired-too"} {
		keyValue(t, leaf[0].URL(), jetstream.KeyValueConfig{Bucket: bucket, Replicas: 3, Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}})
		waitUntil(t, "the mirror has all", func() bool { return readFromLeader(t, direct, bucket).State.Msgs == keys })
	}
	hasTTL := func(is streamState) bool { return is.Config.TTL }
	holds := func(is streamState) bool { return is.State.Msgs == c.left }
	edit := func(bucket string) clusterCommand {
		return clusterCommand{[]string{"edit", bucket, "--force"}, bucket, "STREAM.UPDATE", 1, hasTTL}
	}
	repair := func(bucket string) clusterCommand {
		return clusterCommand{[]string{"repair", bucket, "--force"}, bucket, "STREAM.UPDATE", 1, hasTTL}
	}
	prune := clusterCommand{[]string{"prune", "pruned", "--gone", "--force"}, "pruned", "STREAM.PURGE", 5, holds}

	c.during(t, "its leader hands over", 0, func() { stepDown(t, leaf, "KV_edited") }, edit("edited"))
	c.during(t, "its leader hands over", 0, func() { stepDown(t, leaf, "KV_repaired") }, repair("repaired"))
	c.leaveOver(t)
	c.during(t, "the mirror's leader hands over", 0, func() { stepDown(t, leaf, "KV_pruned") }, prune)
	c.leaveOver(t)
	c.during(t, "the origin's leader hands over", 0, func() { stepDown(t, hub, "KV_demo") }, prune)

	// One server leads all three, and the client is connected to another one.
	c.leaveOver(t)
	leader := leaderOf(t, leaf, "KV_pruned")
	prefer := fmt.Sprintf(`{"placement":{"preferred":%q}}`, leaf[leader].Underlying().Name())
	for _, bucket := range []string{"edited-too", "repaired-too"} {
		waitUntil(t, "the mirrors have one leader", func() bool {
			if leaderOf(t, leaf, "KV_"+bucket) == leader {
				return true
			}
			// Refused when it leads by now.
			_, _ = direct.Request("$JS.API.STREAM.LEADER.STEPDOWN.KV_"+bucket, []byte(prefer), brief)
			return false
		})
	}
	c.during(t, "its leader stops", (leader+1)%len(leaf), leaf[leader].Shutdown, edit("edited-too"), repair("repaired-too"), prune)
	restart(t, leaf, leader, "KV_pruned", "KV_edited-too", "KV_repaired-too")

	c.leaveOver(t)
	leader = leaderOf(t, hub, "KV_demo")
	c.during(t, "the origin's leader stops", 0, hub[leader].Shutdown, prune)
	restart(t, hub, leader, "KV_demo")
	waitUntil(t, "it holds what its origin holds", func() bool {
		return play(t, t.Context(), "check", "pruned", "--content", "--payload", "--ignore", "ttl-off", "--ignore", "link-stale",
			"--ignore", "replica-behind", "--server", leaf[0].URL()).code == exitOK
	})
}

// clusterCommand is a command in the midst of which something happens to its servers.
type clusterCommand struct {
	args    []string
	bucket  string
	subject string // of the request in place of which it happens
	nth     int32
	done    func(streamState) bool
}

// clusterPair is two clusters in which things happen.
type clusterPair struct {
	hub, leaf []*natstest.Server
	left      uint64 // keys of the origin
}

// leaveOver purges ten keys of the origin, which no mirror notices.
func (c *clusterPair) leaveOver(t *testing.T) {
	t.Helper()
	nc := connectTo(t, c.hub[0].URL())
	for range 10 {
		c.left--
		askLeader(t, nc, "STREAM.PURGE.KV_demo", fmt.Sprintf(`{"filter":"$KV.demo.key.%d"}`, c.left))
	}
}

// during runs commands at a server of the leaf, each of which waits with its request
// until event has happened, once for all; then it runs them until they are done.
func (c *clusterPair) during(t *testing.T, name string, server int, event func(), commands ...clusterCommand) {
	t.Helper()
	var ready, ended sync.WaitGroup
	happened := make(chan struct{})
	results := make([]result, len(commands))
	at := func(s clusterCommand, url string) []string {
		return append(slices.Clone(s.args), "--server", url, "--timeout", (5 * brief).String())
	}
	for i, s := range commands {
		p := natstest.ProxyTo(t, c.leaf[server])
		var seen atomic.Int32
		reached := sync.OnceFunc(ready.Done)
		ready.Add(1)
		p.SetHook(func(m natstest.Message) natstest.Verdict {
			if m.Direction == natstest.ToServer && strings.Contains(m.Subject, s.subject) && seen.Add(1) == s.nth {
				reached()
				<-happened
			}
			return natstest.Pass
		})
		ended.Go(func() {
			defer reached()
			results[i] = play(t, t.Context(), at(s, p.URL())...)
			if seen.Load() < s.nth {
				t.Errorf("%q, %s: it did not happen: %s", s.args, name, results[i].stderr)
			}
		})
	}
	ready.Wait()
	event()
	close(happened)
	ended.Wait()
	direct := connectTo(t, c.leaf[server].URL())
	for i, s := range commands {
		if is := readFromLeader(t, direct, s.bucket); results[i].code == exitOK && !s.done(is) {
			t.Errorf("%q, %s: said to be done, and is %+v", s.args, name, is)
		}
		waitUntil(t, fmt.Sprintf("%q, %s: running it again ends it", s.args, name), func() bool {
			r := play(t, t.Context(), at(s, c.leaf[server].URL())...)
			// What no update fixes, a server that is down or a left-over, remains, and repair says so.
			remains := r.failure != nil && r.failure.Kind == mirror.ErrIncomplete
			return r.code == exitOK || s.args[0] == "repair" && remains
		})
		if is := readFromLeader(t, direct, s.bucket); !s.done(is) {
			t.Errorf("%q, %s: in the end it is %+v", s.args, name, is)
		}
	}
}

// leaderOf waits until a stream has a leader and returns which server that is.
func leaderOf(t *testing.T, servers []*natstest.Server, stream string) int {
	t.Helper()
	nc, leader := connectTo(t, servers[0].URL()), -1
	waitUntil(t, stream+" has a leader", func() bool {
		name := askPeers(t, nc, stream).Cluster.Leader
		leader = slices.IndexFunc(servers, func(s *natstest.Server) bool { return s.Underlying().Name() == name })
		return leader >= 0
	})
	return leader
}
