// Package natstest runs real nats-servers inside this process, alone or wired
// together as the sites that a mirror lives in, and puts a [Proxy] between
// them or in front of them to count, delay, lose or cut what passes.
//
// It serves the demo command and the tests. Nothing in it outlives its Stop or
// Close: no goroutine, no port, no file.
package natstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// startTimeout bounds each wait for a server or a topology to get ready; on a
	// busy machine some take long.
	startTimeout = time.Minute
	// pollInterval is how often a condition that cannot be subscribed to is
	// read.
	pollInterval = 10 * time.Millisecond
)

var errStopped = errors.New("server is stopped and its files are removed")

// Server is one nats-server running in this process; its files lie in a
// temporary directory that Stop removes. It is safe for concurrent use.
type Server struct {
	dir  string // holds all files of the server
	file string // configuration, in dir

	// The ports are those that the first start got. They never change after
	// it, so that clients find a restarted server where they left it.
	port, leafPort, clusterPort int

	tooLarge atomic.Int64 // messages

	mu      sync.Mutex
	srv     *server.Server
	running bool
	stopped bool
}

// Start runs a server from conf, in nats-server's own syntax, and returns once
// it accepts connections, with JetStream enabled if conf asks for it. Each
// {{dir}} in conf stands for the server's JetStream store directory.
//
// conf should listen on 127.0.0.1:-1, which takes a free port. The error is
// what the server itself gave as the reason, or that it was not ready within
// a minute; nothing is left behind then.
func Start(conf string) (*Server, error) {
	dir, err := os.MkdirTemp("", "natstest-")
	if err != nil {
		return nil, fmt.Errorf("server directory: %w", err)
	}
	s := &Server{dir: dir, file: filepath.Join(dir, "server.conf")}

	store := filepath.ToSlash(filepath.Join(dir, "js"))
	conf = strings.ReplaceAll(conf, "{{dir}}", store)
	if err := os.WriteFile(s.file, []byte(conf), 0o600); err != nil {
		s.Stop()
		return nil, fmt.Errorf("server configuration: %w", err)
	}
	if err := s.start(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// URL is where clients connect: nats://127.0.0.1:port. It holds across
// Restart and Shutdown.
func (s *Server) URL() string { return "nats://" + s.Addr() }

// Addr is the host:port of URL.
func (s *Server) Addr() string { return loopback(s.port) }

// LeafURL is where leafnodes connect: nats-leaf://127.0.0.1:port, or "" when
// the server takes none.
func (s *Server) LeafURL() string {
	if s.leafPort == 0 {
		return ""
	}
	return "nats-leaf://" + s.LeafAddr()
}

// LeafAddr is the host:port of LeafURL, or "" when the server takes no
// leafnodes.
func (s *Server) LeafAddr() string {
	if s.leafPort == 0 {
		return ""
	}
	return loopback(s.leafPort)
}

// Underlying is the nats-server itself. After a Restart it is another one;
// after Shutdown or Stop it is the one that was shut down.
func (s *Server) Underlying() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.srv
}

// TooLarge is how many connections, of clients or of leafnodes, the server has closed
// because a message was larger than max_payload.
func (s *Server) TooLarge() int64 { return s.tooLarge.Load() }

// Restart shuts the server down if it runs, and starts it again on the same
// ports with the same store. Where somebody else has taken one meanwhile, it waits
// for a minute until it is free. It fails as Start does, and on a stopped server;
// after a failure the server is down and Restart may be tried again.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shutdown()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(pollInterval) {
		if err := s.start(); err == nil || !isPortTaken(err) || time.Now().After(deadline) {
			return err
		}
	}
}

// Shutdown takes the server down and returns once it is; its files stay, and
// Restart brings it back. It does nothing to a server that is down.
func (s *Server) Shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shutdown()
}

// Stop shuts the server down and removes its files. It may be called twice.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shutdown()
	s.stopped = true

	// A store may flush a last file while its directory is being removed.
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	_ = waitFor(ctx, "removed files", func() bool { return os.RemoveAll(s.dir) == nil })
}

// start runs a new nats-server. s.mu is held, or s is not yet shared.
func (s *Server) start() error {
	if s.stopped {
		return errStopped
	}
	opts, err := server.ProcessConfigFile(s.file)
	if err != nil {
		return fmt.Errorf("server configuration: %w", err)
	}
	opts.NoLog, opts.NoSigs = true, true
	s.keepPorts(opts)

	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	fatal := make(chan string, 1)
	srv.SetLogger(logger{fatal, &s.tooLarge}, false, false)
	srv.Start()
	if err := waitReady(srv, opts.JetStream, fatal); err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return err
	}

	s.srv, s.running = srv, true
	if s.port == 0 {
		// The server writes the ports it got into its options.
		s.port, s.leafPort, s.clusterPort = opts.Port, opts.LeafNode.Port, opts.Cluster.Port
	}
	return nil
}

// keepPorts makes opts ask for the ports of the first start, if there was one.
func (s *Server) keepPorts(opts *server.Options) {
	if s.port == 0 {
		return
	}
	opts.Port = s.port
	opts.LeafNode.Port = s.leafPort
	opts.Cluster.Port = s.clusterPort
}

// shutdown takes a running server down. s.mu is held.
func (s *Server) shutdown() {
	if !s.running {
		return
	}
	s.running = false
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

// waitReady waits until srv takes connections, or has said why it cannot.
func waitReady(srv *server.Server, jetStream bool, fatal <-chan string) error {
	deadline := time.Now().Add(startTimeout)
	for {
		// A server whose start failed is never ready, so its last words are
		// looked for first.
		select {
		case msg := <-fatal:
			return fmt.Errorf("server: %s", msg)
		default:
		}
		if srv.ReadyForConnections(5 * pollInterval) {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("server: not ready after %v", startTimeout)
		}
	}
	if jetStream && !srv.JetStreamEnabled() {
		return errors.New("server: jetstream is not enabled")
	}
	return nil
}

// logger keeps the first fatal message of a server's log, and counts what it says of
// messages that are too large: a server run in-process says in no other way why it did
// not start, or why it closed a connection.
type logger struct {
	fatal    chan<- string
	tooLarge *atomic.Int64
}

func (l logger) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}

func (l logger) Errorf(format string, v ...any) {
	if strings.Contains(fmt.Sprintf(format, v...), server.ErrMaxPayload.Error()) {
		l.tooLarge.Add(1)
	}
}

func (logger) Noticef(string, ...any) {}
func (logger) Warnf(string, ...any)   {}
func (logger) Debugf(string, ...any)  {}
func (logger) Tracef(string, ...any)  {}

// waitFor polls until ok, or fails when ctx ends, naming what it waited for.
func waitFor(ctx context.Context, what string, ok func() bool) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// isPortTaken says that a server did not start because somebody listens on its port.
// It says so in words only, the operating system's.
func isPortTaken(err error) bool {
	return strings.Contains(err.Error(), "address already in use") ||
		strings.Contains(err.Error(), "Only one usage of each socket address") // Windows
}

func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
