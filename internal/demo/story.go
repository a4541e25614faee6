package demo

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

	"nats-kvmirror/internal/render"
)

// The story's buckets: the origin at the hub, its mirrors at the leaf.
const (
	originBucket = "demo"
	plainMirror  = "plain"
	ourMirror    = "ours"
	originDomain = "hub"

	streamPrefix = "KV_" // of a bucket's stream
)

// The TTLs of the story: short, but long enough for people and slow machines to
// follow. Servers take whole seconds.
const (
	limitMarkerTTL = 2 * time.Second
	keyTTL         = 2 * time.Second
	purgeTTL       = 3 * time.Second
)

// play plays all steps. It stops at the first that fails.
func (s *story) play(ctx context.Context) error {
	var closeHub, closeLeaf func()
	var err error
	if s.hub, closeHub, err = s.connect(s.hubURL); err != nil {
		return fmt.Errorf("cannot connect to the hub: %w", err)
	}
	defer closeHub()
	if s.leaf, closeLeaf, err = s.connect(s.leafURL); err != nil {
		return fmt.Errorf("cannot connect to the leaf: %w", err)
	}
	defer closeLeaf()

	s.say("Two servers of version %s run in this process: a hub, and a leaf below it.", server.VERSION)
	steps := []struct {
		heading string
		play    func(context.Context) error
	}{
		{"The origin, a bucket on the hub whose keys and markers can expire", s.createOrigin},
		{"Two mirrors of it on the leaf: plain as nats makes them, ours by this program", s.createMirrors},
		{"How the three are configured", s.compareConfigs},
		{"Values put at the origin reach both mirrors", s.putValues},
		{"A key with a TTL, and two keys purged with a TTL", s.useTTLs},
		{"The TTLs run out", s.waitForExpiry},
		{"The repair of plain", s.repair},
	}
	for i, step := range steps {
		s.say("\n%d. %s\n", i+1, step.heading)
		if err := step.play(ctx); err != nil {
			return fmt.Errorf("step %d of the demo: %w", i+1, err)
		}
		if err := s.writeFailure(); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) createOrigin(ctx context.Context) (err error) {
	s.shell("hub", fmt.Sprintf("nats kv add %s --marker-ttl %v", originBucket, limitMarkerTTL))
	s.origin, err = s.hub.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: originBucket, LimitMarkerTTL: limitMarkerTTL})
	if err != nil {
		return err
	}
	s.say("\nBucket %s is there. When one of its keys expires, a marker takes the key's\nplace, and expires %v later.", originBucket, limitMarkerTTL)
	return nil
}

func (s *story) createMirrors(ctx context.Context) error {
	s.shell("leaf", fmt.Sprintf("nats kv add %s --mirror %s --mirror-domain %s", plainMirror, originBucket, originDomain))
	_, err := s.leaf.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: plainMirror,
		Mirror: &jetstream.StreamSource{Name: originBucket, Domain: originDomain},
	})
	if err != nil {
		return err
	}
	s.say("\nBucket %s is there, made with the library call that this command makes.\n", plainMirror)
	return s.run(ctx, "add", ourMirror, "--mirror", originBucket, "--mirror-domain", originDomain)
}

func (s *story) compareConfigs(ctx context.Context) error {
	now, err := s.read(ctx)
	if err != nil {
		return err
	}
	t := s.newTable("Stream Configuration")
	now.row(t, "allow_msg_ttl", func(i *jetstream.StreamInfo) any { return i.Config.AllowMsgTTL })
	now.row(t, "subject_delete_marker_ttl", func(i *jetstream.StreamInfo) any {
		if i.Config.SubjectDeleteMarkerTTL == 0 {
			return "none"
		}
		return i.Config.SubjectDeleteMarkerTTL
	})
	s.say("%s", t)
	s.say("\nServers forbid the second setting on a mirror, and `nats kv` turns the first on\nonly together with it. Without the first, a mirror honours no TTL.")
	return nil
}

