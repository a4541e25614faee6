package jsapi

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/natstest"
)

// listen listens until the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// silent is the address of a server that lets clients connect and says nothing:
// the system accepts for it.
func silent(t *testing.T) string {
	t.Helper()
	return "nats://" + listen(t).Addr().String()
}

// Servers that say nothing cost one timeout together, and not one each.
func TestSilentServers(t *testing.T) {
	slow(t)
	t.Parallel()
	const timeout = 3 * time.Second
	begin := time.Now()
	_, err := Connect(t.Context(), strings.Join([]string{silent(t), silent(t), silent(t)}, ","), timeout, nil)
	took := time.Since(begin)
	if !errors.Is(err, ErrTimeout) {
		t.Errorf("it failed with %v", err)
	}
	if took > 2*timeout {
		t.Errorf("it took %v with a timeout of %v", took, timeout)
	}
}

// Of several servers one that is silent leaves time for the others.
func TestSilentServerBeforeAnother(t *testing.T) {
	slow(t)
	t.Parallel()
	s, err := natstest.Start("listen: 127.0.0.1:-1\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	const timeout = 8 * time.Second
	begin := time.Now()
	c, err := Connect(t.Context(), silent(t)+","+s.URL(), timeout, nil, nats.DontRandomize())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if took := time.Since(begin); took > timeout {
		t.Errorf("it took %v with a timeout of %v", took, timeout)
	}
}

// A connection that comes when nobody waits for it any more is closed.
func TestLateConnectionIsClosed(t *testing.T) {
	t.Parallel()
	s, err := natstest.Start("listen: 127.0.0.1:-1\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	ln := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := Connect(ctx, "nats://"+ln.Addr().String(), time.Minute, nil)
		failed <- err
	}()
	client, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("it failed with %v", err)
	}

	// Only now does the server speak.
	server, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() { _, _ = io.Copy(client, server) }()
	if err := client.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(server, client); err != nil {
		t.Errorf("the client does not go: %v", err)
	}
}
