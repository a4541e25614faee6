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

// ttlOrigin is an origin that has all that a mirror can take.
func ttlOrigin() *Config {
	return &Config{Name: "KV_demo", AllowMsgTTL: true, MaxMsgsPerSubject: 5, MaxAge: time.Hour, MaxMsgSize: 1 << 20}
}
