package cli

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

func TestPromotedIntoWorks(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	runJSON(t, t.Context(), "promote", "plain", "--into", "fresh", "--server", url).mustBe(t, 0, mirror.Promoted, "")
	isWhole(t, url, "fresh", true)
	runJSON(t, t.Context(), "info", "plain", "--server", url).mustBe(t, 0, mirror.Shown, "")
}

// A server that cannot promote gets a copy that sources the mirror.
func TestPromoteOnOldServers(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	at := asOld(t, url)
	o := runJSON(t, t.Context(), append(at, "promote", "demo", "--force")...)
	o.mustBe(t, 1, mirror.Failed, mirror.ErrOldServer)
	if !strings.Contains(o.report.Error.Hint, "--into") {
		t.Errorf("the way out is not in %q", o.report.Error.Hint)
	}
	o = runJSON(t, t.Context(), append(at, "promote", "plain", "--into", "fresh")...)
	o.mustBe(t, 0, mirror.Promoted, "")
	if said := o.warnings(); !strings.Contains(said, "too old to keep revisions and times") {
		t.Errorf("what is lost is not said in %q", said)
	}
	isWhole(t, url, "fresh", false)
}

// An origin that sources another bucket itself: what its messages say of that is
// replaced in a copy that sources the mirror, and is no difference.
func TestPromoteSourcedOrigin(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	url := sites.Leaf.URL()
	must(t)(keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "other"}).PutString(t.Context(), "key", "value"))
	keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", Sources: []*jetstream.StreamSource{{Name: "other"}}})
	hub := connectTo(t, sites.Hub.URL())
	waitUntil(t, "the origin has the value", func() bool { return readStream(t, hub, "demo").State.Msgs == 1 })
	runJSON(t, t.Context(), "add", "plain", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "20s", "--server", url).mustBe(t, 0, mirror.Created, "")
	request(t, hub, "$JS.API.STREAM.DELETE.KV_demo", "")
	runJSON(t, t.Context(), append(asOld(t, url), "promote", "plain", "--into", "fresh")...).mustBe(t, 0, mirror.Promoted, "")
	if got, err := keyValueOf(t, url, "fresh").Get(t.Context(), "key"); err != nil || string(got.Value()) != "value" {
		t.Errorf("key is %v, %v", got, err)
	}
}

// What sourcing adds to a message counts against the largest size of one, which
// is raised for as long as the copy is made.
func TestPromoteSourcedLargestValue(t *testing.T) {
	t.Parallel()
	sites, err := natstest.HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	url := sites.Leaf.URL()
	kv := keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "demo", MaxValueSize: 100})
	must(t)(kv.Put(t.Context(), strings.Repeat("long", 1000), make([]byte, 100)))
	runJSON(t, t.Context(), "add", "plain", "--mirror", "demo", "--mirror-domain", "hub", "--wait", "20s", "--server", url).mustBe(t, 0, mirror.Created, "")
	request(t, connectTo(t, sites.Hub.URL()), "$JS.API.STREAM.DELETE.KV_demo", "")
	promote := append(asOld(t, url), "promote", "plain", "--into", "fresh")
	for _, o := range []outcome{runJSON(t, t.Context(), append(promote, "--dry-run")...), runJSON(t, t.Context(), promote...)} {
		if got := string(o.report.Config["max_msg_size"]); o.report.Action == mirror.Failed || got != "100" {
			t.Errorf("action %q, max_msg_size %s\n%s", o.report.Action, got, o.stderr)
		}
	}
	must(t)(keyValueOf(t, url, "fresh").Put(t.Context(), "key", make([]byte, 100)))
}

