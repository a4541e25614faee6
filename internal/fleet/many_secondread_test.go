package fleet

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/natstest"
)

// A mirror that seems to be behind is read twice, and much can have become of it
// by then.
func (f *manyMirrors) testSecondRead(t *testing.T) {
	t.Run("the second look", func(t *testing.T) {
		t.Parallel()
		slow(t)
		fake, fleet := f.all(t, shortTimeout, func(c call) []byte {
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
			case c.origin && strings.HasPrefix(c.subject, "CONSUMER.CREATE."+suspect(9)): // and nobody says what is left
				return nobody
			}
			return data
		})
		findings := map[string]string{}
		for _, m := range fleet.Mirrors {
			twice := slices.Contains([]string{suspect(0), suspect(1), suspect(6), suspect(8), suspect(9)}, "KV_"+m.Bucket)
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
		if n := fake.asked(true, "CONSUMER.CREATE"); n != 2 {
			t.Errorf("%d origins were asked what is left, want 2", n)
		}
	})

	// What waited for a connection that does not come back waits for no second look.
	t.Run("the connection is lost before the second look", func(t *testing.T) {
		t.Parallel()
		slow(t)
		fake := newFake(t, f.url, func(c call) []byte {
			data := c.forward()
			if c.is(false, "STREAM.LIST") {
				data = altered(data, behind)
			}
			return data
		})
		p := natstest.ProxyTo(t, f.servers.Leaf)
		p.SetHook(func(m natstest.Message) natstest.Verdict {
			if m.Direction == natstest.ToServer && m.Subject == fake.origins+".STREAM.LIST" && !strings.Contains(string(m.Payload), `:0}`) {
				p.Refuse(true)
				return natstest.Cut
			}
			return natstest.Pass
		})
		fleet, err := reader(t, p.URL(), fake.own, shortTimeout).All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var looks []Problem
		for _, p := range fleet.Problems {
			if strings.Contains(p.What, "a second time") || strings.HasPrefix(p.What, "bucket") {
				looks = append(looks, p)
			}
		}
		if len(looks) != 1 || !errors.Is(looks[0], jsapi.ErrDisconnected) || !strings.Contains(looks[0].What, "mirrors that seem to be wrong") {
			t.Errorf("problems %v", fleet.Problems)
		}
		if len(fleet.Mirrors) < jsapi.PageSize || mirror(t, fleet, first).Facts.Origin == nil {
			t.Errorf("%d mirrors were read", len(fleet.Mirrors))
		}
	})

	t.Run("named, and gone at the second look", func(t *testing.T) {
		t.Parallel()
		var once sync.Once
		fake := newFake(t, f.url, func(c call) []byte {
			data := c.forward()
			if c.is(false, "STREAM.INFO.KV_"+first) {
				answer := []byte(notFound)
				once.Do(func() { answer = altered(data, behind) })
				return answer
			}
			return data
		})
		fleet, err := reader(t, f.url, fake.own, longTimeout).Named(t.Context(), []string{first, last})
		if err != nil {
			t.Fatal(err)
		}
		problem(t, fleet, 1, jsapi.ErrNotFound, `bucket "`+first+`"`)
	})
}

// behind makes ten mirrors of a list, or one that was read alone, seem to be behind.
func behind(doc map[string]any) {
	for i := range 10 {
		if s := streamIn(doc, suspect(i)); s != nil {
			s["state"].(map[string]any)["last_seq"] = 0
			s["state"].(map[string]any)["messages"] = 0
		}
	}
}

func config(data []byte, change func(config map[string]any)) []byte {
	return altered(data, func(doc map[string]any) { change(doc["config"].(map[string]any)) })
}
