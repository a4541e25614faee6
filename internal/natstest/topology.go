package natstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
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
	return startSites(leafConf, false)
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
	sites, err := startSites(func(hubURL string) string {
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
	s, err := startSites(leafConf, true)
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
	return startSites(restrictedLeafConf, false, nats.UserInfo("app", "app"))
}

// AccountsKind says what the two accounts of Accounts share.
type AccountsKind int

const (
	// CrossAccount shares all that a mirror of A's bucket in B needs.
	CrossAccount AccountsKind = iota
	// CrossAccountUnreadable lacks the origin's STREAM.INFO: the mirror works,
	// and its origin cannot be read.
	CrossAccountUnreadable
	// CrossAccountNoFlowControl lacks $JS.FC.>: the mirror stalls part-way once
	// there is more to copy than the server sends without an answer.
	CrossAccountNoFlowControl
)

// Accounts runs one server with two JetStream accounts: A (user a, password a)
// for the bucket demo, and B (user b, password b) for a mirror of it, which
// uses the API prefix JS.A.API and the deliver prefix deliver.B. The user sys,
// password sys, is in the system account.
func Accounts(kind AccountsKind) (*Server, error) {
	return Start(accountsConf(kind, ""))
}

// AccountsAndLeaf runs the server of [Accounts] as a hub with the domain "hub"
// and, connected to its account B, a leaf with the domain "ksds", where the
// mirror is to be. It returns once the origin's API answers at the leaf.
func AccountsAndLeaf(kind AccountsKind) (_ *Sites, err error) {
	s := &Sites{}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	hub := accountsConf(kind, hubDomain) + "leafnodes { listen: 127.0.0.1:-1, no_advertise: true }\n"
	if s.Hub, err = Start(hub); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	scheme, host, _ := strings.Cut(s.Hub.LeafURL(), "://")
	if s.Leaf, err = Start(leafConf(scheme + "://b:b@" + host)); err != nil {
		return nil, fmt.Errorf("leaf: %w", err)
	}
	nc, err := nats.Connect(s.Leaf.URL(), nats.Timeout(startTimeout))
	if err != nil {
		return nil, fmt.Errorf("leaf: %w", err)
	}
	defer nc.Close()
	// All kinds share this one; the empty request is refused.
	if err = waitAnswer(nc, "JS.A.API.CONSUMER.CREATE.KV_demo"); err != nil {
		return nil, fmt.Errorf("leaf: %w", err)
	}
	return s, nil
}

// Cluster runs n servers, two or more, as one JetStream cluster in the given
// domain. It returns once there is a meta leader that knows all of them and
// each is current, so that R-n streams can be created at once. Without a name
// clients are the user app in the account APP; the user sys, password sys, is
// in the system account.
//
// The caller stops each server.
func Cluster(n int, domain string) ([]*Server, error) {
	return startCluster(n, domain, "")
}

// Clusters runs two clusters of n servers: a hub with the domain "hub" and,
// connected to it, a leaf with the domain "ksds", as [Cluster] does. It returns
// once the hub's API answers at every server of the leaf.
func Clusters(n int) (hub, leaf []*Server, err error) {
	defer func() {
		if err != nil {
			stopAll(slices.Concat(hub, leaf)...)
		}
	}()
	hub, err = startCluster(n, hubDomain, "leafnodes { listen: 127.0.0.1:-1, no_advertise: true, authorization { user: leaf, password: leaf, account: APP } }\n")
	if err != nil {
		return nil, nil, fmt.Errorf("hub: %w", err)
	}
	var urls []string
	for _, s := range hub {
		urls = append(urls, fmt.Sprintf("%q", "nats-leaf://leaf:leaf@"+s.LeafAddr()))
	}
	leaf, err = startCluster(n, leafDomain, fmt.Sprintf("leafnodes { reconnect: \"100ms\", remotes: [ { urls: [%s], account: APP } ] }\n", strings.Join(urls, ", ")))
	if err != nil {
		return hub, nil, fmt.Errorf("leaf: %w", err)
	}
	for _, s := range leaf {
		nc, err := nats.Connect(s.URL(), nats.Timeout(startTimeout))
		if err != nil {
			return hub, leaf, fmt.Errorf("leaf: %w", err)
		}
		err = waitAnswer(nc, "$JS."+hubDomain+".API.INFO")
		nc.Close()
		if err != nil {
			return hub, leaf, fmt.Errorf("leaf: %w", err)
		}
	}
	return hub, leaf, nil
}

// startCluster is Cluster with something more in each server's configuration. The
// ports are free when they are chosen; where somebody else takes one before its
// server does, others are chosen.
func startCluster(n int, domain, more string) ([]*Server, error) {
	if n < 2 {
		return nil, fmt.Errorf("cluster of %d: a meta group needs two servers or more", n)
	}
	const tries = 5
	for try := 1; ; try++ {
		servers, err := tryCluster(n, domain, more)
		if err == nil || !isPortTaken(err) || try == tries {
			return servers, err
		}
	}
}

func tryCluster(n int, domain, more string) ([]*Server, error) {
	// Every server must know all routes before it starts.
	ports, err := freePorts(n)
	if err != nil {
		return nil, err
	}
	routes := make([]string, n)
	for i, port := range ports {
		routes[i] = fmt.Sprintf("%q", "nats://"+loopback(port))
	}

	var servers []*Server
	for i, port := range ports {
		s, err := Start(clusterConf(i+1, port, routes, domain) + more)
		if err != nil {
			stopAll(servers...)
			return nil, fmt.Errorf("cluster server %d: %w", i+1, err)
		}
		servers = append(servers, s)
	}
	if err := waitClustered(servers); err != nil {
		stopAll(servers...)
		return nil, err
	}
	return servers, nil
}

// startSites runs a hub and below it a leaf of the configuration that leaf
// returns for the hub's URL, and waits for their link, as seen by a client of
// the leaf with the given options.
func startSites(leaf func(hubURL string) string, viaProxy bool, opts ...nats.Option) (_ *Sites, err error) {
	s := &Sites{}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()

	if s.Hub, err = Start(hubConf()); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	hubURL := s.Hub.LeafURL()
	if viaProxy {
		if s.link, err = NewLinkProxy(s.Hub.LeafAddr()); err != nil {
			return nil, fmt.Errorf("link: %w", err)
		}
		hubURL = s.link.URL()
	}
	if s.Leaf, err = Start(leaf(hubURL)); err != nil {
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
		// only slow must not be waited for forever.
		_, err := nc.Request(subject, nil, patience)
		if errors.Is(err, nats.ErrTimeout) {
			patience *= 2
		}
		return err == nil
	})
}