// A copy that has all and waits for direct gets of other mirrors to be turned off is said to be
// there, and a second run finishes it.
func TestPromoteIntoInterruptedDisabling(t *testing.T) {
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	request(t, connectTo(t, url), "$JS.API.STREAM.CREATE.KV_rival", `{"name":"KV_rival","retention":"limits","storage":"file","allow_direct":true,"mirror_direct":true,
		"mirror":{"name":"KV_fresh","external":{"api":"$JS.hub.API","deliver":""}}}`)
	ctx, p := interruptedAt(t, sites.Leaf, "STREAM.INFO.KV_rival", "STREAM.UPDATE.KV_fresh")
	promote := []string{"promote", "plain", "--into", "fresh", "--server", p.URL()}
	o := runJSON(t, ctx, promote...)
	o.mustBe(t, 1, mirror.Failed, mirror.ErrInterrupted)
	if f := o.report.Error; f == nil || !strings.Contains(f.Message, `bucket "fresh" is not finished`) || !strings.Contains(f.Hint, "run the command again to finish it") {
		t.Errorf("it says %+v", f)
	}
	p.SetHook(nil)
	runJSON(t, t.Context(), promote...).mustBe(t, 0, mirror.Promoted, "")
}

// A copy that was interrupted, or whose writes got lost, is finished by a second
// run, wherever it was.
func TestPromoteIntoInterrupted(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, at := range []string{"STREAM.INFO.KV_plain", "STREAM.CREATE.KV_fresh", "STREAM.INFO.KV_fresh", "STREAM.UPDATE.KV_fresh", "CONSUMER.CREATE.KV_fresh"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			sites := lostOrigin(t)
			p := natstest.ProxyTo(t, sites.Leaf)
			p.SetDelay(50 * time.Millisecond)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var struck atomic.Bool
			p.SetHook(func(m natstest.Message) natstest.Verdict {
				if m.Direction == natstest.ToServer && strings.Contains(m.Subject, at) && struck.CompareAndSwap(false, true) {
					interrupt()
				}
				return natstest.Pass
			})
			promote := []string{"promote", "plain", "--into", "fresh", "--server", p.URL()}
			o := runJSON(t, ctx, promote...)
			o.mustBe(t, 1, mirror.Failed, mirror.ErrInterrupted)
			if !struck.Load() {
				t.Error("it was not interrupted there")
			}
			p.SetDelay(0)
			runJSON(t, t.Context(), promote...).mustBe(t, 0, mirror.Promoted, "")
			isWhole(t, sites.Leaf.URL(), "fresh", true)
			if n := consumers(t, sites.Leaf.URL(), "KV_plain") + consumers(t, sites.Leaf.URL(), "KV_fresh"); n > 0 {
				t.Errorf("%d consumers are left", n)
			}
		})
	}
}

// A copy that is not what the mirror is stays unfinished, and is said to be so.
func TestPromoteIntoDiffers(t *testing.T) {
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	nc := connectTo(t, url)
	request(t, nc, "$JS.API.STREAM.CREATE.KV_fresh", `{"name":"KV_fresh","subjects":["$KV.fresh.>"],"retention":"limits","storage":"file","max_msgs_per_subject":5,
		"allow_msg_ttl":true,"metadata":{"nats-kvmirror.copy-of":"plain"}}`)
	if _, err := nc.Request("$KV.fresh.key", []byte("value0"), longest); err != nil {
		t.Fatal(err)
	}
	o := runJSON(t, t.Context(), "promote", "plain", "--into", "fresh", "--server", url)
	o.mustBe(t, 1, mirror.Failed, mirror.ErrDiffers)
	// Of the one message that is there, the time is another; those behind it are
	// not asked for.
	if !strings.Contains(o.report.Error.Message, "1 are different") || !strings.Contains(o.report.Error.Message, "sequence 1") {
		t.Errorf("it says %q", o.report.Error.Message)
	}
	if o.report.Stream != "KV_fresh" {
		t.Error("the copy is not shown")
	}
}

// A copy that is full stands still, which is noticed.
func TestPromoteIntoStalls(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	request(t, connectTo(t, url), "$JS.API.STREAM.CREATE.KV_fresh", `{"name":"KV_fresh","retention":"limits","storage":"file","max_msgs_per_subject":5,"discard":"new","max_bytes":150,
		"allow_msg_ttl":true,"allow_direct":true,"metadata":{"nats-kvmirror.copy-of":"plain"},"mirror":{"name":"KV_plain","subject_transforms":[{"src":"$KV.demo.>","dest":"$KV.fresh.>"}]}}`)
	o := runJSON(t, t.Context(), "promote", "plain", "--into", "fresh", "--server", url, "--timeout", brief.String())
	o.mustBe(t, 1, mirror.Failed, mirror.ErrIncomplete)
	if !strings.Contains(o.report.Error.Message, "has not moved from sequence") || o.report.Stream != "KV_fresh" {
		t.Errorf("it says %q of %s", o.report.Error.Message, o.report.Stream)
	}
}

