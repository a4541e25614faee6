package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
)

// The story's buckets: the origin at the hub, its mirrors at the leaf.
const (
	originBucket = "demo"
	plainMirror  = "plain"
	ourMirror    = "ours"
	originDomain = "hub"
)

// The TTLs of the story, as short as lets people and slow machines follow it.
// Servers take whole seconds.
const (
	limitMarkerTTL = 2 * time.Second
	keyTTL         = 2 * time.Second
	purgeTTL       = 3 * time.Second
)

// demoPatience bounds each wait; the longest takes the TTL of the key and that
// of the limit marker after it.
const demoPatience = 12 * time.Second

// play plays all steps. It stops at the first that fails.
func (d *demo) play(ctx context.Context) error {
	var closeHub, closeLeaf func()
	var err error
	if d.hub, closeHub, err = d.connect(d.hubURL); err != nil {
		return fmt.Errorf("cannot connect to the hub: %w", err)
	}
	defer closeHub()
	if d.leaf, closeLeaf, err = d.connect(d.leafURL); err != nil {
		return fmt.Errorf("cannot connect to the leaf: %w", err)
	}
	defer closeLeaf()

	d.say("Two servers of version %s run in this process: a hub, and a leaf below it.", server.VERSION)
	steps := []struct {
		heading string
		play    func(context.Context) error
	}{
		{"The origin, a bucket on the hub whose keys and markers can expire", d.createOrigin},
		{"Two mirrors of it on the leaf: plain as nats makes them, ours by this program", d.createMirrors},
		{"How the three are configured", d.compareConfigs},
		{"Values put at the origin reach both mirrors", d.putValues},
		{"A key with a TTL, and two keys purged with a TTL", d.useTTLs},
		{"The TTLs run out", d.waitForExpiry},
		{"The repair of plain", d.repair},
	}
	for i, step := range steps {
		d.say("\n%d. %s\n", i+1, step.heading)
		if err := step.play(ctx); err != nil {
			return fmt.Errorf("step %d of the demo: %w", i+1, err)
		}
		if err := d.writeFailure(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) createOrigin(ctx context.Context) (err error) {
	d.shell("hub", fmt.Sprintf("nats kv add %s --marker-ttl %v", originBucket, limitMarkerTTL))
	d.origin, err = d.hub.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: originBucket, LimitMarkerTTL: limitMarkerTTL})
	if err != nil {
		return err
	}
	d.say("\nBucket %s is there. When one of its keys expires, a marker takes the key's\nplace, and expires %v later.", originBucket, limitMarkerTTL)
	return nil
}

func (d *demo) createMirrors(ctx context.Context) error {
	d.shell("leaf", fmt.Sprintf("nats kv add %s --mirror %s --mirror-domain %s", plainMirror, originBucket, originDomain))
	_, err := d.leaf.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: plainMirror,
		Mirror: &jetstream.StreamSource{Name: originBucket, Domain: originDomain},
	})
	if err != nil {
		return err
	}
	d.say("\nBucket %s is there, made with the library call that this command makes.\n", plainMirror)
	return d.runHere(ctx, "add", ourMirror, "--mirror", originBucket, "--mirror-domain", originDomain)
}

func (d *demo) compareConfigs(ctx context.Context) error {
	now, err := d.look(ctx)
	if err != nil {
		return err
	}
	t := d.newTable("Stream Configuration")
	t.row("allow_msg_ttl", now, func(s *jetstream.StreamInfo) any { return s.Config.AllowMsgTTL })
	t.row("subject_delete_marker_ttl", now, func(s *jetstream.StreamInfo) any {
		if s.Config.SubjectDeleteMarkerTTL == 0 {
			return "none"
		}
		return s.Config.SubjectDeleteMarkerTTL
	})
	t.show()
	d.say("\nServers forbid the second setting on a mirror, and `nats kv` turns the first on\nonly together with it. Without the first, a mirror heeds no TTL.")
	return nil
}

