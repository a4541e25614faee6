package fleet

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
)

// Origins that cannot be listed or read.
func (f *manyMirrors) testOrigins(t *testing.T) {
	// Where the origins cannot be listed they are read one by one, some at a time.
	for name, test := range map[string]struct {
		timeout time.Duration
		instead []byte
	}{
		"denied":     {longTimeout, nobody},
		"unanswered": {shortTimeout, nil},
		"rejected":   {longTimeout, []byte(`{"type":"x","error":{"code":500,"err_code":10052,"description":"no"}}`)},
		"nonsense":   {longTimeout, []byte(`{"streams":`)},
	} {
		t.Run("origins cannot be listed/"+name, func(t *testing.T) {
			t.Parallel()
			if test.timeout == shortTimeout {
				slow(t)
			}
			var mu sync.Mutex
			now, most := 0, 0
			fake, fleet := f.all(t, test.timeout, func(c call) []byte {
				if c.is(true, "STREAM.LIST") {
					return test.instead
				}
				if c.origin {
					mu.Lock()
					now++
					most = max(most, now)
					mu.Unlock()
					defer func() { mu.Lock(); now--; mu.Unlock() }()
				}
				return c.forward()
			})
			whole(t, fleet)
			if n := fake.asked(true, "STREAM.INFO"); n != many {
				t.Errorf("%d origins were read one by one, want %d", n, many)
			}
			if most > sampled || most < 2 {
				t.Errorf("%d requests were under way at once, want 2 to %d", most, sampled)
			}
		})
	}

	t.Run("one origin cannot be read", func(t *testing.T) {
		t.Parallel()
		_, fleet := f.all(t, longTimeout, func(c call) []byte {
			switch {
			case c.is(true, "STREAM.LIST"), c.is(true, "STREAM.INFO.KV_"+first):
				return nobody
			case c.is(true, "STREAM.INFO.KV_"+last):
				return []byte(notFound)
			}
			return c.forward()
		})
		if got := unreadOnes(fleet); len(fleet.Mirrors) != many || len(got) != 2 || got[first] != check.ReasonUnreachable || got[last] != check.ReasonMissing {
			t.Errorf("%d mirrors, unread %v", len(fleet.Mirrors), got)
		}
	})

	// As many prefixes as mirrors are not asked all at once.
	t.Run("origins behind many prefixes", func(t *testing.T) {
		t.Parallel()
		var mu sync.Mutex
		now, most := 0, 0
		full := make(chan struct{})
		fake := newFake(t, f.url, nil)
		fake.answer = func(c call) []byte {
			data := c.forward()
			if !c.origin {
				return altered(data, func(doc map[string]any) {
					for i, s := range streamsIn(doc) {
						external := s.(map[string]any)["config"].(map[string]any)["mirror"].(map[string]any)["external"].(map[string]any)
						external["api"] = strings.Replace(fake.origins, ".API", fmt.Sprintf(".%d-%d.API", c.offset, i), 1)
					}
				})
			}
			mu.Lock()
			now++
			if most = max(most, now); most == allUnderWay && now == most {
				select {
				case <-full:
				default:
					close(full)
				}
			}
			mu.Unlock()
			<-full
			mu.Lock()
			now--
			mu.Unlock()
			return data
		}
		fleet, err := reader(t, f.url, fake.own, longTimeout).All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		whole(t, fleet)
		if most != allUnderWay {
			t.Errorf("%d requests were under way at once, want %d", most, allUnderWay)
		}
	})

	t.Run("a page of the origins never comes", func(t *testing.T) {
		t.Parallel()
		slow(t)
		fake, fleet := f.all(t, shortTimeout, func(c call) []byte {
			if c.is(true, "STREAM.LIST") && c.offset > 0 {
				return nil
			}
			return c.forward()
		})
		whole(t, fleet)
		// All that is not on the page, and what showed how large a page is.
		want := many - jsapi.PageSize
		for i := range sampled {
			if i*many/sampled < jsapi.PageSize {
				want++
			}
		}
		if n := fake.asked(true, "STREAM.INFO"); n != want {
			t.Errorf("%d origins were read one by one, want %d", n, want)
		}
	})

	// A side that takes questions and answers none is not asked for every stream, as
	// each would cost a timeout. The first are, and two for the version.
	for name, test := range map[string]struct{ from, unread int }{
		"from the start": {0, many},
		"half-way":       {jsapi.PageSize, many - jsapi.PageSize},
	} {
		t.Run("the origins' side does not answer/"+name, func(t *testing.T) {
			t.Parallel()
			slow(t)
			var mu sync.Mutex
			asked := map[string]bool{} // singly
			_, fleet := f.all(t, shortTimeout, func(c call) []byte {
				if c.origin && c.subject != "STREAM.LIST" {
					mu.Lock()
					defer mu.Unlock()
					asked[c.subject] = true
					return nil
				}
				if c.origin && c.offset >= test.from {
					return nil
				}
				return c.forward()
			})
			unread := unreadOnes(fleet)
			mu.Lock()
			n := len(asked)
			mu.Unlock()
			if len(fleet.Mirrors) != many || len(unread) < test.unread || n > underWay+2 {
				t.Errorf("%d mirrors, %d unread, want at least %d; %d origins were asked for", len(fleet.Mirrors), len(unread), test.unread, n)
			}
			for _, m := range fleet.Mirrors {
				if u := m.Facts.OriginUnread; m.Facts.Origin == nil && u.Reason != check.ReasonUnreachable {
					t.Errorf("%s: %+v", m.Bucket, u)
				}
			}
		})
	}

	// The first origin is told of only when the last one was asked for.
	t.Run("a slow answer does not hold up the others", func(t *testing.T) {
		t.Parallel()
		asked := make(chan struct{})
		_, fleet := f.all(t, longTimeout, func(c call) []byte {
			switch {
			case c.is(true, "STREAM.LIST"):
				return nobody
			case c.is(true, "STREAM.INFO."+suspect(1)): // not among those that show how large a page is
				<-asked
			case c.is(true, "STREAM.INFO.KV_"+last):
				close(asked)
			}
			return c.forward()
		})
		whole(t, fleet)
	})
}
