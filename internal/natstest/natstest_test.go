package natstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	t.Cleanup(cancel)
	return ctx
}

func connect(t *testing.T, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, append(opts, nats.Timeout(startTimeout))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func jetStream(t *testing.T, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(startTimeout))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func bucket(t *testing.T, js jetstream.JetStream, replicas int) jetstream.KeyValue {
	t.Helper()
	kv, err := js.CreateKeyValue(testContext(t), jetstream.KeyValueConfig{Bucket: "demo", Replicas: replicas})
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

func put(t *testing.T, kv jetstream.KeyValue, key, value string) {
	t.Helper()
	if _, err := kv.PutString(testContext(t), key, value); err != nil {
		t.Fatal(err)
	}
}

// mirror makes the stream KV_m a mirror of KV_demo, which is behind the given
// prefixes or, without any, in the same place.
func mirror(t *testing.T, js jetstream.JetStream, api, deliver string) jetstream.Stream {
	t.Helper()
	origin := &jetstream.StreamSource{Name: "KV_demo"}
	if api != "" {
		origin.External = &jetstream.ExternalStream{APIPrefix: api, DeliverPrefix: deliver}
	}
	s, err := js.CreateStream(testContext(t), jetstream.StreamConfig{
		Name:              "KV_m",
		MaxMsgsPerSubject: 1,
		AllowDirect:       true,
		MirrorDirect:      true,
		Mirror:            origin,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// waitValue waits until key of the bucket demo has value in stream.
func waitValue(t *testing.T, stream jetstream.Stream, key, value string) {
	t.Helper()
	ctx := testContext(t)
	err := waitFor(ctx, key+" in the mirror", func() bool {
		m, err := stream.GetLastMsgForSubject(ctx, "$KV.demo."+key)
		return err == nil && string(m.Data) == value
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHubAndLeaf(t *testing.T) {
	t.Parallel()
	sites, err := HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	defer sites.Stop()
	if url := sites.Leaf.LeafURL(); url != "" {
		t.Errorf("leaf takes leafnodes at %s", url)
	}

	hub := bucket(t, jetStream(t, connect(t, sites.Hub.URL())), 1)
	put(t, hub, "color", "red")
	leaf := mirror(t, jetStream(t, connect(t, sites.Leaf.URL())), "$JS.hub.API", "")
	waitValue(t, leaf, "color", "red")
}

func TestRestartKeepsDataAndPorts(t *testing.T) {
	t.Parallel()
	s, err := Start(hubConf())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	put(t, bucket(t, jetStream(t, connect(t, s.URL())), 1), "color", "red")
	url, leafURL, before := s.URL(), s.LeafURL(), s.Underlying()

	s.Shutdown()
	s.Shutdown()
	if _, err := nats.Connect(url); err == nil {
		t.Error("connected to a server that is down")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if s.URL() != url || s.LeafURL() != leafURL {
		t.Errorf("restarted at %s, %s; was at %s, %s", s.URL(), s.LeafURL(), url, leafURL)
	}
	if s.Underlying() == before {
		t.Error("it is the server of before")
	}
	kv, err := jetStream(t, connect(t, url)).KeyValue(testContext(t), "demo")
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(testContext(t), "color")
	if err != nil || string(e.Value()) != "red" {
		t.Errorf("after restart: %v, %v", e, err)
	}

	s.Stop()
	if err := s.Restart(); !errors.Is(err, errStopped) {
		t.Errorf("restart after stop: %v", err)
	}
}

// A port that somebody else has taken is waited for.
func TestPortIsTaken(t *testing.T) {
	t.Parallel()
	s, err := Start("listen: 127.0.0.1:-1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	s.Shutdown()
	squatter, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	restarted := make(chan error, 1)
	go func() { restarted <- s.Restart() }()
	if other, err := Start("listen: " + s.Addr()); err == nil {
		other.Stop()
		t.Error("a second server listens on the same port")
	} else if !isPortTaken(err) {
		t.Errorf("it is not seen that the port is taken: %v", err)
	}
	select {
	case err := <-restarted:
		t.Errorf("it restarted on a port that is taken: %v", err)
	default:
	}
	if err := squatter.Close(); err != nil {
		t.Error(err)
	}
	if err := <-restarted; err != nil {
		t.Error(err)
	}
}

// Not parallel: it counts the files in the temporary directory.
func TestNothingIsLeftBehind(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)

	sites, err := HubAndLeaf()
	if err != nil {
		t.Fatal(err)
	}
	put(t, bucket(t, jetStream(t, connect(t, sites.Hub.URL())), 1), "color", "red")
	busy := sites.Hub.Addr()

	for name, conf := range map[string]string{
		"syntax":    "listen: {",
		"port":      "listen: \"" + busy + "\"\n" + jetStreamConf(""),
		"jetstream": "listen: 127.0.0.1:-1\njetstream { store_dir: \"/dev/null/js\" }",
	} {
		start := time.Now()
		s, err := Start(conf)
		if err == nil {
			s.Stop()
			t.Errorf("%s: started", name)
			continue
		}
		if msg := err.Error(); strings.Contains(msg, "not ready") || time.Since(start) > startTimeout {
			t.Errorf("%s: reason is not told: %v", name, err)
		}
	}

	sites.Stop()
	sites.Stop()
	left, err := os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("left behind: %s", e.Name())
	}
}

func TestHubAndLeafVia(t *testing.T) {
	t.Parallel()
	sites, link, err := HubAndLeafVia()
	if err != nil {
		t.Fatal(err)
	}
	defer sites.Stop()
	if tr := link.Traffic(); tr.BytesToServer == 0 || tr.BytesToClient == 0 || len(tr.Requests) > 0 {
		t.Errorf("traffic of the link: %+v", tr)
	}

	nc := connect(t, sites.Leaf.URL())
	link.Refuse(true)
	link.CutAll()
	ctx := testContext(t)
	err = waitFor(ctx, "a cut link", func() bool {
		_, err := nc.Request("$JS.hub.API.INFO", nil, 250*time.Millisecond)
		return errors.Is(err, nats.ErrNoResponders)
	})
	if err != nil {
		t.Fatal(err)
	}
	link.Refuse(false)
	if err := waitAnswer(nc, "$JS.hub.API.INFO"); err != nil {
		t.Fatal(err)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		kind     AccountsKind
		readable bool
		stalls   bool
	}{
		{"all", CrossAccount, true, false},
		{"unreadable", CrossAccountUnreadable, false, false},
		{"no flow control", CrossAccountNoFlowControl, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := Accounts(test.kind)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			a := jetStream(t, connect(t, s.URL(), nats.UserInfo("a", "a")))
			kv := bucket(t, a, 1)
			const keys = 2000
			value := strings.Repeat("x", 1024)
			for i := range keys {
				if _, err := a.PublishAsync(fmt.Sprintf("$KV.demo.%d", i), []byte(value), jetstream.WithStallWait(time.Minute)); err != nil {
					t.Fatal(err)
				}
			}
			<-a.PublishAsyncComplete()
			put(t, kv, "last", "red")

			nc := connect(t, s.URL(), nats.UserInfo("b", "b"))
			m := mirror(t, jetStream(t, nc), "JS.A.API", "deliver.B")
			if test.stalls {
				ctx := testContext(t)
				var copied uint64
				err := waitFor(ctx, "a stalled mirror", func() bool {
					info, err := m.Info(ctx)
					if err != nil {
						return false
					}
					copied = info.State.LastSeq
					return copied > 0 && info.Mirror.Error != nil
				})
				if err != nil || copied > keys {
					t.Errorf("mirror of %d messages has %d: %v", keys+1, copied, err)
				}
			} else {
				waitValue(t, m, "last", "red")
			}

			_, err = nc.Request("JS.A.API.STREAM.INFO.KV_demo", nil, time.Second)
			if readable := err == nil; readable != test.readable {
				t.Errorf("origin readable: %v, %v", readable, err)
			}
		})
	}
}

func TestRestricted(t *testing.T) {
	t.Parallel()
	sites, err := Restricted()
	if err != nil {
		t.Fatal(err)
	}
	defer sites.Stop()

	read := func(user string) (string, error) {
		ctx, cancel := context.WithCancelCause(testContext(t))
		defer cancel(nil)
		nc := connect(t, sites.Leaf.URL(), nats.UserInfo(user, user),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { cancel(err) }))
		m, err := nc.RequestWithContext(ctx, "$JS.hub.API.STREAM.INFO.KV_demo", nil)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if err != nil {
			return "", err
		}
		return string(m.Data), nil
	}
	if answer, err := read("app"); err != nil || !strings.Contains(answer, "10059") {
		t.Errorf("app: %s, %v", answer, err)
	}
	for _, user := range []string{"lim", "limsub", "limresp"} {
		if _, err := read(user); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v", user, err)
		}
	}
	if _, err := read("nojs"); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("nojs: %v", err)
	}
	if _, err := nats.Connect(sites.Leaf.URL()); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("without a name: %v", err)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	if _, err := Cluster(1, "ksds"); err == nil {
		t.Error("a cluster of one")
	}
	servers, err := Cluster(3, "ksds")
	if err != nil {
		t.Fatal(err)
	}
	defer stopAll(servers...)

	kv := bucket(t, jetStream(t, connect(t, servers[0].URL())), 3)
	put(t, kv, "color", "red")
	m := mirror(t, jetStream(t, connect(t, servers[1].URL())), "", "")
	waitValue(t, m, "color", "red")

	if err := servers[2].Restart(); err != nil {
		t.Fatal(err)
	}
	if err := waitClustered(servers); err != nil {
		t.Fatal(err)
	}
}
