package natstest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// The JetStream domains of the sites.
const (
	hubDomain   = "hub"
	leafDomain  = "ksds"
	belowDomain = "below"
)

// Sites is a hub with a leaf below it.
type Sites struct {
	Hub, Leaf *Server

	link *Proxy // between the two, nil if they are linked directly
}

// Stop stops both servers, and the proxy between them if there is one. It may
// be called twice.
func (s *Sites) Stop() {
	stopAll(s.Leaf, s.Hub)
	if s.link != nil {
		s.link.Close()
	}
}

// HubAndLeaf runs a hub with the JetStream domain "hub" and, connected to it, a
// leaf with the domain "ksds". It returns once the hub's JetStream API answers
// at the leaf.
func HubAndLeaf() (*Sites, error) {
	return startSites("", leafConf, false)
}

// HubAndLeafLimited is HubAndLeaf with a max_payload of so many bytes.
func HubAndLeafLimited(maxPayload int) (*Sites, error) {
	return startSites(fmt.Sprintf("max_payload: %d\n", maxPayload), leafConf, false)
}

// Chain is a hub, a leaf below it, and a leaf below that one.
type Chain struct {
	*Sites
	Below *Server
}

// Stop stops all servers. It may be called twice.
func (c *Chain) Stop() {
	stopAll(c.Below)
	c.Sites.Stop()
}

// LeafBelowLeaf runs HubAndLeaf and, connected to the leaf, another one with the
// domain "below", where mirrors of mirrors are made. It returns once the APIs of
// both others answer there.
func LeafBelowLeaf() (_ *Chain, err error) {
	sites, err := startSites("", func(hubURL string) string {
		return strings.Replace(leafConf(hubURL), "leafnodes {", "leafnodes { listen: 127.0.0.1:-1,", 1)
	}, false)
	if err != nil {
		return nil, err
	}
	c := &Chain{Sites: sites}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	conf := strings.NewReplacer("server_name: LEAF", "server_name: BELOW", "domain: "+leafDomain, "domain: "+belowDomain).Replace(leafConf(c.Leaf.LeafURL()))
	if c.Below, err = Start(conf); err != nil {
		return nil, fmt.Errorf("below: %w", err)
	}
	nc, err := nats.Connect(c.Below.URL(), nats.Timeout(startTimeout))
	if err != nil {
		return nil, fmt.Errorf("below: %w", err)
	}
	defer nc.Close()
	for _, domain := range []string{hubDomain, leafDomain} {
		if err = waitAnswer(nc, "$JS."+domain+".API.INFO"); err != nil {
			return nil, fmt.Errorf("below: %w", err)
		}
	}
	return c, nil
}

// HubAndLeafVia is HubAndLeaf with a proxy in the link between the two, so that
// the link can be slowed or cut. A leaf whose link was cut tries again every
// 100 ms. The proxy counts bytes but sees no messages; Sites.Stop closes it.
func HubAndLeafVia() (*Sites, *Proxy, error) {
	s, err := startSites("", leafConf, true)
	if err != nil {
		return nil, nil, err
	}
	return s, s.link, nil
}

// Restricted is HubAndLeaf with users at the leaf who may not do everything,
// each with its name as password:
//
//   - app, in the hub's account like all that follow unless said otherwise: all
//   - lim: no publishing to the STREAM.INFO of the origin KV_demo in the domain
//     hub and of the mirror KV_m
//   - limsub: no subscribing to inboxes
//   - limresp: no publishing to anything but $JS.API.>
//   - nolist: no publishing to any STREAM.LIST
//   - noread: no publishing to CONSUMER.CREATE of the origin's domain
//   - nowrite: no publishing to STREAM.CREATE, UPDATE, DELETE and PURGE
//   - nojs, in an account that says nothing of JetStream
//   - offu, in an account with JetStream disabled
//   - sys, in the system account
//
// Nobody connects without a name.
func Restricted() (*Sites, error) {
	return startSites("", restrictedLeafConf, false, nats.UserInfo("app", "app"))
}

// startSites runs a hub and below it a leaf of the configuration that leaf
// returns for the hub's URL, and waits for their link, as seen by a client of
// the leaf with the given options. Both have the settings of conf as well.
func startSites(conf string, leaf func(hubURL string) string, viaProxy bool, opts ...nats.Option) (_ *Sites, err error) {
	s := &Sites{}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()

	if s.Hub, err = Start(conf + hubConf()); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	hubURL := s.Hub.LeafURL()
	if viaProxy {
		if s.link, err = NewLinkProxy(s.Hub.LeafAddr()); err != nil {
			return nil, fmt.Errorf("link: %w", err)
		}
		hubURL = s.link.URL()
	}
	if s.Leaf, err = Start(conf + leaf(hubURL)); err != nil {
		return nil, fmt.Errorf("leaf: %w", err)
	}

	nc, err := nats.Connect(s.Leaf.URL(), append(opts, nats.Timeout(startTimeout))...)
	if err != nil {
		return nil, fmt.Errorf("leaf: %w", err)
	}
	defer nc.Close()
	if err = waitAnswer(nc, "$JS."+hubDomain+".API.INFO"); err != nil {
		return nil, fmt.Errorf("leaf: %w", err)
	}
	return s, nil
}

// waitAnswer waits until somebody answers a request to subject.
func waitAnswer(nc *nats.Conn, subject string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	patience := 250 * time.Millisecond
	return waitFor(ctx, "an answer from "+subject, func() bool {
		// A request that got lost while a link came up is asked again; one that is
		// only slow must not be repeated forever.
		_, err := nc.Request(subject, nil, patience)
		if errors.Is(err, nats.ErrTimeout) {
			patience *= 2
		}
		return err == nil
	})
}

// stopAll stops the servers that are there, all at once: each takes a while.
func stopAll(servers ...*Server) {
	var wg sync.WaitGroup
	for _, s := range servers {
		if s != nil {
			wg.Go(s.Stop)
		}
	}
	wg.Wait()
}
