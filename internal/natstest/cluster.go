package natstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
)

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
