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
	if err := addOrigin(ctx, f.hubs[worker], bucket); err != nil {
		return err
	}
	return addMirror(ctx, f.leaf[worker], bucket)
}

// addOrigin creates a bucket with per-key TTL and puts a key into it.
func addOrigin(ctx context.Context, hub jetstream.JetStream, bucket string) error {
	subject := "$KV." + bucket + "."
	_, err := hub.CreateStream(ctx, jetstream.StreamConfig{
		Name:                   "KV_" + bucket,
		Subjects:               []string{subject + ">"},
		Storage:                jetstream.MemoryStorage,
		MaxMsgsPerSubject:      1,
		Discard:                jetstream.DiscardNew,
		DenyDelete:             true,
		AllowRollup:            true,
		AllowDirect:            true,
		AllowMsgTTL:            true,
		SubjectDeleteMarkerTTL: time.Minute,
	})
	if err == nil {
		_, err = hub.Publish(ctx, subject+"key", []byte("value"))
	}
	return err
}

// addMirror creates a mirror of the hub's bucket of the same name.
func addMirror(ctx context.Context, leaf jetstream.JetStream, bucket string) error {
	stream := "KV_" + bucket
	_, err := leaf.CreateStream(ctx, jetstream.StreamConfig{
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
	})
	return err
}

// waitReady waits until all mirrors are connected to their origins and hold the
// key.
func (f *Fleet) waitReady(ctx context.Context) error {
	return waitMirrors(ctx, f.leaf[0].Conn(), f.n)
}

// waitMirrors waits until n mirrors of a leaf are connected and up to date.
func waitMirrors(ctx context.Context, leaf *nats.Conn, n int) error {
	tick := time.NewTicker(fleetPoll)
	defer tick.Stop()
	for {
		ready, err := readyMirrors(ctx, leaf)
		if err != nil {
			return fmt.Errorf("fleet: %w", err)
		}
		if ready >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("fleet: %d of %d mirrors are ready: %w", ready, n, ctx.Err())
		case <-tick.C:
		}
	}
}

// readyMirrors counts the mirrors that are connected and up to date.
func readyMirrors(ctx context.Context, leaf *nats.Conn) (int, error) {
	ready := 0
	for offset := 0; ; {
		request := fmt.Sprintf(`{"offset":%d}`, offset)
		msg, err := leaf.RequestWithContext(ctx, "$JS.API.STREAM.LIST", []byte(request))
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
