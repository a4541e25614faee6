package natstest

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// proxyConn is one connection through a Proxy.
type proxyConn struct {
	proxy          *Proxy
	client, server net.Conn

	// opaque is set when the connection is found not to be a client's. It is
	// set before the bytes that showed it go on, so the answer to them is not
	// parsed either.
	opaque atomic.Bool

	closing sync.Once
	done    chan struct{} // closed by close
}

// run passes bytes both ways until the connection is closed.
func (c *proxyConn) run() {
	toServer, toClient := newQueue(), newQueue()
	var wg sync.WaitGroup
	wg.Go(func() { c.read(ToServer, c.client, toServer) })
	wg.Go(func() { c.read(ToClient, c.server, toClient) })
	wg.Go(func() { c.write(ToServer, toServer, c.server) })
	wg.Go(func() { c.write(ToClient, toClient, c.client) })
	wg.Wait()
}

// close closes both sides at once. It may be called twice.
func (c *proxyConn) close() {
	c.closing.Do(func() {
		close(c.done)
		c.client.Close()
		c.server.Close()
	})
}

// read queues what comes from src until it ends.
func (c *proxyConn) read(dir Direction, src io.Reader, q *queue) {
	r := bufio.NewReaderSize(src, 64<<10)
	if c.readProtocol(dir, r, q) {
		c.readOpaque(r, q)
	}
	q.push(chunk{due: c.proxy.due(), last: true})
}

// readOpaque queues bytes as they come.
func (c *proxyConn) readOpaque(r io.Reader, q *queue) {
	for {
		buf := make([]byte, 32<<10)
		n, err := r.Read(buf)
		if n > 0 {
			q.push(chunk{due: c.proxy.due(), data: buf[:n]})
		}
		if err != nil {
			return
		}
	}
}

// readProtocol queues the operations of the NATS client protocol. It reports
// true if what is left in r must be copied unseen, false if nothing more is to
// be passed.
func (c *proxyConn) readProtocol(dir Direction, r *bufio.Reader, q *queue) bool {
	for first := true; ; first = false {
		op, err := peekOp(r)
		if err != nil || c.opaque.Load() {
			return true
		}
		if !known(dir, op) || (dir == ToServer && first && op != "CONNECT") {
			c.opaque.Store(true)
			return true
		}
		data, err := r.ReadBytes('\n')
		if err != nil {
			return false
		}

		var subject string
		switch op {
		case "CONNECT":
			if !fromClient(data) {
				c.opaque.Store(true)
			}
		case "INFO":
			data = withoutURLs(data)
		case "PUB", "HPUB", "MSG", "HMSG":
			f, err := parseFrame(op, data)
			if err != nil {
				c.opaque.Store(true)
				break
			}
			if data, err = f.readBody(r, data); err != nil {
				return false
			}
			m := f.message(dir, data)
			switch c.proxy.verdict(m) {
			case Drop:
				continue
			case Cut:
				return false
			}
			subject = m.Subject
		}
		q.push(chunk{due: c.proxy.due(), data: data, subject: subject})
	}
}

// write passes chunks of q on to dst when they are due, until the last one or
// until c is closed.
func (c *proxyConn) write(dir Direction, q *queue, dst io.Writer) {
	defer c.close()
	w := bufio.NewWriter(dst)
	for {
		select {
		case <-c.done:
			return
		case <-q.filled:
		}
		for _, ch := range q.takeAll() {
			if time.Until(ch.due) > 0 && (w.Flush() != nil || !c.sleepUntil(ch.due)) {
				return
			}
			if ch.last {
				w.Flush()
				return
			}
			c.proxy.passing(dir, ch)
			if _, err := w.Write(ch.data); err != nil {
				return
			}
		}
		if w.Flush() != nil {
			return
		}
	}
}

// sleepUntil waits until t and reports false if c was closed before.
func (c *proxyConn) sleepUntil(t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-c.done:
		return false
	case <-timer.C:
		return true
	}
}

// chunk is something to be passed on when it is due.
type chunk struct {
	due     time.Time
	data    []byte
	subject string // of the message that it is, if any
	last    bool   // the connection is to be closed instead
}

// queue holds the chunks of one direction. It has no limit: a reader that
// waited for room would let delays add up.
type queue struct {
	mu     sync.Mutex
	chunks []chunk
	filled chan struct{} // holds a token if there may be chunks
}

func newQueue() *queue { return &queue{filled: make(chan struct{}, 1)} }

func (q *queue) push(c chunk) {
	q.mu.Lock()
	q.chunks = append(q.chunks, c)
	q.mu.Unlock()
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

func (q *queue) takeAll() []chunk {
	q.mu.Lock()
	defer q.mu.Unlock()
	chunks := q.chunks
	q.chunks = nil
	return chunks
}
