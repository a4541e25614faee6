//go:build faults

package compat

import (
	"context"
	"flag"
	"reflect"
	"testing"
	"time"
)

var (
	scale  = flag.Int("scale", 100, "with less than 100, only the versions that differ most are tested")
	update = flag.Bool("update", false, "write the table of all versions into docs/versions.md")
)

// all says that all versions are tested, and the whole table of docs/versions.md.
func all() bool { return *scale >= 100 }

// TestServerVersions plays the life of a mirror on pairs of servers, and holds
// what it saw against what is expected and against docs/versions.md.
func TestServerVersions(t *testing.T) {
	t.Parallel()
	ctx := beforeDeadline(t)
	b := build(ctx, t)
	seen := newTable(versions())
	t.Run("pairs", func(t *testing.T) {
		for _, v := range versions() {
			if all() || v.usual {
				t.Run(v.version+" below "+current, func(t *testing.T) {
					t.Parallel()
					saw := b.play(ctx, t, current, v.version, v.leaf)
					compare(t, saw, v.leaf)
					seen.below(v.version, saw)
				})
			}
			if all() || v.usualAbove {
				t.Run(v.version+" above "+current, func(t *testing.T) {
					t.Parallel()
					saw := b.play(ctx, t, v.version, current, v.hub)
					compare(t, saw, v.hub)
					seen.above(v.version, saw)
				})
			}
		}
	})
	t.Logf("what was seen:\n\n%s", seen)
	seen.checkPage(t)
}

// compare says in what a behaviour is not the expected one.
func compare(t *testing.T, saw, want behaviour) {
	t.Helper()
	s, w := reflect.ValueOf(saw), reflect.ValueOf(want)
	for i := range s.NumField() {
		if got, want := s.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is\n%+v, want\n%+v", s.Type().Field(i).Name, got, want)
		}
	}
}

// beforeDeadline is a context that ends somewhat before the test is killed for
// taking too long.
func beforeDeadline(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	if deadline, ok := t.Deadline(); ok {
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-15*time.Second))
	}
	t.Cleanup(cancel)
	return ctx
}
