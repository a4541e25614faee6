package check

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"
	"testing"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want one that is %v", err, want)
	}
}

// touched lists the fields whose bytes, or whose presence, are not the same.
func touched(before, after stream.Raw) []string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(field string) bool {
		was, wasThere := before[field]
		is, isThere := after[field]
		return wasThere == isThere && bytes.Equal(was, is)
	})
}

func wantTouched(t testing.TB, before, after stream.Raw, fields ...string) {
	t.Helper()
	if got := touched(before, after); !slices.Equal(got, fields) {
		t.Errorf("fields touched: %q, want %q", got, fields)
	}
}

// change is a [kvcfg.Change] that is easy to write down and to compare.
type change struct{ field, from, to, source string }

func readable(changes []kvcfg.Change) []change {
	var r []change
	for _, c := range changes {
		r = append(r, change{c.Field, string(c.From), string(c.To), c.Source})
	}
	return r
}

func wantChanges(t testing.TB, got []kvcfg.Change, want ...change) {
	t.Helper()
	if !slices.Equal(readable(got), want) {
		t.Errorf("changes:\n got %q\nwant %q", readable(got), want)
	}
}

func wantValue(t testing.TB, raw stream.Raw, field, want string) {
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
func wantPlanned(t testing.TB, current stream.Raw, p kvcfg.Plan, about []string, unsaid ...string) {
	t.Helper()
	want, have := maps.Clone(current), maps.Clone(p.Config)
	for _, c := range p.Changes {
		if got := cmp.Or(string(current[c.Field]), "null"); string(c.From) != got {
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
