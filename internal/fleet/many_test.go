package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/natstest"
	"nats-kvmirror/internal/stream"
)

// many is how many mirrors there are where one page does not hold them.
const many = jsapi.PageSize + 44

// first is the name of a mirror on the first page, last of one on the second.
const (
	first = "fleet-00000"
	last  = "fleet-00299"
)

// longTimeout is a timeout that nothing reaches but what is never answered.
const longTimeout = time.Minute

// shortTimeout is a timeout that is expected to be hit, and that a server on a busy
// machine keeps otherwise.
const shortTimeout = 6 * time.Second

// suspect is one of the streams that seem to be behind.
func suspect(i int) string { return fmt.Sprintf("KV_fleet-%05d", i) }

func pass(c call) []byte { return c.forward() }

// manyMirrors is a fleet of more than one page on each side, which is read through
// fakes that make of some answers what happens on a bad day.
type manyMirrors struct {
	servers *natstest.Fleet
	url     string // of the leaf
}

func TestMany(t *testing.T) {
	t.Parallel()
	servers, err := natstest.NewFleet()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(servers.Stop)
	if err := servers.Grow(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	f := &manyMirrors{servers, servers.Leaf.URL()}
	f.testReads(t)
	f.testOrigins(t)
	f.testPages(t)
	f.testSecondRead(t)
}

// all reads all mirrors through a fake.
func (f *manyMirrors) all(t *testing.T, timeout time.Duration, answer func(call) []byte) (*fake, Fleet) {
	t.Helper()
	fake := newFake(t, f.url, answer)
	fleet, err := reader(t, f.url, fake.own, timeout).All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return fake, fleet
}

// whole is a fleet in which nothing is wrong.
func whole(t *testing.T, f Fleet) {
	t.Helper()
	if len(f.Mirrors) != many || len(f.Problems) > 0 || len(unreadOnes(f)) > 0 {
		t.Errorf("%d mirrors, problems %v, unread %v", len(f.Mirrors), f.Problems, unreadOnes(f))
	}
}

// problem is the only problem of a fleet of n mirrors.
func problem(t *testing.T, f Fleet, n int, want error, says string) {
	t.Helper()
	if len(f.Mirrors) != n || len(f.Problems) != 1 {
		t.Fatalf("%d mirrors, want %d; problems %v", len(f.Mirrors), n, f.Problems)
	}
	if p := f.Problems[0]; !errors.Is(p, want) || !strings.Contains(p.Error(), says) {
		t.Errorf("problem %q, want %v that says %q", p, want, says)
	}
}

// Fleets that can be read, whole or in part, and what is above them.
func (f *manyMirrors) testReads(t *testing.T) {
	t.Run("on a good day", func(t *testing.T) {
		t.Parallel()
		fake := newFake(t, f.url, pass)
		r := reader(t, f.url, fake.own, longTimeout)
		var mu sync.Mutex
		var done, known int
		r.Progress = func(d, k int) {
			mu.Lock()
			defer mu.Unlock()
			done, known = max(done, d), max(known, k)
		}
		fleet, err := r.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		whole(t, fleet)
		if got := names(fleet); !slices.IsSorted(got) || got[0] != first || got[many-1] != last {
			t.Errorf("the names are %q", got)
		}
		for _, m := range fleet.Mirrors {
			if got := check.Findings(m.Facts, check.DefaultThresholds()); len(got) > 0 {
				t.Errorf("%s: %+v", m.Bucket, got)
			}
			if m.Facts.Level == nil || m.Facts.Mirror.State.LastSeq != 1 || m.Facts.Mirror.Prefix != fake.own || m.Facts.Origin.Prefix != fake.origins {
				t.Errorf("%s: %+v", m.Bucket, m.Facts)
			}
			if here, there := m.Facts.Mirror.Config.ServerVersion(), m.Facts.Origin.Config.ServerVersion(); here == (stream.Version{}) || there != here {
				t.Errorf("%s: its server is %v, the origin's is %v", m.Bucket, here, there)
			}
		}
		// Two pages on each side, and a stream for the version of its server, which
		// a list does not say. That of the origins, which are in another domain, is
		// among those that show how large a page is, after their names.
		if o, n := fake.asked(false, "STREAM.LIST"), fake.asked(true, "STREAM.LIST"); o != 2 || n != 2 {
			t.Errorf("%d and %d pages, want 2 and 2", o, n)
		}
		if o, n := fake.asked(false, "STREAM.INFO"), fake.asked(true, "STREAM.INFO"); o != 1 || n != sampled {
			t.Errorf("%d and %d streams were read one by one, want 1 and %d", o, n, sampled)
		}
		if want := 6 + sampled; done != want || known != want || fake.asked(true, "STREAM.NAMES") != 1 {
			t.Errorf("the progress is %d of %d, want %d", done, known, want)
		}
	})

	t.Run("names", func(t *testing.T) {
		t.Parallel()
		fake := newFake(t, f.url, pass)
		names, err := reader(t, f.url, fake.own, longTimeout).Names(t.Context())
		if err != nil || len(names) != many || !slices.IsSorted(names) {
			t.Errorf("%q, %v", names, err)
		}
		if n := fake.asked(true, ""); n > 0 {
			t.Errorf("%d requests to the origins", n)
		}
	})

	t.Run("a few by name", func(t *testing.T) {
		t.Parallel()
		fake := newFake(t, f.url, pass)
		fleet, err := reader(t, f.url, fake.own, longTimeout).Named(t.Context(), []string{first, last, "fleet-00007"})
		if err != nil || len(fleet.Mirrors) != 3 || len(fleet.Problems) > 0 || len(unreadOnes(fleet)) > 0 {
			t.Errorf("%q, problems %v, %v", names(fleet), fleet.Problems, err)
		}
		if o, n := fake.asked(false, "STREAM.INFO"), fake.asked(true, "STREAM.INFO"); o != 3 || n != 3 {
			t.Errorf("%d and %d streams were read, want 3 and 3", o, n)
		}
		if n := fake.asked(false, "STREAM.LIST") + fake.asked(true, "STREAM.LIST"); n > 0 {
			t.Errorf("%d pages were read", n)
		}
	})

	// An origin above many is read once.
	t.Run("one above all", func(t *testing.T) {
		t.Parallel()
		fake := newFake(t, f.url, nil)
		fake.answer = func(c call) []byte {
			data := c.forward()
			if c.origin && strings.HasPrefix(c.subject, "STREAM.INFO.KV_") && !c.is(true, "STREAM.INFO.KV_"+first) {
				data = config(data, func(config map[string]any) {
					config["mirror"] = map[string]any{"name": "KV_" + first, "external": map[string]any{"api": fake.origins}}
				})
			}
			return data
		}
		fleet, err := reader(t, f.url, fake.own, longTimeout).Named(t.Context(), []string{last, suspect(1)[3:], suspect(8)[3:]})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fleet.Mirrors {
			if len(m.Facts.Above) != 1 || m.Facts.Above[0].Config.Name != "KV_"+first {
				t.Errorf("above %s: %+v", m.Bucket, m.Facts.Above)
			}
		}
		if n := fake.asked(true, "STREAM.INFO.KV_"+first); n != 1 || len(fleet.Mirrors) != 3 {
			t.Errorf("it was read %d times for %d mirrors", n, len(fleet.Mirrors))
		}
	})

	// Whatever of the chain goes round in a circle is left at some point.
	t.Run("a circle", func(t *testing.T) {
		t.Parallel()
		fake := newFake(t, f.url, nil)
		fake.answer = func(c call) []byte {
			data := c.forward()
			if c.origin && strings.HasPrefix(c.subject, "STREAM.INFO.KV_") {
				data = config(data, func(config map[string]any) {
					config["mirror"] = map[string]any{"name": config["name"], "external": map[string]any{"api": fake.origins}}
				})
			}
			return data
		}
		fleet, err := reader(t, f.url, fake.own, longTimeout).Named(t.Context(), []string{first})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(mirror(t, fleet, first).Facts.Above); n != maxChain {
			t.Errorf("%d origins above, want %d", n, maxChain)
		}
	})

	// A server of 2.10 says no version anywhere, and one that cannot be asked is
	// not taken for one.
	t.Run("no version", func(t *testing.T) {
		t.Parallel()
		for _, answer := range [][]byte{nobody, []byte(notFound)} {
			_, fleet := f.all(t, longTimeout, func(c call) []byte {
				if strings.HasPrefix(c.subject, "STREAM.INFO") {
					return answer
				}
				return altered(c.forward(), func(doc map[string]any) {
					for _, s := range streamsIn(doc) {
						if s, ok := s.(map[string]any); ok && c.origin {
							s["config"].(map[string]any)["allow_msg_ttl"] = false
						}
					}
				})
			})
			whole(t, fleet)
			for _, m := range fleet.Mirrors {
				if got := codesOf(m); got != "" || m.Facts.Origin.Config.ServerVersion() != (stream.Version{}) {
					t.Errorf("%s: found %q", m.Bucket, got)
				}
			}
		}
	})

	// The level of a server that does not say is not known, and no failure.
	t.Run("no account information", func(t *testing.T) {
		t.Parallel()
		_, fleet := f.all(t, longTimeout, func(c call) []byte {
			if c.is(false, "INFO") {
				return nobody
			}
			return c.forward()
		})
		whole(t, fleet)
		if level := fleet.Mirrors[0].Facts.Level; level != nil {
			t.Errorf("the level is %d", *level)
		}
	})

	t.Run("an interrupt", func(t *testing.T) {
		t.Parallel()
		for _, at := range []string{"STREAM.LIST", "STREAM.INFO.KV_" + first} {
			ctx, cancel := context.WithCancel(t.Context())
			fake := newFake(t, f.url, func(c call) []byte {
				if strings.HasPrefix(c.subject, at) && !bytes.Equal(c.forward(), nobody) {
					cancel()
					return nil
				}
				data := c.forward()
				if c.is(false, "STREAM.LIST") {
					data = altered(data, behind)
				}
				return data
			})
			if _, err := reader(t, f.url, fake.own, longTimeout).All(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("at %s: %v, want %v", at, err, context.Canceled)
			}
			cancel()
		}
	})
}
