package jsapi

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The messages of each subject are counted, unless there are more than was asked for.
func TestSubjectMessages(t *testing.T) {
	t.Parallel()
	s := start(t, alone)
	api := connect(t, s.URL(), time.Minute).At("$JS.API")
	js := newStream(t, dial(t, s.URL()), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	for i := range 7 {
		if _, err := js.js.Publish(t.Context(), fmt.Sprintf("s.%s", []string{"a.x", "a.y.z", "b"}[i%3]), nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := api.SubjectMessages(t.Context(), "S", "s.a.>", 5)
	if err != nil || !maps.Equal(got, map[string]uint64{"s.a.x": 3, "s.a.y.z": 2}) {
		t.Error(got, err)
	}
	if got, err := api.SubjectMessages(t.Context(), "S", "s.a.>", 4); !errors.Is(err, ErrNotCounted) {
		t.Error(got, err)
	}
	// JSON makes one key of these two.
	for _, subject := range []string{"s.c.\xff", "s.c.\ufffd"} {
		if _, err := js.js.Publish(t.Context(), subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := api.SubjectMessages(t.Context(), "S", "s.c.>", 2); !errors.Is(err, ErrNotCounted) {
		t.Error(got, err)
	}
	js.noConsumers(t)
}