// waitClustered waits until one of servers leads the meta group, counts all of
// them in, and all are current.
func waitClustered(servers []*Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	err := waitFor(ctx, "a meta leader and current servers", func() bool {
		led := false
		for _, s := range servers {
			srv := s.Underlying()
			if !srv.JetStreamIsClustered() || !srv.JetStreamIsCurrent() {
				return false
			}
			if srv.JetStreamIsLeader() && len(srv.JetStreamClusterPeers()) == len(servers) {
				led = true
			}
		}
		return led
	})
	if err != nil {
		return err
	}
	for _, s := range servers {
		nc, err := nats.Connect(s.URL(), nats.Timeout(startTimeout))
		if err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
		err = waitAnswer(nc, "$JS.API.INFO")
		nc.Close()
		if err != nil {
			return err
		}
	}
	return nil
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

// freePorts finds n free ports. They are held until all are found, so that no
// two are the same.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("free port: %w", err)
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// jetStreamConf gives every server a store of its own, and limits that do not
// depend on the machine.
func jetStreamConf(domain string) string {
	conf := `store_dir: "{{dir}}", max_memory_store: 256MB, max_file_store: 2GB`
	if domain != "" {
		conf += ", domain: " + domain
	}
	return "jetstream { " + conf + " }\n"
}

// hubConf does not advertise where leafnodes connect: a leaf that knew it would
// go around the proxy that it was linked through.
func hubConf() string {
	return `
server_name: HUB
listen: 127.0.0.1:-1
leafnodes { listen: 127.0.0.1:-1, no_advertise: true }
` + jetStreamConf(hubDomain)
}

func leafConf(hubURL string) string {
	return fmt.Sprintf(`
server_name: LEAF
listen: 127.0.0.1:-1
leafnodes { reconnect: "100ms", remotes: [ { urls: [%q] } ] }
`, hubURL) + jetStreamConf(leafDomain)
}

func restrictedLeafConf(hubURL string) string {
	return fmt.Sprintf(`
server_name: LEAF
listen: 127.0.0.1:-1
accounts {
  APP { jetstream: enabled, users: [
    {user: app, password: app}
    {user: lim, password: lim, permissions: { publish: { deny: ["$JS.hub.API.STREAM.INFO.KV_demo","$JS.API.STREAM.INFO.KV_m"] } } }
    {user: limsub, password: limsub, permissions: { publish: { allow: [">"] }, subscribe: { deny: ["_INBOX.>"] } } }
    {user: nolist, password: nolist, permissions: { publish: { deny: ["$JS.API.STREAM.LIST","$JS.hub.API.STREAM.LIST"] } } }
    {user: noread, password: noread, permissions: { publish: { deny: ["$JS.hub.API.CONSUMER.CREATE.>"] } } }
    {user: nowrite, password: nowrite, permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.>","$JS.API.STREAM.UPDATE.>","$JS.API.STREAM.DELETE.>","$JS.API.STREAM.PURGE.>"] } } }
    {user: limresp, password: limresp, permissions: { publish: { allow: ["$JS.API.>"] } } }
  ] }
  NOJS { users: [ {user: nojs, password: nojs} ] }
  OFF { jetstream: disabled, users: [ {user: offu, password: offu} ] }
  SYS { users: [ {user: sys, password: sys} ] }
}
system_account: SYS
leafnodes { reconnect: "100ms", remotes: [ { urls: [%q], account: APP } ] }
`, hubURL) + jetStreamConf(leafDomain)
}

func accountsConf(kind AccountsKind, domain string) string {
	var exports, imports strings.Builder
	service := func(subject, to string) {
		fmt.Fprintf(&exports, "      { service: %q, accounts: [B] }\n", subject)
		fmt.Fprintf(&imports, "      { service: { account: A, subject: %q }, to: %q }\n", subject, to)
	}
	stream := func(subject string) {
		fmt.Fprintf(&exports, "      { stream: %q, accounts: [B] }\n", subject)
		fmt.Fprintf(&imports, "      { stream: { account: A, subject: %q } }\n", subject)
	}

	service("$JS.API.CONSUMER.CREATE.KV_demo", "JS.A.API.CONSUMER.CREATE.KV_demo")
	service("$JS.API.CONSUMER.CREATE.KV_demo.>", "JS.A.API.CONSUMER.CREATE.KV_demo.>")
	stream("deliver.B.>")
	service("$KV.demo.>", "JS.A.API.$KV.demo.>")
	if kind != CrossAccountNoFlowControl {
		service("$JS.FC.>", "$JS.FC.>")
	}
	if kind != CrossAccountUnreadable {
		service("$JS.API.STREAM.INFO.KV_demo", "JS.A.API.STREAM.INFO.KV_demo")
	}

	return fmt.Sprintf(`
server_name: X
listen: 127.0.0.1:-1
accounts {
  A { jetstream: enabled, users: [ {user: a, password: a} ]
    exports: [
%s    ]
  }
  B { jetstream: enabled, users: [ {user: b, password: b} ]
    imports: [
%s    ]
  }
  SYS { users: [ {user: sys, password: sys} ] }
}
system_account: SYS
`, &exports, &imports) + jetStreamConf(domain)
}

func clusterConf(node, port int, routes []string, domain string) string {
	return fmt.Sprintf(`
server_name: N%d-%s
listen: 127.0.0.1:-1
cluster { name: C-%s, listen: %q, routes: [%s] }
accounts {
  APP { jetstream: enabled, users: [ {user: app, password: app} ] }
  SYS { users: [ {user: sys, password: sys} ] }
}
no_auth_user: app
system_account: SYS
`, node, domain, domain, loopback(port), strings.Join(routes, ", ")) + jetStreamConf(domain)
}
