package mirror_test

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// The origin is a bucket of the hub, and the mirrors are on the leaf. One that another
// tool made keeps forever what expires at the origin.
func ExampleClient() {
	ctx := context.Background()
	sites := must(natstest.HubAndLeaf())
	defer sites.Stop()
	origin := must(bucket(ctx, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Hour}))
	must(origin.Put(ctx, "color", []byte("blue")))
	must(bucket(ctx, sites.Leaf.URL(), jetstream.KeyValueConfig{Bucket: "plain", Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}}))

	client := must(mirror.Connect(ctx, sites.Leaf.URL(), mirror.Options{Timeout: 10 * time.Second}))
	defer client.Close()

	// Create a mirror, and wait until it has what its origin has.
	var request mirror.AddRequest
	request.Bucket, request.Origin.Bucket, request.Origin.APIPrefix = "copy", "demo", "$JS.hub.API"
	add := must(client.PlanAdd(ctx, request))
	created := must(add.Apply(ctx))
	if err := add.Wait(ctx, time.Minute); err != nil {
		panic(err)
	}
	fmt.Printf("%s was %s, per-key TTL: %v\n", created.Bucket, created.Action, *created.PerKeyTTL)

	// Repair the other one.
	repair := must(client.PlanRepair(ctx, mirror.RepairRequest{Buckets: []string{"plain"}}))
	for _, change := range repair.Mirrors[0].Changes {
		fmt.Printf("plain: %s becomes %s\n", change.Field, change.To)
	}
	fmt.Printf("plain was %s\n", must(repair.Apply(ctx)).Mirrors[0].Action)

	// Compare a mirror with its origin, message by message.
	checked := must(client.Check(ctx, mirror.CheckRequest{Buckets: []string{"copy"}, Content: &mirror.ContentOptions{}}))
	copied := checked.Mirrors[0]
	fmt.Printf("copy is %s, %s: %d message compared\n", copied.State, copied.Content.Verdict, copied.Content.Compared)

	// Output:
	// copy was created, per-key TTL: true
	// plain: allow_msg_ttl becomes true
	// plain was updated
	// copy is ok, identical: 1 message compared
}

// bucket creates a bucket as every client does.
func bucket(ctx context.Context, url string, config jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	nc, err := nats.Connect(url, nats.Timeout(10*time.Second), nats.NoReconnect())
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	return js.CreateKeyValue(ctx, config)
}

// must is a result without an error.
func must[T any](result T, err error) T {
	if err != nil {
		panic(err)
	}
	return result
}