// A limit that what the mirror holds would not fit into is left out, and said.
func TestPromoteIntoWithoutLimit(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := lostOrigin(t)
	url := sites.Leaf.URL()
	bytes := runJSON(t, t.Context(), "info", "plain", "--server", url).report.State.Bytes
	runJSON(t, t.Context(), "edit", "plain", "--force", "--max-bucket-size", fmt.Sprint(bytes), "--server", url).mustBe(t, 0, mirror.Updated, "")
	const name = "a-name-that-takes-more-room-than-that-of-the-origin"
	o := runJSON(t, t.Context(), "promote", "plain", "--into", name, "--server", url)
	o.mustBe(t, 0, mirror.Promoted, "")
	if said := o.warnings(); !strings.Contains(said, "gets none") {
		t.Errorf("it is not said in %q", said)
	}
	isWhole(t, url, name, true)
}

// A write of a copy that is lost on the way is followed, or said to be unknown;
// a second run finishes.
func TestPromoteIntoOutcomes(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, subject := range []string{"STREAM.CREATE.KV_fresh", "STREAM.UPDATE.KV_fresh"} {
		for direction, applied := range map[natstest.Direction]bool{natstest.ToServer: false, natstest.ToClient: true} {
			t.Run(fmt.Sprintf("%s applied %t", subject, applied), func(t *testing.T) {
				t.Parallel()
				sites := lostOrigin(t)
				p := natstest.ProxyTo(t, sites.Leaf)
				p.SetHook(hitOnce(subject, direction, natstest.Drop))
				promote := []string{"promote", "plain", "--into", "fresh", "--server", p.URL(), "--timeout", (2 * brief).String()}
				o := runJSON(t, t.Context(), promote...)
				if applied {
					o.mustBe(t, 0, mirror.Promoted, "")
				} else {
					o.mustBe(t, 3, mirror.Unknown, mirror.ErrOutcomeUnknown)
					runJSON(t, t.Context(), promote...).mustBe(t, 0, mirror.Promoted, "")
				}
				isWhole(t, sites.Leaf.URL(), "fresh", true)
			})
		}
	}
}

// With consent a copy is made while the origin goes on; it holds what the mirror
// held when it was made, and no difference is found where there is none.
func TestPromoteIntoWhileWriting(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := plainSites(t)
	url := sites.Leaf.URL()
	kv := keyValue(t, sites.Hub.URL(), jetstream.KeyValueConfig{Bucket: "busy", History: 2, LimitMarkerTTL: time.Second})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var written atomic.Int64
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := kv.PutString(ctx, fmt.Sprint("key", i%50), fmt.Sprint("value", i)); err == nil {
				written.Add(1)
			}
			if i%20 == 0 {
				_ = kv.Purge(ctx, fmt.Sprint("key", i%50))
			}
		}
	}()
	waitUntil(t, "much is written", func() bool { return written.Load() > 500 })
	runJSON(t, t.Context(), "add", "--mirror", "busy", "--mirror-domain", "hub", "--wait", "1m", "--server", url).mustBe(t, 0, mirror.Created, "")
	runJSON(t, t.Context(), "promote", "busy", "--into", "fresh", "--server", url).mustBe(t, 1, mirror.Failed, mirror.ErrRefused)
	o := runJSON(t, t.Context(), "promote", "busy", "--into", "fresh", "--origin-alive", "--server", url)
	o.mustBe(t, 0, mirror.Promoted, "")
	if said := o.warnings(); !strings.Contains(said, "SPLIT BRAIN") {
		t.Errorf("it says %q", said)
	}
	must(t)(keyValueOf(t, url, "fresh").PutString(t.Context(), "own", "value"))
}
