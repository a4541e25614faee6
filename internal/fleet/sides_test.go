package fleet

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/natstest"
)

// twoSites is a hub with a bucket and a mirror of it on two leaves.
func twoSites(t *testing.T) *natstest.Domains {
	t.Helper()
	sites, err := natstest.HubAndLeaves(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sites.Stop)
	create(t, sites.Hub, bucketOf("demo"))
	for _, leaf := range sites.Leaves {
		create(t, leaf, mirrorAt("m", "demo", "hub"))
		settled(t, leaf, map[string]uint64{"m": 2})
	}
	return sites
}

// domains reads those of the sites, and others.
func domains(t *testing.T, sites *natstest.Domains, timeout time.Duration, others ...string) *Reader {
	t.Helper()
	r := reader(t, sites.Hub.URL(), "$JS.API", timeout)
	r.Own = nil
	for _, name := range slices.Concat(sites.Names, others) {
		r.Own = append(r.Own, r.Conn.At("$JS."+name+".API"))
	}
	return r
}

// The mirrors of several domains are one fleet, in which one of the same name in each
// domain is another mirror; an origin of them all is read once.
func TestDomains(t *testing.T) {
	t.Parallel()
	sites := twoSites(t)
	for name, read := range map[string]func(*Reader) (Fleet, error){
		"all":   func(r *Reader) (Fleet, error) { return r.All(t.Context()) },
		"named": func(r *Reader) (Fleet, error) { return r.Named(t.Context(), []string{"m"}) },
	} {
		p := natstest.ProxyTo(t, sites.Hub)
		r := domains(t, sites, longTimeout)
		r.Conn = reader(t, p.URL(), "$JS.API", longTimeout).Conn
		for i, api := range r.Own {
			r.Own[i] = r.Conn.At(api.Prefix())
		}
		f, err := read(r)
		if err != nil || len(f.Problems) > 0 || len(f.Mirrors) != 2 {
			t.Fatalf("%s: %d mirrors, problems %v, %v", name, len(f.Mirrors), f.Problems, err)
		}
		for i, m := range f.Mirrors {
			if m.Domain != sites.Names[i] || m.Bucket != "m" || m.Prefix() != "$JS."+sites.Names[i]+".API" || m.Facts.Origin == nil {
				t.Errorf("%s: mirror %d is %q in %q behind %q, origin %v", name, i, m.Bucket, m.Domain, m.Prefix(), m.Facts.OriginUnread)
			}
		}
		if n := p.Traffic().Count("$JS.hub.API.STREAM.INFO.KV_demo"); n != 1 {
			t.Errorf("%s: the origin is read %d times", name, n)
		}
	}
}

// What a domain that does not answer has is not known, and all is known of the others.
func TestSilentDomain(t *testing.T) {
	t.Parallel()
	sites := twoSites(t)
	f, err := domains(t, sites, 4*time.Second, "nosuch").All(t.Context())
	if err != nil || len(f.Mirrors) != 2 || len(unreadOnes(f)) > 0 {
		t.Fatalf("%d mirrors, %v", len(f.Mirrors), err)
	}
	if len(f.Problems) != 1 || !errors.Is(f.Problems[0], jsapi.ErrNoResponders) || !strings.HasPrefix(f.Problems[0].Error(), `domain "nosuch": `) {
		t.Errorf("problems %v", f.Problems)
	}
	if s := f.Sides[2]; s.Err == nil || s.Empty || len(f.Empty()) > 0 {
		t.Errorf("side %+v", s)
	}
	_, err = domains(t, &natstest.Domains{Hub: sites.Hub}, longTimeout, "nosuch", "neither").All(t.Context())
	if !errors.Is(err, jsapi.ErrNoResponders) || !strings.Contains(err.Error(), `domain "nosuch": `) || !strings.Contains(err.Error(), `; domain "neither": `) {
		t.Errorf("no domain answers: %v", err)
	}
}

// A domain is read while another one is waited for: here the first answers only when the
// second has been asked for its list.
func TestDomainsSideBySide(t *testing.T) {
	t.Parallel()
	sites := twoSites(t)
	asked := make(chan struct{})
	var once sync.Once
	slow := newFake(t, sites.Leaves[0].URL(), func(c call) []byte {
		if c.subject == "STREAM.NAMES" || c.subject == "STREAM.LIST" {
			select {
			case <-asked:
			case <-time.After(longTimeout):
				return nil
			}
		}
		return c.forward()
	})
	other := newFake(t, sites.Leaves[1].URL(), func(c call) []byte {
		if c.subject == "STREAM.NAMES" || c.subject == "STREAM.LIST" {
			once.Do(func() { close(asked) })
		}
		return c.forward()
	})
	slow.knownAt(t, sites.Hub)
	other.knownAt(t, sites.Hub)
	r := reader(t, sites.Hub.URL(), "$JS.API", longTimeout)
	r.Own = []*jsapi.API{r.Conn.At(slow.own), r.Conn.At(other.own)}
	f, err := r.All(t.Context())
	if err != nil || len(f.Mirrors) != 2 || len(f.Problems) > 0 {
		t.Errorf("%d mirrors, problems %v, %v", len(f.Mirrors), f.Problems, err)
	}
}
