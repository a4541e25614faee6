package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
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

// patience is a timeout that nothing reaches but what is never answered.
const patience = time.Minute

// suspect is one of the streams that seem to be behind.
func suspect(i int) string { return fmt.Sprintf("KV_fleet-%05d", i) }

func pass(c call) []byte { return c.forward() }

// TestMany reads a fleet of more than one page on each side, through fakes that
// make of some answer what happens on a bad day.
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
	url := servers.Leaf.URL()

	// all reads all mirrors through a fake.
	all := func(t *testing.T, timeout time.Duration, answer func(call) []byte) (*fake, Fleet) {
		t.Helper()
		fake := newFake(t, url, answer)
		fleet, err := reader(t, url, fake.own, timeout).All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fake, fleet
	}
	// whole is a fleet in which nothing is amiss.
	whole := func(t *testing.T, f Fleet) {
		t.Helper()
		if len(f.Mirrors) != many || len(f.Problems) > 0 || len(unreadOnes(f)) > 0 {
			t.Errorf("%d mirrors, problems %v, unread %v", len(f.Mirrors), f.Problems, unreadOnes(f))
		}
	}
	// problem is the only problem of a fleet of n mirrors.
	problem := func(t *testing.T, f Fleet, n int, want error, says string) {
		t.Helper()
		if len(f.Mirrors) != n || len(f.Problems) != 1 {
			t.Fatalf("%d mirrors, want %d; problems %v", len(f.Mirrors), n, f.Problems)
		}
		if p := f.Problems[0]; !errors.Is(p, want) || !strings.Contains(p.Error(), says) {
			t.Errorf("problem %q, want %v that says %q", p, want, says)
		}
	}

	t.Run("on a good day", func(t *testing.T) {
		t.Parallel()
		fake := newFake(t, url, pass)
		r := reader(t, url, fake.own, patience)
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
		// a list does not say.
		if o, n := fake.asked(false, "STREAM.LIST"), fake.asked(true, "STREAM.LIST"); o != 2 || n != 2 {
			t.Errorf("%d and %d pages, want 2 and 2", o, n)
		}
		if o, n := fake.asked(false, "STREAM.INFO"), fake.asked(true, "STREAM.INFO"); o != 1 || n != 1 {
			t.Errorf("%d and %d streams were read one by one, want 1 and 1", o, n)
		}
		if done != 6 || known != 6 {
			t.Errorf("the progress is %d of %d, want 6 of 6", done, known)
		}
	})

	t.Run("names", func(t *testing.T) {
		t.Parallel()
		fake := newFake(t, url, pass)
		names, err := reader(t, url, fake.own, patience).Names(t.Context())
		if err != nil || len(names) != many || !slices.IsSorted(names) {
			t.Errorf("%q, %v", names, err)
		}
		if n := fake.asked(true, ""); n > 0 {
			t.Errorf("%d requests to the origins", n)
		}
	})

	t.Run("a few by name", func(t *testing.T) {
		t.Parallel()
		fake := newFake(t, url, pass)
		fleet, err := reader(t, url, fake.own, patience).Named(t.Context(), []string{first, last, "fleet-00007"})
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

	// Where the origins cannot be listed they are read one by one, some at a time.
	for name, test := range map[string]struct {
		timeout time.Duration
		instead []byte
	}{
		"denied":     {patience, nobody},
		"unanswered": {impatience, nil},
		"rejected":   {patience, []byte(`{"type":"x","error":{"code":500,"err_code":10052,"description":"no"}}`)},
		"nonsense":   {patience, []byte(`{"streams":`)},
	} {
		t.Run("origins cannot be listed/"+name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			now, most := 0, 0
			fake, fleet := all(t, test.timeout, func(c call) []byte {
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
			if most > underWay || most < 2 {
				t.Errorf("%d requests were under way at once, want 2 to %d", most, underWay)
			}
		})
	}

	t.Run("one origin cannot be read", func(t *testing.T) {
		t.Parallel()
		_, fleet := all(t, patience, func(c call) []byte {
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
		fake := newFake(t, url, nil)
		fake.answer = func(c call) []byte {
			data := c.forward()
			if !c.origin {
				return altered(data, func(doc map[string]any) {
					for i, s := range streamsIn(doc) {
						external := s.(map[string]any)["config"].(map[string]any)["mirror"].(map[string]any)["external"].(map[string]any)
						external["api"] = strings.Replace(fake.origins, ".", fmt.Sprintf(".%d-%d.", c.offset, i), 1)
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
		fleet, err := reader(t, url, fake.own, patience).All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		whole(t, fleet)
		if most != allUnderWay {
			t.Errorf("%d requests were under way at once, want %d", most, allUnderWay)
		}
	})

	t.Run("a page of the mirrors comes at the second try", func(t *testing.T) {
		t.Parallel()
		var once sync.Once
		_, fleet := all(t, impatience, func(c call) []byte {
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
		_, fleet := all(t, impatience, func(c call) []byte {
			if c.is(false, "STREAM.LIST") && c.offset > 0 {
				return nil
			}
			return c.forward()
		})
		problem(t, fleet, jsapi.PageSize, jsapi.ErrTimeout, "streams 257 to 300 of 300")
	})

	t.Run("the first page of the mirrors never comes", func(t *testing.T) {
		t.Parallel()
		fake := newFake(t, url, func(c call) []byte {
			if c.is(false, "STREAM.LIST") {
				return nil
			}
			return c.forward()
		})
		r := reader(t, url, fake.own, impatience/8)
		if fleet, err := r.All(t.Context()); !errors.Is(err, jsapi.ErrTimeout) || len(fleet.Mirrors) > 0 {
			t.Errorf("%d mirrors, %v; want %v", len(fleet.Mirrors), err, jsapi.ErrTimeout)
		}
		if _, err := r.Names(t.Context()); !errors.Is(err, jsapi.ErrTimeout) {
			t.Errorf("names: %v, want %v", err, jsapi.ErrTimeout)
		}
	})

	t.Run("a page of the origins never comes", func(t *testing.T) {
		t.Parallel()
		fake, fleet := all(t, impatience, func(c call) []byte {
			if c.is(true, "STREAM.LIST") && c.offset > 0 {
				return nil
			}
			return c.forward()
		})
		whole(t, fleet)
		if n, want := fake.asked(true, "STREAM.INFO"), many-jsapi.PageSize+1; n != want {
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
			var mu sync.Mutex
			asked := map[string]bool{} // singly
			_, fleet := all(t, impatience, func(c call) []byte {
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
		_, fleet := all(t, patience, func(c call) []byte {
			switch {
			case c.is(true, "STREAM.LIST"):
				return nobody
			case c.is(true, "STREAM.INFO.KV_"+first):
				<-asked
			case c.is(true, "STREAM.INFO.KV_"+last):
				close(asked)
			}
			return c.forward()
		})
		whole(t, fleet)
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
		_, fleet := all(t, patience, spoil(false))
		problem(t, fleet, many-1, jsapi.ErrMalformed, "1 streams")
		// An origin that a list garbles may be read alone.
		_, fleet = all(t, patience, spoil(true))
		whole(t, fleet)
	})

	t.Run("servers that do not answer", func(t *testing.T) {
		t.Parallel()
		_, fleet := all(t, patience, func(c call) []byte {
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
		_, fleet := all(t, patience, offline(false))
		problem(t, fleet, many-1, errOffline, `stream "KV_`+first+`"`)
		_, fleet = all(t, patience, offline(true))
		if got := unreadOnes(fleet); len(fleet.Mirrors) != many || len(got) != 1 || got[first] != check.ReasonUnreachable {
			t.Errorf("%d mirrors, unread %v", len(fleet.Mirrors), got)
		}
	})

	t.Run("a page that shows nothing", func(t *testing.T) {
		t.Parallel()
		_, fleet := all(t, patience, func(c call) []byte {
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
			_, fleet := all(t, patience, func(c call) []byte {
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
		_, fleet := all(t, patience, func(c call) []byte {
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

	// A mirror that seems to be behind is looked at twice, and much can have
	// become of it by then. Each of these does something else.
	behind := func(doc map[string]any) {
		for i := range 10 {
			if s := streamIn(doc, suspect(i)); s != nil {
				s["state"].(map[string]any)["last_seq"] = 0
				s["state"].(map[string]any)["messages"] = 0
			}
		}
	}
	config := func(data []byte, change func(config map[string]any)) []byte {
		return altered(data, func(doc map[string]any) { change(doc["config"].(map[string]any)) })
	}
	t.Run("the second look", func(t *testing.T) {
		t.Parallel()
		fake, fleet := all(t, impatience, func(c call) []byte {
			data := c.forward()
			switch {
			case c.is(false, "STREAM.LIST"):
				return altered(data, behind)
			case c.is(false, "STREAM.INFO."+suspect(1)): // still behind
				return altered(data, behind)
			case c.is(false, "STREAM.INFO."+suspect(2)): // gone
				return []byte(notFound)
			case c.is(false, "STREAM.INFO."+suspect(3)): // promoted
				return config(data, func(config map[string]any) {
					delete(config, "mirror")
					config["subjects"] = []string{"$" + strings.Replace(suspect(3), "_", ".", 1) + ".>"}
				})
			case c.is(false, "STREAM.INFO."+suspect(4)): // of another origin
				return config(data, func(config map[string]any) { config["mirror"].(map[string]any)["name"] = "KV_other" })
			case c.is(false, "STREAM.INFO."+suspect(5)): // silent
				return nil
			case c.is(true, "STREAM.INFO."+suspect(6)): // the origin is gone
				return []byte(notFound)
			case c.is(true, "STREAM.INFO."+suspect(7)): // the origin is out of reach
				return nobody
			case c.is(true, "STREAM.INFO."+suspect(8)): // the origin's messages have expired
				return altered(data, func(doc map[string]any) {
					doc["state"].(map[string]any)["messages"] = 0
				})
			case c.is(false, "STREAM.INFO."+suspect(8)), c.is(false, "STREAM.INFO."+suspect(9)):
				return altered(data, behind)
			case c.is(true, "STREAM.MSG.GET."+suspect(9)): // and nobody says what is left
				return nobody
			}
			return data
		})
		findings := map[string]string{}
		for _, m := range fleet.Mirrors {
			twice := slices.Contains([]string{suspect(0), suspect(1), suspect(8), suspect(9)}, "KV_"+m.Bucket)
			if (m.Facts.Earlier != nil) != twice {
				t.Errorf("%s: looked at twice: %t", m.Bucket, !twice)
			}
			for _, f := range check.Findings(m.Facts, check.DefaultThresholds()) {
				findings["KV_"+m.Bucket] += f.Code
			}
		}
		want := map[string]string{suspect(1): "stalled", suspect(6): "origin-missing", suspect(9): "stalled"}
		if !maps.Equal(findings, want) {
			t.Errorf("found %v, want %v", findings, want)
		}
		for i, there := range []bool{true, true, false, false, true, true, true, true, true, true} {
			if slices.Contains(names(fleet), suspect(i)[3:]) != there {
				t.Errorf("%s is there: %t", suspect(i), !there)
			}
		}
		// What was not looked at a second time is a problem.
		wantProblems := map[string]error{suspect(4): errChanged, suspect(5): jsapi.ErrTimeout, suspect(7): jsapi.ErrNoResponders}
		for _, p := range fleet.Problems {
			for name, err := range wantProblems {
				if errors.Is(p, err) && strings.Contains(p.Error(), `bucket "`+name[3:]+`"`) {
					delete(wantProblems, name)
				}
			}
		}
		if len(fleet.Problems) != 3 || len(wantProblems) > 0 {
			t.Errorf("problems %v, not among them %v", fleet.Problems, wantProblems)
		}
		if n := fake.asked(false, "STREAM.INFO"); n != 10+1 {
			t.Errorf("%d mirrors were read one by one, want 10 at the second look and 1 for its version", n)
		}
		if n := fake.asked(true, "STREAM.MSG.GET"); n != 2 {
			t.Errorf("%d origins were asked what is left, want 2", n)
		}
	})

	// What waited for a connection that does not come back waits for no second look.
	t.Run("the connection is lost before the second look", func(t *testing.T) {
		t.Parallel()
		fake := newFake(t, url, func(c call) []byte {
			data := c.forward()
			if c.is(false, "STREAM.LIST") {
				data = altered(data, behind)
			}
			return data
		})
		p, err := natstest.NewProxy(servers.Leaf.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		p.SetHook(func(m natstest.Message) natstest.Verdict {
			if m.Direction == natstest.ToServer && m.Subject == fake.origins+".STREAM.LIST" && !strings.Contains(string(m.Payload), `:0}`) {
				p.Refuse(true)
				return natstest.Cut
			}
			return natstest.Pass
		})
		fleet, err := reader(t, p.URL(), fake.own, impatience).All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var looks []Problem
		for _, p := range fleet.Problems {
			if strings.Contains(p.What, "a second time") || strings.HasPrefix(p.What, "bucket") {
				looks = append(looks, p)
			}
		}
		if len(looks) != 1 || !errors.Is(looks[0], jsapi.ErrDisconnected) || !strings.Contains(looks[0].What, "10 mirrors") {
			t.Errorf("problems %v", fleet.Problems)
		}
		if len(fleet.Mirrors) < jsapi.PageSize || mirror(t, fleet, first).Facts.Origin == nil {
			t.Errorf("%d mirrors were read", len(fleet.Mirrors))
		}
	})

	t.Run("named, and gone at the second look", func(t *testing.T) {
		t.Parallel()
		var once sync.Once
		fake := newFake(t, url, func(c call) []byte {
			data := c.forward()
			if c.is(false, "STREAM.INFO.KV_"+first) {
				answer := []byte(notFound)
				once.Do(func() { answer = altered(data, behind) })
				return answer
			}
			return data
		})
		fleet, err := reader(t, url, fake.own, patience).Named(t.Context(), []string{first, last})
		if err != nil {
			t.Fatal(err)
		}
		problem(t, fleet, 1, jsapi.ErrNotFound, `bucket "`+first+`"`)
	})

	// An origin above many is read once.
	t.Run("one above all", func(t *testing.T) {
		t.Parallel()
		fake := newFake(t, url, nil)
		fake.answer = func(c call) []byte {
			data := c.forward()
			if c.origin && strings.HasPrefix(c.subject, "STREAM.INFO.KV_") && !c.is(true, "STREAM.INFO.KV_"+first) {
				data = config(data, func(config map[string]any) {
					config["mirror"] = map[string]any{"name": "KV_" + first, "external": map[string]any{"api": fake.origins}}
				})
			}
			return data
		}
		fleet, err := reader(t, url, fake.own, patience).Named(t.Context(), []string{last, suspect(1)[3:], suspect(8)[3:]})
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
		fake := newFake(t, url, nil)
		fake.answer = func(c call) []byte {
			data := c.forward()
			if c.origin && strings.HasPrefix(c.subject, "STREAM.INFO.KV_") {
				data = config(data, func(config map[string]any) {
					config["mirror"] = map[string]any{"name": config["name"], "external": map[string]any{"api": fake.origins}}
				})
			}
			return data
		}
		fleet, err := reader(t, url, fake.own, patience).Named(t.Context(), []string{first})
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
			_, fleet := all(t, patience, func(c call) []byte {
				if strings.HasPrefix(c.subject, "STREAM.INFO") {
					return answer
				}
				return altered(c.forward(), func(doc map[string]any) {
					for _, s := range streamsIn(doc) {
						if c.origin {
							s.(map[string]any)["config"].(map[string]any)["allow_msg_ttl"] = false
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
		_, fleet := all(t, patience, func(c call) []byte {
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
			fake := newFake(t, url, func(c call) []byte {
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
			if _, err := reader(t, url, fake.own, patience).All(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("at %s: %v, want %v", at, err, context.Canceled)
			}
			cancel()
		}
	})
}