func (d *demo) putValues(ctx context.Context) error {
	values := [][2]string{{"lamp", "on"}, {"door", "shut"}}
	for _, v := range values {
		d.shell("hub", fmt.Sprintf("nats kv put %s %s %s", originBucket, v[0], v[1]))
		if _, err := d.origin.PutString(ctx, v[0], v[1]); err != nil {
			return err
		}
	}
	if _, err := d.until(ctx, "the values to reach both mirrors", sight.caughtUp); err != nil {
		return err
	}
	stores := []jetstream.KeyValue{d.origin}
	for _, mirror := range []string{plainMirror, ourMirror} {
		store, err := d.leaf.KeyValue(ctx, mirror)
		if err != nil {
			return err
		}
		stores = append(stores, store)
	}
	d.say("")
	t := d.newTable("Values")
	for _, v := range values {
		row := []any{v[0]}
		for _, store := range stores {
			entry, err := store.Get(ctx, v[0])
			if err != nil {
				return fmt.Errorf("key %s in bucket %s: %w", v[0], store.Bucket(), err)
			}
			row = append(row, string(entry.Value()))
		}
		t.Row(row...)
	}
	t.show()
	return nil
}

func (d *demo) useTTLs(ctx context.Context) error {
	d.shell("hub", fmt.Sprintf("nats kv create %s ticket A7 --ttl %v", originBucket, keyTTL))
	created, err := d.origin.Create(ctx, "ticket", []byte("A7"), jetstream.KeyTTL(keyTTL))
	if err != nil {
		return err
	}
	purged := []string{"lamp", "door"}
	// What comes after: the purge markers, and a limit marker for the ticket.
	d.lastSeq = created + uint64(len(purged)) + 1
	for _, key := range purged {
		d.shell("hub", fmt.Sprintf("nats kv purge %s %s --ttl %v --force", originBucket, key, purgeTTL))
		if err := d.origin.Purge(ctx, key, jetstream.PurgeTTL(purgeTTL)); err != nil {
			return err
		}
	}
	if _, err := d.until(ctx, "the markers to reach both mirrors", sight.caughtUp); err != nil {
		return err
	}
	d.say("\nThe value and the two purge markers are on both mirrors, each with its TTL.")
	return nil
}

// waitForExpiry shows how the origin and ours shrink, and what stays on plain.
func (d *demo) waitForExpiry(ctx context.Context) (err error) {
	start, shown := time.Now(), ""
	d.before, err = d.until(ctx, "the origin and ours to be empty", func(s sight) bool {
		if line := s.String(); line != shown {
			shown = line
			d.say("%5.1fs   %s", time.Since(start).Seconds(), line)
		}
		return s.origin.State.LastSeq >= d.lastSeq && s.caughtUp() && s.origin.State.Msgs == 0 && s.ours.State.Msgs == 0
	})
	if err != nil {
		return err
	}
	if d.before.plain.State.Msgs == 0 {
		return errors.New("bucket plain is empty, although it should heed no TTL")
	}
	d.say("")
	if err := d.showLeftOver(ctx); err != nil {
		return err
	}
	d.say("\nThe origin is empty, ours is empty, and plain keeps %d markers for ever.", d.before.plain.State.Msgs)
	return nil
}

// showLeftOver lists what plain holds that is gone at the origin.
func (d *demo) showLeftOver(ctx context.Context) error {
	stream, err := d.leaf.Stream(ctx, kvcfg.StreamName(plainMirror))
	if err != nil {
		return err
	}
	t := d.newBareTable("Left Over On "+plainMirror, "Key", "Message", "TTL", "Age")
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
		msg, err := stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		what := "purge marker"
		if msg.Header.Get(jetstream.MarkerReasonHeader) != "" {
			what = "limit marker"
		}
		key := strings.TrimPrefix(msg.Subject, "$KV."+originBucket+".")
		t.Row(key, what, msg.Header.Get(jetstream.MsgTTLHeader), age(msg.Time))
	}
	t.show()
	return nil
}

