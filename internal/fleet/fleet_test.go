package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/natstest"
	"nats-kvmirror/internal/stream"
)

// mirrorAt is the stream of a mirror; in no domain it is the mirror's own.
func mirrorAt(bucket, origin, domain string) jetstream.StreamConfig {
	c := bucketOf(bucket)
	c.Subjects, c.MirrorDirect = nil, true
	c.Mirror = &jetstream.StreamSource{Name: "KV_" + origin, Domain: domain}
	return c
}

func bucketOf(bucket string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "KV_" + bucket, Subjects: []string{"$KV." + bucket + ".>"}, Storage: jetstream.MemoryStorage, MaxMsgsPerSubject: 1,
		Discard: jetstream.DiscardNew, DenyDelete: true, AllowRollup: true, AllowDirect: true, AllowMsgTTL: true,
	}
}

// notKV is a stream that is named like a bucket.
func notKV(name string) jetstream.StreamConfig {
	return jetstream.StreamConfig{Name: "KV_" + name, Subjects: []string{name + ".>"}, Storage: jetstream.MemoryStorage}
}

// create makes streams on a server, and puts a key into each bucket.
func create(t *testing.T, s *natstest.Server, streams ...jetstream.StreamConfig) {
	t.Helper()
	nc, err := nats.Connect(s.URL(), nats.Timeout(longTimeout))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(longTimeout))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range streams {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if bucket := "$KV." + c.Name[3:]; len(c.Subjects) == 1 && c.Subjects[0] == bucket+".>" {
			for _, key := range []string{".a", ".b"} {
				if _, err := js.Publish(t.Context(), bucket+key, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// settled waits until the mirrors hold so many messages and are connected to their
// origins.
func settled(t *testing.T, s *natstest.Server, messages map[string]uint64) {
	t.Helper()
	nc, err := nats.Connect(s.URL(), nats.Timeout(longTimeout))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), longTimeout)
	defer cancel()
	for bucket, want := range messages {
		for {
			var info struct {
				State  struct{ Messages uint64 }
				Mirror struct{ Active time.Duration }
			}
			m, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.INFO.KV_"+bucket, nil)
			if err != nil {
				t.Fatalf("%s: %v", bucket, err)
			}
			if err := json.Unmarshal(m.Data, &info); err != nil {
				t.Fatal(err)
			}
			if info.State.Messages == want && info.Mirror.Active >= 0 {
				break
			}
			select {
			case <-ctx.Done():
				t.Fatalf("%s holds %d messages, want %d; active %v", bucket, info.State.Messages, want, info.Mirror.Active)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// codesOf are the findings of a mirror, without those that are no reason to
// worry.
func codesOf(m Mirror) string {
	var codes []string
	for _, f := range check.Findings(m.Facts, check.DefaultThresholds()) {
		if f.Severity != check.OK {
			codes = append(codes, f.Code)
		}
	}
	return strings.Join(codes, " ")
}

// TestRead reads mirrors of all kinds of origins, with a list and by name, which
// comes to the same.
func TestRead(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	create(t, sites.Hub, bucketOf("demo"), notKV("orders"))
	some := mirrorAt("some", "demo", "hub")
	some.Mirror.SubjectTransforms = []jetstream.SubjectTransformConfig{{Source: "$KV.demo.a", Destination: "$KV.demo.a"}}
	plain := mirrorAt("plain", "demo", "hub")
	plain.AllowMsgTTL = false
	create(
		t, sites.Leaf,
		bucketOf("own"), notKV("invoices"),
		mirrorAt("far", "demo", "hub"), mirrorAt("near", "own", ""), plain, some,
		mirrorAt("second", "far", ""), mirrorAt("third", "second", ""), mirrorAt("lost", "plain", ""),
		mirrorAt("typo", "demo", "typo"), mirrorAt("orphan", "nosuch", "hub"), mirrorAt("odd", "orders", "hub"),
		// Not mirrors of buckets, whatever they are called.
		jetstream.StreamConfig{Name: "KV_copy", Storage: jetstream.MemoryStorage, Mirror: &jetstream.StreamSource{Name: "ORDERS", Domain: "hub"}},
		jetstream.StreamConfig{Name: "plainstream", Subjects: []string{"plain"}, Storage: jetstream.MemoryStorage},
	)
	settled(t, sites.Leaf, map[string]uint64{"far": 2, "near": 2, "plain": 2, "some": 1, "second": 2, "third": 2, "lost": 2, "odd": 0})

	all, err := reader(t, sites.Leaf.URL(), "$JS.API", longTimeout).All(t.Context())
	want := []string{"far", "lost", "near", "odd", "orphan", "plain", "second", "some", "third", "typo"}
	if err != nil || !slices.Equal(names(all), want) {
		t.Fatalf("got %q, %v; want %q", names(all), err, want)
	}
	named, err := reader(t, sites.Leaf.URL(), "$JS.API", longTimeout).Named(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ bucket, origin, prefix, above, codes string }{
		{"far", "demo", "$JS.hub.API", "", ""},
		{"lost", "plain", "$JS.API", "demo", "ttl-lost-above"},
		{"near", "own", "$JS.API", "", ""},
		{"odd", "orders", "$JS.hub.API", "", "origin-not-a-bucket"},
		{"orphan", "nosuch", "$JS.hub.API", "", "origin-missing mirror-error"},
		{"plain", "demo", "$JS.hub.API", "", "ttl-off"},
		{"second", "far", "$JS.API", "demo", ""},
		{"some", "demo", "$JS.hub.API", "", ""},
		{"third", "second", "$JS.API", "far demo", ""},
		{"typo", "demo", "$JS.typo.API", "", "never-connected origin-unreachable"},
	} {
		for name, fleet := range map[string]Fleet{"all": all, "named": named} {
			t.Run(test.bucket+"/"+name, func(t *testing.T) {
				if len(fleet.Problems) > 0 {
					t.Fatal(fleet.Problems)
				}
				m := mirror(t, fleet, test.bucket)
				if got := m.Origin.Prefix("$JS.API"); m.Origin.Bucket != test.origin || got != test.prefix {
					t.Errorf("the origin is %v", m.Origin)
				}
				var above []string
				for _, b := range m.Facts.Above {
					above = append(above, b.Config.Name[3:])
				}
				if got := strings.Join(above, " "); got != test.above {
					t.Errorf("above are %q, want %q", got, test.above)
				}
				codes := codesOf(m)
				if test.bucket == "orphan" {
					// Its server finds the error out in its own time.
					codes, _, _ = strings.Cut(codes, " ")
					test.codes, _, _ = strings.Cut(test.codes, " ")
				}
				if codes != test.codes {
					t.Errorf("found %q, want %q: %+v", codes, test.codes, m.Facts)
				}
			})
		}
	}

	t.Run("named, and something else", func(t *testing.T) {
		t.Parallel()
		fleet, err := reader(t, sites.Leaf.URL(), "$JS.API", longTimeout).Named(t.Context(), []string{"nosuch", "own", "far", "invoices", "copy"})
		if err != nil || !slices.Equal(names(fleet), []string{"far"}) || len(fleet.Problems) != 4 {
			t.Fatalf("got %q, problems %v, %v", names(fleet), fleet.Problems, err)
		}
		for i, want := range []error{jsapi.ErrNotFound, kvcfg.ErrNotMirror, kvcfg.ErrNotBucket, kvcfg.ErrNotBucket} {
			if !errors.Is(fleet.Problems[i], want) {
				t.Errorf("%v, want %v", fleet.Problems[i], want)
			}
		}
	})

	t.Run("none at all", func(t *testing.T) {
		t.Parallel()
		fleet, err := reader(t, sites.Hub.URL(), "$JS.API", longTimeout).All(t.Context())
		if err != nil || len(fleet.Mirrors)+len(fleet.Problems) > 0 {
			t.Errorf("got %q, problems %v, %v", names(fleet), fleet.Problems, err)
		}
	})
}

// Of a domain that is another account only what is exported can be read: no
// list, and single origins.
func TestReadAcrossAccounts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		kind   natstest.AccountsKind
		unread check.Reason
		codes  string
	}{
		{"works", natstest.CrossAccount, "", ""},
		{"unreadable", natstest.CrossAccountUnreadable, check.ReasonUnreachable, "origin-unreachable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := natstest.Accounts(test.kind)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			as := func(user string) (jetstream.JetStream, string) {
				url := "nats://" + user + ":" + user + "@" + s.Addr()
				nc, err := nats.Connect(url, nats.Timeout(longTimeout))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(nc.Close)
				js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(longTimeout))
				if err != nil {
					t.Fatal(err)
				}
				return js, url
			}
			origin, _ := as("a")
			if _, err := origin.CreateStream(t.Context(), bucketOf("demo")); err != nil {
				t.Fatal(err)
			}
			leaf, url := as("b")
			c := mirrorAt("demo", "demo", "")
			c.Mirror.External = &jetstream.ExternalStream{APIPrefix: "JS.A.API", DeliverPrefix: "deliver.B"}
			if _, err := leaf.CreateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if _, err := origin.Publish(t.Context(), "$KV.demo.a", nil); err != nil {
				t.Fatal(err)
			}
			stream, err := leaf.Stream(t.Context(), "KV_demo")
			if err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(longTimeout)
			for stream.CachedInfo().State.Msgs == 0 {
				if time.Now().After(deadline) {
					t.Fatal("the mirror gets no message")
				}
				if _, err := stream.Info(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			fleet, err := reader(t, url, "$JS.API", longTimeout).All(t.Context())
			if err != nil || len(fleet.Problems) > 0 {
				t.Fatal(err, fleet.Problems)
			}
			m := mirror(t, fleet, "demo")
			if got := codesOf(m); m.Facts.OriginUnread.Reason != test.unread || got != test.codes {
				t.Errorf("unread %q, found %q; want %q, %q", m.Facts.OriginUnread.Reason, got, test.unread, test.codes)
			}
		})
	}
}

// A subject that the reader's own server denies is told apart from silence.
func TestReadDenied(t *testing.T) {
	t.Parallel()
	sites, err := natstest.Restricted()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	nc, err := nats.Connect("nats://app:app@"+sites.Leaf.Addr(), nats.Timeout(longTimeout))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(longTimeout))
	if err != nil {
		t.Fatal(err)
	}
	create(t, sites.Hub, bucketOf("demo"))
	for _, name := range []string{"m", "other"} {
		if _, err := js.CreateStream(t.Context(), mirrorAt(name, "demo", "hub")); err != nil {
			t.Fatal(err)
		}
	}
	r := reader(t, "nats://lim:lim@"+sites.Leaf.Addr(), "$JS.API", longTimeout)
	fleet, err := r.All(t.Context())
	if err != nil || !slices.Equal(names(fleet), []string{"m", "other"}) {
		t.Fatal(err, names(fleet))
	}
	if got := unreadOnes(fleet); got["m"] != check.ReasonDenied || got["other"] != check.ReasonDenied {
		t.Errorf("unread %v, want %q", got, check.ReasonDenied)
	}
	fleet, err = r.Named(t.Context(), []string{"m", "other"})
	if err != nil || !slices.Equal(names(fleet), []string{"other"}) || len(fleet.Problems) != 1 || !errors.Is(fleet.Problems[0], jsapi.ErrDenied) {
		t.Errorf("got %q, problems %v, %v", names(fleet), fleet.Problems, err)
	}
}

// A list in a cluster says where the replicas are, and of each stream on which
// version its server is.
func TestReadCluster(t *testing.T) {
	slow(t)
	t.Parallel()
	servers, err := natstest.Cluster(3, "c")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		t.Cleanup(s.Stop)
	}
	origin, copied := bucketOf("demo"), mirrorAt("copied", "demo", "")
	origin.Replicas, copied.Replicas = 3, 3
	create(t, servers[0], origin, copied)
	settled(t, servers[0], map[string]uint64{"copied": 2})
	// A list that is asked for between two leaders is never answered, and one that
	// is asked for later only when the leader has waited some seconds for a server.
	r := reader(t, servers[0].URL(), "$JS.API", 6*time.Second)
	// until reads until nothing or something else is found.
	until := func(want ...string) Mirror {
		t.Helper()
		deadline := time.Now().Add(longTimeout)
		for {
			fleet, err := r.All(t.Context())
			if err == nil && len(fleet.Problems) == 0 {
				if m := mirror(t, fleet, "copied"); slices.Contains(want, codesOf(m)) {
					return m
				} else if time.Now().After(deadline) {
					t.Fatalf("found %q, want one of %q", codesOf(m), want)
				}
			} else if time.Now().After(deadline) {
				t.Fatal(err, fleet.Problems)
			}
		}
	}
	m := until("")
	if m.Facts.Mirror.Cluster == nil || len(m.Facts.Mirror.Cluster.Replicas) != 2 || m.Facts.Mirror.Config.ServerVersion() == (stream.Version{}) {
		t.Errorf("the cluster is %+v, the version %v", m.Facts.Mirror.Cluster, m.Facts.Mirror.Config.ServerVersion())
	}
	servers[2].Shutdown()
	until("replica-offline", "replica-behind")
}
