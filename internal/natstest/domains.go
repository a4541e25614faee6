package natstest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Domains is a hub with leaves below it, each with a domain of its own and a mirror of
// every bucket of the hub.
type Domains struct {
	Hub    *Server
	Leaves []*Server
	Names  []string // of the leaves' domains
}

// HubAndLeaves runs a hub with the domain "hub" and n leaves with the domains "site00",
// "site01" and so on, without buckets; see [Domains.Fill]. It returns once each answers at
// the hub.
func HubAndLeaves(n int) (_ *Domains, err error) {
	d := &Domains{}
	defer func() {
		if err != nil {
			d.Stop()
		}
	}()
	if d.Hub, err = Start(hubConf()); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	nc, err := nats.Connect(d.Hub.URL(), nats.Timeout(startTimeout))
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	defer nc.Close()
	for i := range n {
		name := fmt.Sprintf("site%02d", i)
		conf := strings.NewReplacer("server_name: LEAF", "server_name: "+name, "domain: "+leafDomain, "domain: "+name).Replace(leafConf(d.Hub.LeafURL()))
		leaf, err := Start(conf)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		d.Leaves, d.Names = append(d.Leaves, leaf), append(d.Names, name)
		if err := waitAnswer(nc, "$JS."+name+".API.INFO"); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return d, nil
}

// Stop stops all servers. It may be called twice.
func (d *Domains) Stop() { stopAll(append([]*Server{d.Hub}, d.Leaves...)...) }

// Fill makes n buckets at the hub and a mirror of each on every leaf, and returns once all
// are connected and up to date.
func (d *Domains) Fill(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, fleetTimeout)
	defer cancel()
	if err := each(ctx, d.Hub, n, addOrigin); err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	errs := make([]error, len(d.Leaves))
	var wg sync.WaitGroup
	for i, leaf := range d.Leaves {
		wg.Go(func() { errs[i] = each(ctx, leaf, n, addMirror) })
	}
	wg.Wait()
	for i, leaf := range d.Leaves {
		if errs[i] != nil {
			return fmt.Errorf("%s: %w", d.Names[i], errs[i])
		}
		nc, err := nats.Connect(leaf.URL(), nats.Timeout(startTimeout))
		if err != nil {
			return fmt.Errorf("%s: %w", d.Names[i], err)
		}
		err = waitMirrors(ctx, nc, n)
		nc.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", d.Names[i], err)
		}
	}
	return nil
}

// each makes n buckets on a server.
func each(ctx context.Context, s *Server, n int, add func(context.Context, jetstream.JetStream, string) error) error {
	nc, err := nats.Connect(s.URL(), nats.Timeout(startTimeout))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(startTimeout))
	if err != nil {
		return err
	}
	for i := range n {
		if err := add(ctx, js, fmt.Sprintf("fleet-%05d", i)); err != nil {
			return fmt.Errorf("bucket %d: %w", i, err)
		}
	}
	return nil
}
