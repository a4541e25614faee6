package fleet

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/natstest"
)

// usable is a mirror, and what is found of it.
type usable struct {
	mirror jetstream.StreamConfig
	more   map[string]any // settings that nats.go does not have, or that come with an update
	update bool
	codes  string // of the findings about its use
	gets   bool   // a client gets a key
	lists  bool   // a client lists the keys
}

func usables() []usable {
	renamed := func(m jetstream.StreamConfig, from, to string) jetstream.StreamConfig {
		m.Mirror.SubjectTransforms = []jetstream.SubjectTransformConfig{{Source: from, Destination: to}}
		return m
	}
	workqueue, interest := mirrorAt("workqueue", "demo", "hub"), mirrorAt("interest", "demo", "hub")
	workqueue.Retention, interest.Retention = jetstream.WorkQueuePolicy, jetstream.InterestPolicy
	acks, inactive := mirrorAt("acks", "demo", "hub"), mirrorAt("inactive", "demo", "hub")
	acks.ConsumerLimits.MaxAckPending, inactive.ConsumerLimits.InactiveThreshold = 10, time.Minute
	return []usable{
		{mirror: mirrorAt("far", "demo", "hub"), gets: true, lists: true},
		{mirror: mirrorAt("near", "own", ""), codes: "beside-origin"},
		{mirror: renamed(mirrorAt("nearnamed", "own", ""), "$KV.own.>", "$KV.nearnamed.>"), gets: true, lists: true},
		{mirror: renamed(mirrorAt("farnamed", "demo", "hub"), "$KV.demo.>", "$KV.farnamed.>"), codes: "keys-renamed"},
		{mirror: workqueue, codes: "retention", gets: true},
		{mirror: interest, codes: "retention"},
		{mirror: acks, codes: "consumer-limits", gets: true},
		{mirror: inactive, gets: true, lists: true},
		{mirror: mirrorAt("sealed", "demo", "hub"), update: true, more: map[string]any{"sealed": true}, codes: "sealed", gets: true, lists: true},
	}
}

// What is found of a mirror is what a client sees of it: mirrors that no client can use,
// and some that clients can.
func TestUsable(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	create(t, sites.Hub, bucketOf("demo"))
	create(t, sites.Leaf, bucketOf("own"))
	all, full := usables(), map[string]uint64{}
	for _, u := range all {
		create(t, sites.Leaf, u.mirror)
		if u.mirror.Retention == jetstream.LimitsPolicy {
			full[u.mirror.Name[3:]] = 2
		}
	}
	full["workqueue"], full["interest"] = 2, 0
	settled(t, sites.Leaf, full)
	nc, err := nats.Connect(sites.Leaf.URL(), nats.Timeout(longTimeout))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(longTimeout))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		if u.update {
			update(t, nc, u.mirror.Name, u.more)
		}
	}
	r := reader(t, sites.Leaf.URL(), "$JS.API", longTimeout)
	r.SecondRead = time.Millisecond
	fleet, err := r.All(t.Context())
	if err != nil || len(fleet.Problems) > 0 {
		t.Fatal(err, fleet.Problems)
	}
	about := []string{"retention", "sealed", "consumer-limits", "keys-renamed", "beside-origin"}
	for _, u := range all {
		t.Run(u.mirror.Name, func(t *testing.T) {
			kv, err := js.KeyValue(t.Context(), u.mirror.Name[3:])
			if err != nil {
				t.Fatal(err)
			}
			_, err = kv.Get(t.Context(), "a")
			keys, listErr := kv.Keys(t.Context())
			if (err == nil) != u.gets || (listErr == nil && len(keys) == 2) != u.lists {
				t.Errorf("a client gets a key: %v; it lists %q, %v", err, keys, listErr)
			}
			var codes []string
			for _, f := range check.Findings(mirror(t, fleet, u.mirror.Name[3:]).Facts, check.DefaultThresholds()) {
				if slices.Contains(about, f.Code) {
					codes = append(codes, f.Code)
				}
			}
			if got := strings.Join(codes, " "); got != u.codes {
				t.Errorf("found %q, want %q", got, u.codes)
			}
		})
	}

	// The fix of those that an update fixes helps.
	acks := mirror(t, fleet, "acks").Facts
	plan, err := check.Fix(acks.Mirror.Config.Raw(), acks.Origin.Config, []string{"consumer-limits"})
	if err != nil {
		t.Fatal(err)
	}
	request(t, nc, "$JS.API.STREAM.UPDATE.KV_acks", plan.Config)
	kv, err := js.KeyValue(t.Context(), "acks")
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := kv.Keys(t.Context()); err != nil || len(keys) != 2 {
		t.Errorf("after the fix it lists %q, %v", keys, err)
	}
}

// update changes fields of a stream.
func update(t *testing.T, nc *nats.Conn, name string, more map[string]any) {
	t.Helper()
	var info struct {
		Config map[string]any `json:"config"`
	}
	if err := json.Unmarshal(request(t, nc, "$JS.API.STREAM.INFO."+name, nil), &info); err != nil {
		t.Fatal(err)
	}
	for field, value := range more {
		info.Config[field] = value
	}
	request(t, nc, "$JS.API.STREAM.UPDATE."+name, info.Config)
}

func request(t *testing.T, nc *nats.Conn, subject string, body any) []byte {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := nc.Request(subject, data, longTimeout)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(answer.Data), `"error":{`) {
		t.Fatalf("%s: %s", subject, answer.Data)
	}
	return answer.Data
}

// Streams that mirror, and are no mirror of a bucket, are told of: nobody else looks at
// them.
func TestNotBuckets(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	create(t, sites.Hub, bucketOf("demo"))
	named := mirrorAt("demo", "demo", "hub")
	named.Name = "demo-mirror"
	create(t, sites.Leaf, named, mirrorAt("m", "demo", "hub"),
		jetstream.StreamConfig{Name: "KV_py", Storage: jetstream.MemoryStorage, Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}},
		jetstream.StreamConfig{Name: "copy", Storage: jetstream.MemoryStorage, Mirror: &jetstream.StreamSource{Name: "orders", Domain: "hub"}},
		jetstream.StreamConfig{Name: "orders", Subjects: []string{"orders"}, Storage: jetstream.MemoryStorage},
	)
	settled(t, sites.Leaf, map[string]uint64{"m": 2})
	fleet, err := reader(t, sites.Leaf.URL(), "$JS.API", longTimeout).All(t.Context())
	if err != nil || !slices.Equal(names(fleet), []string{"m"}) {
		t.Fatal(err, names(fleet))
	}
	var got []string
	for _, err := range fleet.NotBuckets {
		got = append(got, err.Error())
	}
	slices.Sort(got)
	want := []string{
		`stream "KV_py" is ` + kvcfg.ErrNotBucket.Error() + `: it mirrors the stream "demo"`,
		`stream "demo-mirror" is ` + kvcfg.ErrNotBucket.Error() + `: it is not named like one`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
