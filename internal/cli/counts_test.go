package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// One message at the end that expires while the mirror's site is down leaves the last
// sequences different for good: nothing is pending all the same, and the messages can
// be counted. A filtered mirror cannot hold more than its whole origin either.
func TestCountsWithAnExpiredTail(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second})
	putMany(t, sites.Hub.URL(), 50, "value")
	at := []string{"--server", sites.Leaf.URL()}
	for bucket, filter := range map[string][]string{"all": nil, "some": {"--filter", "key.>"}} {
		args := append([]string{"add", bucket, "--mirror", "demo", "--mirror-domain", "hub", "--wait", "1m"}, filter...)
		runJSON(t, t.Context(), append(args, at...)...).mustBe(t, 0, "created", "")
	}

	sites.Leaf.Shutdown()
	hub := connectTo(t, sites.Hub.URL())
	last := nats.NewMsg("$KV.demo.last")
	last.Header.Set("Nats-TTL", "1s")
	if _, err := hub.RequestMsg(last, longest); err != nil {
		t.Fatal(err)
	}
	request(t, hub, "$JS.API.STREAM.PURGE.KV_demo", `{"seq":41}`)
	waitUntil(t, "the last one and its marker have expired", func() bool {
		is := readStream(t, hub, "demo").State
		return is.Msgs == 10 && is.Last == 52
	})
	if err := sites.Leaf.Restart(); err != nil {
		t.Fatal(err)
	}
	leaf := connectTo(t, sites.Leaf.URL())
	waitUntil(t, "the origin is in reach", func() bool {
		_, err := leaf.Request("$JS.hub.API.STREAM.INFO.KV_demo", nil, brief)
		return err == nil
	})

	for _, bucket := range []string{"all", "some"} {
		o := runJSON(t, t.Context(), append(at, "info", bucket)...).report.Origin
		if o == nil || o.Behind == nil || *o.Behind != 0 || o.BehindBound || o.LeftOver == nil || *o.LeftOver != 40 {
			t.Errorf("info of %s: %+v", bucket, o)
		}
	}
	for _, command := range []string{"check", "ls"} {
		o := runFleet(t, t.Context(), append(at, command)...)
		for _, m := range o.fleet.Mirrors {
			found, exactly := fmt.Sprint(m.Findings), map[string]string{"all": "", "some": "at least "}[m.Bucket]
			if m.Behind == nil || *m.Behind != 0 || !strings.Contains(found, "holds "+exactly+"40 messages that its origin does not") || strings.Contains(found, "stalled") {
				t.Errorf("%s: %s: behind %v, findings %s", command, m.Bucket, m.Behind, found)
			}
		}
		if len(o.fleet.Mirrors) != 2 {
			t.Errorf("%s: %+v\n%s", command, o.fleet, o.stderr)
		}
	}
}
