package natstest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Direction is the way that a message goes.
type Direction int

const (
	// ToServer is from the client to the server.
	ToServer Direction = iota
	// ToClient is from the server to the client.
	ToClient
)

// Message is one message seen by a Proxy: a PUB or HPUB on its way to the
// server, a MSG or HMSG on its way to the client. Header is as it is on the
// wire, with its status line, and nil without one; Payload does not include it.
// The bytes may be kept, but not changed.
type Message struct {
	Direction       Direction
	Subject, Reply  string
	Header, Payload []byte
}

// Verdict is what becomes of a message.
type Verdict int

const (
	// Pass lets the message go on.
	Pass Verdict = iota
	// Drop swallows the message. All that follows it goes on.
	Drop
	// Cut closes the connection in place of passing the message. What came
	// before it arrives.
	Cut
)

// Traffic is what has passed a Proxy since its last Reset. Messages that were
// dropped or cut off are not in it.
type Traffic struct {
	// Requests are in the order of their arrival. The proxy of a link sees none.
	Requests []Request
	// BytesToServer and BytesToClient count all bytes of the connections,
	// protocol included.
	BytesToServer, BytesToClient int64
}

// Request is one message with a reply subject that a client published.
type Request struct {
	Subject string
	Payload []byte
	// Round is 1 more than the highest Round of the requests that the proxy had
	// passed an answer of to their client before this one arrived.
	Round int
	// Answered says that an answer has been passed to the client.
	Answered bool
}

// Rounds is the length of the longest chain of requests of which each was sent
// after an answer to an earlier one: how many round trips the requests cost.
// The round trips of connecting and flushing are not in it.
func (t Traffic) Rounds() int {
	rounds := 0
	for _, r := range t.Requests {
		rounds = max(rounds, r.Round)
	}
	return rounds
}

// Count is the number of requests whose subject matches a pattern, which may
// hold the wildcards * and >.
func (t Traffic) Count(pattern string) int {
	n := 0
	for _, r := range t.Requests {
		if server.SubjectMatchesFilter(r.Subject, pattern) {
			n++
		}
	}
	return n
}

// Proxy is a TCP proxy in front of one server. It understands what NATS clients
// and servers say to each other, and copies what anybody else says unseen. It
// is safe for concurrent use.
type Proxy struct {
	target string
	scheme string
	link   bool // copies only, without parsing
	ln     net.Listener
	wg     sync.WaitGroup // the accept loop and all connections

	ctx    context.Context // ends with Close; aborts dials
	cancel context.CancelFunc

	mu     sync.Mutex
	conns  map[*proxyConn]struct{}
	refuse bool
	delay  time.Duration
	hook   func(Message) Verdict

	traffic  Traffic
	waiting  map[string]int // reply subject to index of its unanswered request
	answered int            // highest Round of the answered requests
}

// NewProxy listens on a free port of 127.0.0.1 for clients of the server at
// target, a host:port. Clients do not learn of it: the server's connect_urls
// are withheld from them, so that they reconnect through the proxy as well.
// A connection that does not turn out to be a client's is copied unseen, as by
// NewLinkProxy.
func NewProxy(target string) (*Proxy, error) {
	return newProxy(target, "nats://", false)
}

// TB is what a helper needs of a test or a benchmark. It is not testing.TB, as the demo
// links this package.
type TB interface {
	Helper()
	Fatal(args ...any)
	Cleanup(func())
}

// ProxyTo is a proxy in front of a server, for as long as a test runs.
func ProxyTo(tb TB, s *Server) *Proxy {
	tb.Helper()
	p, err := NewProxy(s.Addr())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Close)
	return p
}

// NewLinkProxy is NewProxy for leafnode connections, or any others: bytes are
// counted and delayed, and connections are cut and refused, but messages are
// not seen. The server at target must not advertise its leafnode address
// (no_advertise), or leaves will reconnect past the proxy.
func NewLinkProxy(target string) (*Proxy, error) {
	return newProxy(target, "nats-leaf://", true)
}

