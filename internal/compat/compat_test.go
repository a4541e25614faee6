// Package compat holds no code, only tests: the real command against real
// nats-servers of many versions, each as a mirror's server below a hub of the
// current version, and as the hub above a leaf of the current version.
//
// The servers are installed from the Go module proxy when they are first wanted.
// By default a few versions are looked at; all of them, and the whole table of the
// README, with
//
//	go test ./internal/compat -all -v -timeout 30m
//
// and -all -update writes that table into the README.
package compat

import (
	"context"
	"flag"
	"reflect"
	"testing"
	"time"
)

var (
	all    = flag.Bool("all", false, "look at all versions, and at the whole table in the README")
	update = flag.Bool("update", false, "with -all: write the table into the README")
)

// TestServerVersions plays the life of a mirror on pairs of servers, and holds
// what it saw against what is expected and against the README.
func TestServerVersions(t *testing.T) {
	t.Parallel()
	ctx := beforeDeadline(t)
	b := build(ctx, t)
	seen := newTable(versions())
	t.Run("pairs", func(t *testing.T) {
		for _, v := range versions() {
			if *all || v.usual {
				t.Run(v.version+" below "+current, func(t *testing.T) {
					t.Parallel()
					saw := b.play(ctx, t, current, v.version, v.leaf)
					compare(t, saw, v.leaf)
					seen.below(v.version, saw)
				})
			}
			if *all || v.usualAbove {
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
	seen.checkReadme(t)
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
