package mirror

import (
	"testing"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// A message that only one side holds has expired on the other, or is missing.
func TestMayHaveExpired(t *testing.T) {
	const brief, long, never = "Nats-TTL: 5s\n", "Nats-TTL: 9h\n", "Nats-TTL: never\n"
	for _, test := range []struct {
		name            string
		maxAge          time.Duration
		ttl             string
		old             bool // by an hour
		sourced, ofCopy bool
		want            bool
	}{
		{name: "no limit", old: true},
		{name: "aged", maxAge: time.Minute, old: true, want: true},
		{name: "not yet aged", maxAge: time.Minute},
		{name: "soon to age", maxAge: 5 * time.Second},
		{name: "kept from expiring by age", maxAge: time.Minute, ttl: never, old: true},
		{name: "expired", ttl: brief, old: true, want: true},
		{name: "not yet expired", ttl: long, old: true},
		{name: "soon to expire", ttl: brief},
		{name: "sourced and aged", maxAge: time.Minute, old: true, sourced: true, want: true},
		{name: "sourced and not yet aged", maxAge: time.Minute, sourced: true},
		{name: "sourced and not yet expired", ttl: long, sourced: true},
		{name: "sourced before an unknown time", maxAge: time.Minute, sourced: true, ofCopy: true, want: true},
		{name: "sourced before an unknown time, with a TTL", ttl: long, sourced: true, ofCopy: true, want: true},
		{name: "sourced, without an end", maxAge: time.Minute, ttl: never, sourced: true, ofCopy: true},
	} {
		p := &CopyPlan{Copy: kvcfg.Copy{Sourced: test.sourced}}
		p.mirror = &stream.Info{Config: stream.Config{AllowMsgTTL: true, MaxAge: test.maxAge}}
		// The new one is not even stored yet, so that a slow machine changes nothing.
		stored := time.Now().Add(time.Hour)
		if test.old {
			stored = time.Now().Add(-time.Hour)
		}
		h := &jsapi.MsgMeta{Time: stored.UnixNano(), ControlHeaders: []byte(test.ttl)}
		if got := p.mayHaveExpired(h, test.ofCopy); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}