func newProxy(target, scheme string, link bool) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{
		target:  target,
		scheme:  scheme,
		link:    link,
		ln:      ln,
		conns:   make(map[*proxyConn]struct{}),
		waiting: make(map[string]int),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p, nil
}

// URL is where to connect instead of the server: nats://127.0.0.1:port, or
// nats-leaf://127.0.0.1:port for the proxy of a link.
func (p *Proxy) URL() string { return p.scheme + p.Addr() }

// Addr is the host:port of URL.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Close closes all connections, takes no more, and returns once the hook will
// not be called again; a hook must not call it. It may be called twice.
func (p *Proxy) Close() {
	p.Refuse(true)
	p.cancel()
	p.ln.Close()
	p.CutAll()
	p.wg.Wait()
}

// SetDelay makes every byte that arrives from now on take oneWay longer, in
// each direction; a request and its answer take twice that. Bytes are delayed
// side by side, as by a long cable, and stay in order. Establishing the TCP
// connection is not delayed.
func (p *Proxy) SetDelay(oneWay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = oneWay
}

// SetHook makes hook decide about each message when it arrives; nil passes all.
// It is called from several goroutines, and holds up its connection's direction
// while it runs.
func (p *Proxy) SetHook(hook func(Message) Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = hook
}

// CutAll closes all connections at once; what they have not yet passed is lost.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.close()
	}
}

// Refuse makes the proxy close new connections as soon as they are made, until
// it is called with false. Those there are go on.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// Traffic is what has passed since the last Reset, or since the start.
func (p *Proxy) Traffic() Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.traffic
	t.Requests = slices.Clone(t.Requests)
	return t
}

// Reset forgets all traffic. Answers to requests from before it count for
// nothing.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traffic = Traffic{}
	clear(p.waiting)
	p.answered = 0
}

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

// serve connects client to the target and returns once both are closed.
func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	if p.refused() {
		return
	}
	var dialer net.Dialer
	srv, err := dialer.DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		return
	}
	defer srv.Close()

	c := &proxyConn{proxy: p, client: client, server: srv, done: make(chan struct{})}
	c.opaque.Store(p.link)
	if !p.add(c) {
		return
	}
	defer p.remove(c)
	c.run()
}

func (p *Proxy) refused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refuse
}

// add makes c known to CutAll, unless connections are refused by now: of a
// Refuse and a CutAll after it nothing may be left that was dialling.
func (p *Proxy) add(c *proxyConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) remove(c *proxyConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// due is when bytes that arrive now are to go on.
func (p *Proxy) due() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.delay)
}

// verdict asks the hook about a message that has arrived, and notes it if it is
// a request that passes.
func (p *Proxy) verdict(m Message) Verdict {
	p.mu.Lock()
	hook := p.hook
	round := p.answered + 1 // by now, not by when the hook returns
	p.mu.Unlock()

	if hook != nil {
		if v := hook(m); v != Pass {
			return v
		}
	}
	if m.Direction != ToServer || m.Reply == "" {
		return Pass
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[m.Reply] = len(p.traffic.Requests)
	p.traffic.Requests = append(p.traffic.Requests, Request{Subject: m.Subject, Payload: m.Payload, Round: round})
	return Pass
}

// passing notes that c is about to go on. It must not come after the fact: a
// client that has its answer may look at Traffic or send its next request at
// once.
func (p *Proxy) passing(dir Direction, c chunk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if dir == ToServer {
		p.traffic.BytesToServer += int64(len(c.data))
		return
	}
	p.traffic.BytesToClient += int64(len(c.data))
	if i, ok := p.waiting[c.subject]; ok {
		delete(p.waiting, c.subject)
		r := &p.traffic.Requests[i]
		r.Answered = true
		p.answered = max(p.answered, r.Round)
	}
}
