package natstest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// fleetWorkers is how many streams of a fleet are created at once, each
	// over a connection of its own: a server reads each client's requests one
	// after the other.
	fleetWorkers = 8
	// fleetTimeout bounds each wait for a fleet.
	fleetTimeout = 5 * time.Minute
	// fleetPoll is how often a fleet that gets ready is looked at.
	fleetPoll = time.Second
)

// Fleet is a hub with many buckets and a leaf with a mirror of each. Bucket and
// mirror have one name and all in memory, per-key TTL, and one key.
type Fleet struct {
	*Sites

	n          int
	hubs, leaf []jetstream.JetStream // one of each for every worker
}

// NewFleet runs a hub and a leaf without buckets; see [Fleet.Grow]. Stop ends
// it.
func NewFleet() (_ *Fleet, err error) {
	sites, err := HubAndLeaf()
	if err != nil {
		return nil, err
	}
	f := &Fleet{Sites: sites}
	defer func() {
		if err != nil {
			f.Stop()
		}
	}()
	for range fleetWorkers {
		for _, side := range []struct {
			server *Server
			to     *[]jetstream.JetStream
		}{{f.Hub, &f.hubs}, {f.Leaf, &f.leaf}} {
			nc, err := nats.Connect(side.server.URL(), nats.Timeout(startTimeout))
			if err != nil {
				return nil, fmt.Errorf("fleet: %w", err)
			}
			js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(startTimeout))
			if err != nil {
				return nil, fmt.Errorf("fleet: %w", err)
			}
			*side.to = append(*side.to, js)
		}
	}
	return f, nil
}

// Stop closes the connections and stops both servers.
func (f *Fleet) Stop() {
	for _, js := range append(f.hubs, f.leaf...) {
		js.Conn().Close()
	}
	f.Sites.Stop()
}

// Grow adds mirrors and their origins until there are n, and returns once each
// is connected and up to date.
func (f *Fleet) Grow(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, fleetTimeout)
	defer cancel()
	var wg sync.WaitGroup
	errs := make(chan error, fleetWorkers)
	for w := range fleetWorkers {
		wg.Go(func() {
			for i := f.n + w; i < n; i += fleetWorkers {
				if err := f.add(ctx, w, fmt.Sprintf("fleet-%05d", i)); err != nil {
					errs <- fmt.Errorf("fleet: bucket %d: %w", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	f.n = max(f.n, n)
	return f.waitReady(ctx)
}

// add creates a bucket at the hub, puts a key into it, and creates its mirror.
func (f *Fleet) add(ctx context.Context, worker int, bucket string) error {
	stream, subject := "KV_"+bucket, "$KV."+bucket+"."
	origin := jetstream.StreamConfig{
		Name:                   stream,
		Subjects:               []string{subject + ">"},
		Storage:                jetstream.MemoryStorage,
		MaxMsgsPerSubject:      1,
		Discard:                jetstream.DiscardNew,
		DenyDelete:             true,
		AllowRollup:            true,
		AllowDirect:            true,
		AllowMsgTTL:            true,
		SubjectDeleteMarkerTTL: time.Minute,
	}
	mirror := jetstream.StreamConfig{
		Name:              stream,
		Storage:           jetstream.MemoryStorage,
		MaxMsgsPerSubject: 1,
		Discard:           jetstream.DiscardNew,
		DenyDelete:        true,
		AllowRollup:       true,
		AllowDirect:       true,
		MirrorDirect:      true,
		AllowMsgTTL:       true,
		Mirror:            &jetstream.StreamSource{Name: stream, Domain: hubDomain},
	}
	hub, leaf := f.hubs[worker], f.leaf[worker]
	if _, err := hub.CreateStream(ctx, origin); err != nil {
		return err
	}
	if _, err := hub.Publish(ctx, subject+"key", []byte("value")); err != nil {
		return err
	}
	_, err := leaf.CreateStream(ctx, mirror)
	return err
}

// waitReady waits until all mirrors are connected to their origins and hold the
// key.
func (f *Fleet) waitReady(ctx context.Context) error {
	tick := time.NewTicker(fleetPoll)
	defer tick.Stop()
	for {
		ready, err := f.ready(ctx)
		if err != nil {
			return fmt.Errorf("fleet: %w", err)
		}
		if ready >= f.n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("fleet: %d of %d mirrors are ready: %w", ready, f.n, ctx.Err())
		case <-tick.C:
		}
	}
}

// ready counts the mirrors that are connected and up to date.
func (f *Fleet) ready(ctx context.Context) (int, error) {
	ready := 0
	for offset := 0; ; {
		request := fmt.Sprintf(`{"offset":%d}`, offset)
		msg, err := f.leaf[0].Conn().RequestWithContext(ctx, "$JS.API.STREAM.LIST", []byte(request))
		if err != nil {
			return ready, err
		}
		var page struct {
			Total   int `json:"total"`
			Streams []struct {
				State struct {
					LastSeq uint64 `json:"last_seq"`
				} `json:"state"`
				Mirror struct {
					Active time.Duration   `json:"active"`
					Error  json.RawMessage `json:"error"`
				} `json:"mirror"`
			} `json:"streams"`
		}
		if err := json.Unmarshal(msg.Data, &page); err != nil {
			return ready, err
		}
		for _, s := range page.Streams {
			if s.State.LastSeq == 1 && s.Mirror.Active >= 0 && s.Mirror.Active < 5*time.Second && s.Mirror.Error == nil {
				ready++
			}
		}
		offset += len(page.Streams)
		if offset >= page.Total || len(page.Streams) == 0 {
			return ready, nil
		}
	}
}
