package fleet

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
)

// Pages of the list that do not come, or are not what they should be.
func (f *manyMirrors) testPages(t *testing.T) {
	t.Run("a page of the mirrors comes at the second try", func(t *testing.T) {
		t.Parallel()
		slow(t)
		var once sync.Once
		_, fleet := f.all(t, shortTimeout, func(c call) []byte {
			lost := false
			if c.is(false, "STREAM.LIST") && c.offset > 0 {
				once.Do(func() { lost = true })
			}
			if lost {
				return nil
			}
			return c.forward()
		})
		whole(t, fleet)
	})

	t.Run("a page of the mirrors never comes", func(t *testing.T) {
		t.Parallel()
		slow(t)
		_, fleet := f.all(t, shortTimeout, func(c call) []byte {
			if c.is(false, "STREAM.LIST") && c.offset > 0 {
				return nil
			}
			return c.forward()
		})
		problem(t, fleet, jsapi.PageSize, jsapi.ErrTimeout, "streams 257 to 300 of 300")
	})

	t.Run("the first page of the mirrors never comes", func(t *testing.T) {
		t.Parallel()
		slow(t)
		fake := newFake(t, f.url, func(c call) []byte {
			if c.is(false, "STREAM.LIST") {
				return nil
			}
			return c.forward()
		})
		r := reader(t, f.url, fake.own, shortTimeout/8)
		if fleet, err := r.All(t.Context()); !errors.Is(err, jsapi.ErrTimeout) || len(fleet.Mirrors) > 0 {
			t.Errorf("%d mirrors, %v; want %v", len(fleet.Mirrors), err, jsapi.ErrTimeout)
		}
		if _, err := r.Names(t.Context()); !errors.Is(err, jsapi.ErrTimeout) {
			t.Errorf("names: %v, want %v", err, jsapi.ErrTimeout)
		}
	})

	t.Run("a malformed stream", func(t *testing.T) {
		t.Parallel()
		spoil := func(origin bool) func(call) []byte {
			return func(c call) []byte {
				data := c.forward()
				if c.is(origin, "STREAM.LIST") && c.offset == 0 {
					data = altered(data, func(doc map[string]any) { streamIn(doc, "KV_"+first)["config"] = "nonsense" })
				}
				return data
			}
		}
		_, fleet := f.all(t, longTimeout, spoil(false))
		problem(t, fleet, many-1, jsapi.ErrMalformed, "1 streams")
		// An origin that a list garbles may be read alone.
		_, fleet = f.all(t, longTimeout, spoil(true))
		whole(t, fleet)
	})

	t.Run("servers that do not answer", func(t *testing.T) {
		t.Parallel()
		_, fleet := f.all(t, longTimeout, func(c call) []byte {
			data := c.forward()
			if c.is(false, "STREAM.LIST") && c.offset == 0 {
				data = altered(data, func(doc map[string]any) {
					doc["streams"] = slices.DeleteFunc(streamsIn(doc), func(s any) bool { return s.(map[string]any)["config"].(map[string]any)["name"] == "KV_"+first })
					doc["missing"] = []string{"KV_" + first}
				})
			}
			return data
		})
		problem(t, fleet, many-1, errOffline, `stream "KV_`+first+`"`)
		if slices.Contains(names(fleet), first) {
			t.Error("the missing one is there")
		}
	})

	// A cluster of which all servers of a stream are offline lists it as missing,
	// and with its configuration and an empty state as well.
	t.Run("servers that are offline", func(t *testing.T) {
		t.Parallel()
		offline := func(origin bool) func(call) []byte {
			return func(c call) []byte {
				data := c.forward()
				if c.is(origin, "STREAM.LIST") && c.offset == 0 {
					data = altered(data, func(doc map[string]any) {
						s := streamIn(doc, "KV_"+first)
						delete(s, "state")
						delete(s, "mirror")
						doc["missing"] = []string{"KV_" + first}
					})
				}
				if c.is(origin, "STREAM.INFO.KV_"+first) {
					return []byte(`{"type":"x","error":{"code":500,"err_code":10118,"description":"stream is offline"}}`)
				}
				return data
			}
		}
		_, fleet := f.all(t, longTimeout, offline(false))
		problem(t, fleet, many-1, errOffline, `stream "KV_`+first+`"`)
		_, fleet = f.all(t, longTimeout, offline(true))
		if got := unreadOnes(fleet); len(fleet.Mirrors) != many || len(got) != 1 || got[first] != check.ReasonUnreachable {
			t.Errorf("%d mirrors, unread %v", len(fleet.Mirrors), got)
		}
	})

	t.Run("a page that shows nothing", func(t *testing.T) {
		t.Parallel()
		_, fleet := f.all(t, longTimeout, func(c call) []byte {
			data := c.forward()
			if c.is(false, "STREAM.LIST") && c.offset > 0 {
				data = altered(data, func(doc map[string]any) { doc["streams"] = nil })
			}
			return data
		})
		problem(t, fleet, jsapi.PageSize, errShort, "44 streams from 257 of 300 on")
	})

	// How many streams there are is no more than what a server says: nothing is
	// allocated by it, and no pages are asked for behind one that is short.
	t.Run("a total that is not true", func(t *testing.T) {
		t.Parallel()
		for _, test := range []struct {
			total, empty int // the page at this offset shows nothing
			pages        int // are asked for at the most
			mirrors      int
			unasked      string
		}{
			{50_000_000, 0, 1, 0, "streams 257 to 50000000 of 50000000"},
			{50_000_000, -1, 1 + pagesUnderWay, many, "to 50000000 of 50000000"},
			{math.MaxInt, 0, 1, 0, "streams 257 to 9223372036854775807 of 9223372036854775807"},
			{math.MaxInt, -1, 1 + pagesUnderWay, many, "to 9223372036854775807 of 9223372036854775807"},
		} {
			var mu sync.Mutex
			offsets := map[int]bool{} // of the pages that were asked for
			_, fleet := f.all(t, longTimeout, func(c call) []byte {
				data := c.forward()
				if c.is(false, "STREAM.LIST") {
					mu.Lock()
					offsets[c.offset] = true
					mu.Unlock()
					data = altered(data, func(doc map[string]any) {
						doc["total"] = test.total
						if c.offset == test.empty {
							doc["streams"] = nil
						}
					})
				}
				return data
			})
			mu.Lock()
			n := len(offsets)
			mu.Unlock()
			if n > test.pages || len(fleet.Mirrors) != test.mirrors {
				t.Fatalf("a total of %d: %d pages were asked for, want %d at the most; %d mirrors, want %d", test.total, n, test.pages, len(fleet.Mirrors), test.mirrors)
			}
			short := slices.ContainsFunc(fleet.Problems, func(p Problem) bool { return errors.Is(p, errShort) })
			unasked := slices.ContainsFunc(fleet.Problems, func(p Problem) bool {
				return errors.Is(p, errUnasked) && strings.Contains(p.Error(), test.unasked)
			})
			if !short || !unasked || len(fleet.Problems) > test.pages+1 {
				t.Errorf("a total of %d: problems %v", test.total, fleet.Problems)
			}
		}
	})

	t.Run("a list that changes while it is read", func(t *testing.T) {
		t.Parallel()
		_, fleet := f.all(t, longTimeout, func(c call) []byte {
			data := c.forward()
			if c.is(false, "STREAM.LIST") && c.offset > 0 {
				data = altered(data, func(doc map[string]any) {
					doc["total"] = many - 1
					doc["streams"] = streamsIn(doc)[1:]
				})
			}
			return data
		})
		problem(t, fleet, many-1, errChanged, "from 300 to 299 streams")
	})
}