func (s *story) putValues(ctx context.Context) error {
	values := [][2]string{{"lamp", "on"}, {"door", "shut"}}
	for _, v := range values {
		s.shell("hub", fmt.Sprintf("nats kv put %s %s %s", originBucket, v[0], v[1]))
		if _, err := s.origin.PutString(ctx, v[0], v[1]); err != nil {
			return err
		}
	}
	if _, err := s.until(ctx, "the values to reach both mirrors", buckets.caughtUp); err != nil {
		return err
	}
	stores := []jetstream.KeyValue{s.origin}
	for _, mirror := range []string{plainMirror, ourMirror} {
		store, err := s.leaf.KeyValue(ctx, mirror)
		if err != nil {
			return err
		}
		stores = append(stores, store)
	}
	s.say("")
	t := s.newTable("Values")
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
	s.say("%s", t)
	return nil
}

func (s *story) useTTLs(ctx context.Context) error {
	s.shell("hub", fmt.Sprintf("nats kv create %s ticket A7 --ttl %v", originBucket, keyTTL))
	created, err := s.origin.Create(ctx, "ticket", []byte("A7"), jetstream.KeyTTL(keyTTL))
	if err != nil {
		return err
	}
	purged := []string{"lamp", "door"}
	// What comes after: the purge markers, and a limit marker for the ticket.
	s.lastSeq = created + uint64(len(purged)) + 1
	for _, key := range purged {
		s.shell("hub", fmt.Sprintf("nats kv purge %s %s --ttl %v --force", originBucket, key, purgeTTL))
		if err := s.origin.Purge(ctx, key, jetstream.PurgeTTL(purgeTTL)); err != nil {
			return err
		}
	}
	if _, err := s.until(ctx, "the markers to reach both mirrors", buckets.caughtUp); err != nil {
		return err
	}
	s.say("\nThe value and the two purge markers are on both mirrors, each with its TTL.")
	return nil
}

// waitForExpiry shows how the origin and ours shrink, and what stays on plain.
func (s *story) waitForExpiry(ctx context.Context) (err error) {
	start, shown := time.Now(), ""
	s.before, err = s.until(ctx, "the origin and ours to be empty", func(b buckets) bool {
		if line := b.String(); line != shown {
			shown = line
			s.say("%5.1fs   %s", time.Since(start).Seconds(), line)
		}
		return b.origin.State.LastSeq >= s.lastSeq && b.caughtUp() && b.origin.State.Msgs == 0 && b.ours.State.Msgs == 0
	})
	if err != nil {
		return err
	}
	if s.before.plain.State.Msgs == 0 {
		return errors.New("bucket plain is empty, although it should honour no TTL")
	}
	s.say("")
	if err := s.showLeftOver(ctx); err != nil {
		return err
	}
	s.say("\nThe origin is empty, ours is empty, and plain keeps %d markers forever.", s.before.plain.State.Msgs)
	return nil
}

// showLeftOver lists what plain holds that is gone at the origin.
func (s *story) showLeftOver(ctx context.Context) error {
	stream, err := s.leaf.Stream(ctx, streamPrefix+plainMirror)
	if err != nil {
		return err
	}
	t := render.NewTable(s.Style, "Left Over On "+plainMirror, "Key", "Message", "TTL", "Age")
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
	s.say("%s", t)
	return nil
}

// age is how old a message is, rounded down: what is 2.9 s old is not 3 s old.
func age(stored time.Time) string {
	return fmt.Sprintf("%.1fs", math.Floor(time.Since(stored).Seconds()*10)/10)
}

func (s *story) repair(ctx context.Context) error {
	if err := s.run(ctx, "edit", plainMirror, "--force"); err != nil {
		return err
	}
	after, err := s.until(ctx, "plain to be empty", func(b buckets) bool {
		return b.plain.Config.AllowMsgTTL && b.plain.State.Msgs == 0
	})
	if err != nil {
		return err
	}
	s.say("")
	stored := func(i *jetstream.StreamInfo) any { return i.State.Msgs }
	size := func(i *jetstream.StreamInfo) any { return humanize.IBytes(i.State.Bytes) }
	ttl := func(i *jetstream.StreamInfo) any { return i.Config.AllowMsgTTL }
	t := s.newTable("Before And After The Repair")
	s.before.row(t, "Per-Key TTL before", ttl)
	after.row(t, "Per-Key TTL now", ttl)
	s.before.row(t, "Values stored before", stored)
	after.row(t, "Values stored now", stored)
	s.before.row(t, "Bucket size before", size)
	after.row(t, "Bucket size now", size)
	s.say("%s", t)
	s.say("\nplain follows its origin now, as ours has done from the start.")
	return nil
}
