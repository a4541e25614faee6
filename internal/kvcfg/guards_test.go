package kvcfg

import (
	"errors"
	"testing"

	"nats-kvmirror/internal/stream"
)

// A destination that can become a subject of a bucket is one that loops.
func TestRepublishLoops(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		destination string
		subjects    []string
		loops       bool
	}{
		{"copy.>", nil, false},
		{"$KV.demo.>", nil, true},
		{"$KV.other.{{wildcard(1)}}", nil, true},
		{"$KV.>", nil, true},
		{">", nil, true},
		{"*.demo.>", nil, true},
		{"{{wildcard(1)}}.>", nil, true},
		{"$1.x", nil, true},
		{"{{split(1,-)}}", nil, true},
		{"copy.{{wildcard(1)}}.$2", nil, false},
		{"copy.{{split(1,-)}}.x", nil, false},
		{"$KV", nil, false},
		{"$KVX.demo.>", nil, false},
		{"in.>", []string{"$KV.demo.>", "in.*"}, true},
		{"in.a.b", []string{"in.*"}, false},
	} {
		if got := RepublishLoops(test.destination, test.subjects...); got != test.loops {
			t.Errorf("%q, %q: %t", test.destination, test.subjects, got)
		}
	}
}

// What loops, and an origin that its mirror would empty, is refused in each plan.
func TestGuards(t *testing.T) {
	t.Parallel()
	origin := &stream.Config{Name: "KV_demo", Subjects: []string{"$KV.demo.>", "in.>"}, MaxMsgsPerSubject: 1}
	mirror := stream.Raw{}
	mirror.Set("name", "KV_m")
	mirror.Set("mirror", stream.Source{Name: "KV_demo"})
	for _, destination := range []string{"$KV.demo.>", "in.x"} {
		s := Settings{RePublish: &RePublishSettings{Destination: destination}}
		_, err := New(NewMirror{Bucket: "m", Origin: Origin{Bucket: "demo"}, Settings: s}, origin)
		_, edited := Edit(mirror, origin, Edits{Settings: s})
		if !errors.Is(err, ErrInvalidSetting) || !errors.Is(edited, ErrInvalidSetting) {
			t.Errorf("%q: %v and %v", destination, err, edited)
		}
	}
	for _, retention := range []string{"workqueue", "interest"} {
		empties := *origin
		empties.Retention = retention
		_, err := New(NewMirror{Bucket: "m", Origin: Origin{Bucket: "demo"}}, &empties)
		_, again := Recreate(mirror, Recreation{Origin: Origin{Bucket: "demo"}}, empties)
		if !errors.Is(err, ErrRetention) || !errors.Is(again, ErrRetention) {
			t.Errorf("%s: %v and %v", retention, err, again)
		}
	}
}
