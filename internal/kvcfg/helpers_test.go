package kvcfg

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// recorded reads a configuration that a server has sent, from testdata.
func recorded(t testing.TB, name string) Raw {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}

func parse(t testing.TB, text string) Raw {
	t.Helper()
	raw, err := ParseRaw([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func typed(t testing.TB, raw Raw) Config {
	t.Helper()
	c, err := raw.Config()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want one that is %v", err, want)
	}
}

// touched lists the fields whose bytes, or whose presence, are not the same.
func touched(before, after Raw) []string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(field string) bool {
		was, wasThere := before[field]
		is, isThere := after[field]
		return wasThere == isThere && bytes.Equal(was, is)
	})
}

func wantTouched(t testing.TB, before, after Raw, fields ...string) {
	t.Helper()
	if got := touched(before, after); !slices.Equal(got, fields) {
		t.Errorf("fields touched: %q, want %q", got, fields)
	}
}

// change is a Change that is easy to write down and to compare.
type change struct{ field, from, to, source string }

func readable(changes []Change) []change {
	var r []change
	for _, c := range changes {
		r = append(r, change{c.Field, string(c.From), string(c.To), c.Source})
	}
	return r
}

func wantChanges(t testing.TB, got []Change, want ...change) {
	t.Helper()
	if !slices.Equal(readable(got), want) {
		t.Errorf("changes:\n got %q\nwant %q", readable(got), want)
	}
}

func wantValue(t testing.TB, raw Raw, field, want string) {
	t.Helper()
	if got := string(raw[field]); got != want {
		t.Errorf("%s is %s, want %s", field, got, want)
	}
}

// wantKnown asserts that an error is one of those that are promised.
func wantKnown(t testing.TB, err error, known []error) {
	t.Helper()
	if !slices.ContainsFunc(known, func(e error) bool { return errors.Is(err, e) }) {
		t.Errorf("an error of no kind: %v", err)
	}
}

// wantPlanned asserts that a plan changes a configuration in nothing but fields that
// it is about, and tells of each change; unsaid are fields that it may drop without
// a word.
func wantPlanned(t testing.TB, current Raw, p Plan, about []string, unsaid ...string) {
	t.Helper()
	want, have := maps.Clone(current), maps.Clone(p.Config)
	for _, c := range p.Changes {
		if got := string(orNull(current[c.Field])); string(c.From) != got {
			t.Errorf("%s changes from %s, but it is %s", c.Field, c.From, got)
		}
		if !slices.Contains(about, c.Field) {
			t.Errorf("%s changes to %s, which nobody asked for", c.Field, c.To)
		}
		want[c.Field] = c.To
	}
	for _, field := range unsaid {
		delete(want, field)
		delete(have, field)
	}
	wantTouched(t, want, have)
}

// seeds are the configurations that servers have sent, as a fuzzer takes them.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	var all [][]byte
	for _, file := range []string{"mirror-2.10.29.json", "mirror-2.11.6.json", "mirror-2.15.2.json", "mirror-odd.json"} {
		all = append(all, mustJSON(recorded(t, file)))
	}
	return all
}

// ttlOrigin is an origin that has all that a mirror can take.
func ttlOrigin() *Config {
	return &Config{Name: "KV_demo", AllowMsgTTL: true, MaxMsgsPerSubject: 5, MaxAge: time.Hour, MaxMsgSize: 1 << 20}
}
