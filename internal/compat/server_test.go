//go:build faults

package compat

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// longTimeout bounds each wait for something that has to come.
	longTimeout = 90 * time.Second
	// pollInterval is the pause between two looks at what is waited for.
	pollInterval = 50 * time.Millisecond
)

// server is a nats-server in a process of its own. It ends with the test.
type server struct {
	t         *testing.T
	ctx       context.Context
	dir, conf string
	port      string // as it was given at the first start, for restarts
	leafPort  string

	// The server is the child of a process that ends it when its own standard
	// input ends: also when the test is killed.
	supervisor *exec.Cmd
	alive      io.Closer
}

// startServer runs a server. {{port}} and {{leafport}} in conf stand for ports
// that are free, {{dir}} for the server's JetStream store.
func startServer(ctx context.Context, t *testing.T, binary, conf string) *server {
	t.Helper()
	s := &server{t: t, ctx: ctx, dir: t.TempDir(), conf: conf, port: "-1", leafPort: "-1"}
	t.Cleanup(s.stop)
	s.start(binary)
	return s
}

// url is where clients connect.
func (s *server) url() string { return "nats://127.0.0.1:" + s.port }

// restart stops the server and runs binary, which may be of another version, on
// the same ports with the same store.
func (s *server) restart(binary string) {
	s.t.Helper()
	s.stop()
	s.start(binary)
}

var (
	clientsListen = regexp.MustCompile(`Listening for client connections on 127\.0\.0\.1:(\d+)`)
	leavesListen  = regexp.MustCompile(`Listening for leafnode connections on 127\.0\.0\.1:(\d+)`)
)

func (s *server) start(binary string) {
	s.t.Helper()
	file, log := filepath.Join(s.dir, "server.conf"), filepath.Join(s.dir, "server.log")
	if err := os.Remove(log); err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	conf := strings.NewReplacer("{{port}}", s.port, "{{leafport}}", s.leafPort, "{{dir}}", filepath.ToSlash(filepath.Join(s.dir, "js"))).Replace(s.conf)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.supervisor = exec.CommandContext(s.ctx, os.Args[0])
	s.supervisor.Env = append(os.Environ(), superviseVar+"="+binary, confVar+"="+file, logVar+"="+log)
	var err error
	if s.alive, err = s.supervisor.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.supervisor.Start(); err != nil {
		s.t.Fatal(err)
	}
	written := ""
	ready := tryFor(s.ctx, longTimeout, func() bool {
		data, _ := os.ReadFile(log)
		written = string(data)
		return strings.Contains(written, "Server is ready")
	})
	if !ready {
		s.t.Fatalf("%s did not start; its log:\n%s", binary, written)
	}
	s.port = clientsListen.FindStringSubmatch(written)[1]
	if m := leavesListen.FindStringSubmatch(written); m != nil {
		s.leafPort = m[1]
	}
}

// stop ends the server and returns once it has ended. It may be called twice.
func (s *server) stop() {
	if s.supervisor == nil {
		return
	}
	_ = s.alive.Close()
	_ = s.supervisor.Wait() // how a server ends does not matter
	s.supervisor = nil
}

// tryFor polls until ok; false when the time is over, or ctx ends.
func tryFor(ctx context.Context, timeout time.Duration, ok func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

const (
	hubConf = `
server_name: HUB
listen: "127.0.0.1:{{port}}"
leafnodes { listen: "127.0.0.1:{{leafport}}" }
jetstream { store_dir: "{{dir}}", domain: hub, max_memory_store: 256MB, max_file_store: 2GB }
`
	leafConf = `
server_name: LEAF
listen: "127.0.0.1:{{port}}"
leafnodes { reconnect: 1, remotes: [ { urls: ["nats-leaf://127.0.0.1:%s"] } ] }
jetstream { store_dir: "{{dir}}", domain: leaf, max_memory_store: 256MB, max_file_store: 2GB }
`
)

// pair is a hub and a leaf below it.
type pair struct {
	hub, leaf *server
	atHub     *nats.Conn
	atLeaf    *nats.Conn
}

// startPair runs a hub and a leaf of the given binaries, and returns once they
// are linked.
func startPair(ctx context.Context, t *testing.T, hub, leaf string) *pair {
	t.Helper()
	p := &pair{hub: startServer(ctx, t, hub, hubConf)}
	p.leaf = startServer(ctx, t, leaf, fmt.Sprintf(leafConf, p.hub.leafPort))
	p.atHub, p.atLeaf = connect(t, p.hub), connect(t, p.leaf)
	p.waitLinked(ctx, t)
	return p
}

// restartLeaf restarts the leaf as another binary, and returns once it is linked.
func (p *pair) restartLeaf(ctx context.Context, t *testing.T, binary string) {
	t.Helper()
	p.leaf.restart(binary)
	p.waitLinked(ctx, t)
}

func (p *pair) waitLinked(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, subject := range []string{"$JS.API.INFO", "$JS.hub.API.INFO"} {
		linked := tryFor(ctx, longTimeout, func() bool {
			_, err := p.atLeaf.Request(subject, nil, time.Second)
			return err == nil
		})
		if !linked {
			t.Fatalf("no responders %s at the leaf", subject)
		}
	}
}

// connect connects to a server until the test ends, across its restarts.
func connect(t *testing.T, s *server) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.url(), nats.MaxReconnects(-1), nats.ReconnectWait(pollInterval))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}
