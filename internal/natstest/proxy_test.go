package natstest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// proxied runs a plain server that answers requests to echo.> with what they
// say, and a proxy in front of it.
func proxied(t *testing.T) (*Server, *Proxy) {
	t.Helper()
	s, err := Start("listen: 127.0.0.1:-1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	nc := connect(t, s.URL())
	if _, err := nc.Subscribe("echo.>", func(m *nats.Msg) { m.RespondMsg(&nats.Msg{Data: m.Data, Header: m.Header}) }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	p := ProxyTo(t, s)
	return s, p
}

func ask(nc *nats.Conn, subject, payload string) error {
	_, err := nc.Request(subject, []byte(payload), startTimeout)
	return err
}

func TestProxyCountsRounds(t *testing.T) {
	t.Parallel()
	_, p := proxied(t)
	nc := connect(t, p.URL())

	for _, payload := range []string{"1", "2"} {
		if err := ask(nc, "echo.one", payload); err != nil {
			t.Fatal(err)
		}
	}
	tr := p.Traffic()
	if tr.Rounds() != 2 || tr.Count("echo.*") != 2 || tr.Count("echo.two") != 0 {
		t.Errorf("two requests, one after the other: %+v", tr)
	}
	if r := tr.Requests[1]; r.Subject != "echo.one" || string(r.Payload) != "2" || r.Round != 2 || !r.Answered {
		t.Errorf("second request: %+v", r)
	}
	if tr.BytesToServer == 0 || tr.BytesToClient == 0 {
		t.Errorf("bytes: %+v", tr)
	}

	p.Reset()
	if tr := p.Traffic(); tr.Rounds() != 0 || len(tr.Requests) != 0 || tr.BytesToClient != 0 {
		t.Errorf("after reset: %+v", tr)
	}
	p.SetDelay(100 * time.Millisecond)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := ask(nc, "echo.two", ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if tr := p.Traffic(); tr.Rounds() != 1 || tr.Count("echo.>") != 2 {
		t.Errorf("two requests, side by side: %+v", tr)
	}
}

func TestProxyDelays(t *testing.T) {
	t.Parallel()
	_, p := proxied(t)
	nc := connect(t, p.URL())
	const oneWay, requests = 100 * time.Millisecond, 600
	p.SetDelay(oneWay)

	replies, err := nc.SubscribeSync("replies")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for i := range requests {
		if err := nc.PublishRequest("echo.one", "replies", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range requests {
		m, err := replies.NextMsg(startTimeout)
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("reply %d is %s", i, m.Data)
		}
	}
	took := time.Since(start)
	if took < 2*oneWay {
		t.Errorf("there and back in %v", took)
	}
	// Far from any machine's speed, but nearer than delays added up.
	if took > requests*oneWay {
		t.Errorf("%d requests at once took %v", requests, took)
	}
}

func TestProxyHook(t *testing.T) {
	t.Parallel()
	_, p := proxied(t)
	nc := connect(t, p.URL(), nats.NoReconnect())

	var mu sync.Mutex
	var seen []Message
	p.SetHook(func(m Message) Verdict {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, m)
		switch {
		case m.Direction == ToClient && string(m.Payload) == "lose the answer":
			return Drop
		case m.Direction == ToServer && string(m.Payload) == "lose the request":
			return Drop
		case m.Direction == ToClient && string(m.Payload) == "cut the answer":
			return Cut
		}
		return Pass
	})

	msg := nats.NewMsg("echo.one")
	msg.Header.Set("Color", "red")
	msg.Data = []byte("hello\r\n")
	reply, err := nc.RequestMsg(msg, startTimeout)
	if err != nil {
		t.Fatal(err)
	}
	if string(reply.Data) != "hello\r\n" || reply.Header.Get("Color") != "red" {
		t.Errorf("reply: %q, %v", reply.Data, reply.Header)
	}
	mu.Lock()
	if len(seen) != 2 {
		t.Fatalf("messages seen: %+v", seen)
	}
	for i, m := range seen {
		if m.Direction != Direction(i) || string(m.Payload) != "hello\r\n" || !strings.HasPrefix(string(m.Header), "NATS/1.0\r\nColor: red\r\n") {
			t.Errorf("message seen: %+v", m)
		}
	}
	if seen[0].Subject != "echo.one" || seen[0].Reply == "" || seen[1].Subject != seen[0].Reply {
		t.Errorf("messages seen: %+v", seen)
	}
	mu.Unlock()

	for _, test := range []struct {
		payload  string
		requests int
	}{{"lose the answer", 1}, {"lose the request", 0}} {
		p.Reset()
		if _, err := nc.Request("echo.one", []byte(test.payload), 100*time.Millisecond); !errors.Is(err, nats.ErrTimeout) {
			t.Errorf("%s: %v", test.payload, err)
		}
		tr := p.Traffic()
		if len(tr.Requests) != test.requests {
			t.Errorf("%s: %+v", test.payload, tr)
		}
		for _, r := range tr.Requests {
			if r.Answered {
				t.Errorf("%s: answered", test.payload)
			}
		}
		// A lost message loses nothing else.
		if err := ask(nc, "echo.one", "hello"); err != nil {
			t.Errorf("after %s: %v", test.payload, err)
		}
	}

	closed := make(chan struct{})
	nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
	if _, err := nc.Request("echo.one", []byte("cut the answer"), startTimeout); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("cut: %v", err)
	}
	<-closed
}

func TestProxyCutsAndRefuses(t *testing.T) {
	t.Parallel()
	_, p := proxied(t)
	var reconnects atomic.Int32
	lost, back := make(chan struct{}, 1), make(chan struct{}, 1)
	nc := connect(t, p.URL(), nats.ReconnectWait(10*time.Millisecond), nats.MaxReconnects(-1),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { lost <- struct{}{} }),
		nats.ReconnectHandler(func(*nats.Conn) { reconnects.Add(1); back <- struct{}{} }))
	if err := ask(nc, "echo.one", ""); err != nil {
		t.Fatal(err)
	}

	p.Refuse(true)
	if _, err := nats.Connect(p.URL()); err == nil {
		t.Error("connected while refused")
	}
	if err := ask(nc, "echo.one", ""); err != nil {
		t.Errorf("connection of before: %v", err)
	}
	p.CutAll()
	<-lost
	p.Refuse(false)
	<-back
	if err := ask(nc, "echo.one", ""); err != nil {
		t.Error(err)
	}
	if url := nc.ConnectedUrl(); url != p.URL() || reconnects.Load() != 1 {
		t.Errorf("reconnected %d times, last to %s", reconnects.Load(), url)
	}

	p.Close()
	p.Close()
	<-lost
}

// A client that knew the servers behind the proxy would go around it.
func TestProxyHidesServers(t *testing.T) {
	t.Parallel()
	servers, err := Cluster(2, "ksds")
	if err != nil {
		t.Fatal(err)
	}
	defer stopAll(servers...)
	if len(connect(t, servers[0].URL()).DiscoveredServers()) == 0 {
		t.Fatal("the servers do not tell of each other")
	}
	p := ProxyTo(t, servers[0])
	if urls := connect(t, p.URL()).DiscoveredServers(); len(urls) > 0 {
		t.Errorf("servers discovered through the proxy: %v", urls)
	}
}

func TestProxyCopiesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	hub, err := Start(hubConf())
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Stop()
	p, err := NewProxy(hub.LeafAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	leaf, err := Start(leafConf("nats-leaf://" + p.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer leaf.Stop()
	if err := waitAnswer(connect(t, leaf.URL()), "$JS.hub.API.INFO"); err != nil {
		t.Fatal(err)
	}

	// Bytes without any line end are not waited for to become a line.
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		conn, err := echo.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b, _ := bufio.NewReader(conn).ReadByte()
		conn.Write([]byte{b})
	}()
	raw, err := NewProxy(echo.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn, err := net.Dial("tcp", raw.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(startTimeout))
	if _, err := conn.Write([]byte{0x16}); err != nil {
		t.Fatal(err)
	}
	if b, err := bufio.NewReader(conn).ReadByte(); err != nil || b != 0x16 {
		t.Errorf("echo of 0x16: %#x, %v", b, err)
	}
}

func TestParseFrame(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		line string
		want frame
		ok   bool
	}{
		{"PUB a 5\r\n", frame{"a", "", 9, 0, 5}, true},
		{"pub a  r 5\r\n", frame{"a", "r", 12, 0, 5}, true},
		{"HPUB a 12 17\r\n", frame{"a", "", 14, 12, 17}, true},
		{"HPUB a r 12 17\r\n", frame{"a", "r", 16, 12, 17}, true},
		{"MSG a 1 5\r\n", frame{"a", "", 11, 0, 5}, true},
		{"MSG a 1 r 5\r\n", frame{"a", "r", 13, 0, 5}, true},
		{"HMSG a 1 12 17\r\n", frame{"a", "", 16, 12, 17}, true},
		{"HMSG a 1 r 12 17\r\n", frame{"a", "r", 18, 12, 17}, true},
		{"PUB 5\r\n", frame{}, false},
		{"PUB a b c 5\r\n", frame{}, false},
		{"PUB a -5\r\n", frame{}, false},
		{"PUB a 999999999999\r\n", frame{}, false},
		{"HPUB a 17 12\r\n", frame{}, false},
		{"MSG a x\r\n", frame{}, false},
	} {
		op, _, _ := strings.Cut(strings.ToUpper(test.line), " ")
		f, err := parseFrame(op, []byte(test.line))
		if (err == nil) != test.ok || test.ok && f != test.want {
			t.Errorf("%q: %+v, %v", test.line, f, err)
		}
	}
}