// age is how old a message is, rounded down: what is 2.9 s old is not 3 s old.
func age(stored time.Time) string {
	return fmt.Sprintf("%.1fs", math.Floor(time.Since(stored).Seconds()*10)/10)
}

func (d *demo) repair(ctx context.Context) error {
	if err := d.runHere(ctx, "edit", plainMirror, "--force"); err != nil {
		return err
	}
	after, err := d.until(ctx, "plain to be empty", func(s sight) bool {
		return s.plain.Config.AllowMsgTTL && s.plain.State.Msgs == 0
	})
	if err != nil {
		return err
	}
	d.say("")
	stored := func(s *jetstream.StreamInfo) any { return s.State.Msgs }
	size := func(s *jetstream.StreamInfo) any { return humanize.IBytes(s.State.Bytes) }
	ttl := func(s *jetstream.StreamInfo) any { return s.Config.AllowMsgTTL }
	t := d.newTable("Before And After The Repair")
	t.row("Per-Key TTL before", d.before, ttl)
	t.row("Per-Key TTL now", after, ttl)
	t.row("Values stored before", d.before, stored)
	t.row("Values stored now", after, stored)
	t.row("Bucket size before", d.before, size)
	t.row("Bucket size now", after, size)
	t.show()
	d.say("\nplain follows its origin now, as ours has done from the start.")
	return nil
}

// sight is what the three buckets are at one time.
type sight struct{ origin, plain, ours *jetstream.StreamInfo }

// look reads the origin first: a mirror that is then found at its sequence has
// all of it.
func (d *demo) look(ctx context.Context) (s sight, err error) {
	for _, b := range []struct {
		site   jetstream.JetStream
		bucket string
		info   **jetstream.StreamInfo
	}{
		{d.hub, originBucket, &s.origin},
		{d.leaf, plainMirror, &s.plain},
		{d.leaf, ourMirror, &s.ours},
	} {
		stream, err := b.site.Stream(ctx, kvcfg.StreamName(b.bucket))
		if err != nil {
			return s, fmt.Errorf("cannot read bucket %s: %w", b.bucket, err)
		}
		*b.info = stream.CachedInfo()
	}
	return s, nil
}

// until looks at the buckets until ok is content with them.
func (d *demo) until(ctx context.Context, what string, ok func(sight) bool) (sight, error) {
	limit := time.NewTimer(demoPatience)
	defer limit.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := d.look(ctx)
		if err != nil || ok(s) {
			return s, err
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return s, fmt.Errorf("waited %v for %s: %v", demoPatience, what, s)
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

// caughtUp says that both mirrors have come as far as the origin.
func (s sight) caughtUp() bool {
	at := s.origin.State.LastSeq
	return s.plain.State.LastSeq >= at && s.ours.State.LastSeq >= at
}

// String is how many messages each bucket holds.
func (s sight) String() string {
	return fmt.Sprintf("messages: %s %d, %s %d, %s %d", originBucket, s.origin.State.Msgs, plainMirror, s.plain.State.Msgs, ourMirror, s.ours.State.Msgs)
}

// demoTable is a table of the buckets.
type demoTable struct {
	*render.Table
	d *demo
}

// newTable has a column for each bucket.
func (d *demo) newTable(title string) demoTable {
	return d.newBareTable(title, "", originBucket+" (hub)", plainMirror+" (leaf)", ourMirror+" (leaf)")
}

func (d *demo) newBareTable(title string, header ...any) demoTable {
	return demoTable{render.NewTable(d.rt.newStyle(d.rt.globals.colors), title, header...), d}
}

// row adds what value says of each bucket.
func (t demoTable) row(label string, s sight, value func(*jetstream.StreamInfo) any) {
	t.Row(label, value(s.origin), value(s.plain), value(s.ours))
}

// show writes the table.
func (t demoTable) show() { t.d.say("%s", t) }
