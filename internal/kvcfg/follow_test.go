package kvcfg

import (
	"testing"
	"time"

	"nats-kvmirror/internal/stream"
)

// choosing is a mirror whose metadata has these settings as chosen.
func choosing(c stream.Config, chosen string) stream.Config {
	c.Metadata = map[string]string{"owner": "ops", ChosenKey: chosen}
	return c
}

func TestFollowed(t *testing.T) {
	all := stream.Config{AllowMsgTTL: true, MaxAge: time.Hour, MaxMsgsPerSubject: 5, MaxMsgSize: 1024}
	none := stream.Config{MaxMsgsPerSubject: 1, MaxMsgSize: -1}
	since211 := none
	since211.Metadata = map[string]string{"_nats.ver": "2.15.2"}
	limited := stream.Config{MaxMsgs: 100, MaxBytes: 1 << 20, Discard: "old"}
	unlimited := stream.Config{MaxMsgs: -1, Discard: "new"}
	age := change{"max_age", "3600000000000", "0", FromOrigin}
	history := change{"max_msgs_per_subject", "5", "1", FromOrigin}
	size := change{"max_msg_size", "1024", "-1", FromOrigin}
	limits := []change{{"max_msgs", "-1", "100", FromOrigin}, {"max_bytes", "-1", "1048576", FromOrigin}, {"discard", `"new"`, `"old"`, FromOrigin}}
	tests := map[string]struct {
		mirror, origin  stream.Config
		differs, chosen []change
	}{
		"follows":         {all, all, nil, nil},
		"unlimited alike": {stream.Config{MaxAge: -1, MaxMsgsPerSubject: -1, MaxMsgSize: 0}, stream.Config{MaxMsgsPerSubject: 0, MaxMsgSize: -1}, nil, nil},
		"what a site sets itself": {
			stream.Config{Name: "KV_a", Storage: "memory", Replicas: 3, MaxBytes: 5, Discard: "new", Compression: "s2", Description: "x", Metadata: map[string]string{"a": "b"}},
			stream.Config{Name: "KV_b", Storage: "file", Replicas: 1, SubjectDeleteMarkerTTL: time.Hour}, nil, nil,
		},
		"nothing of it": {stream.Config{}, all, []change{
			{"allow_msg_ttl", "false", "true", FromOrigin},
			{"max_age", "0", "3600000000000", FromOrigin},
			{"max_msgs_per_subject", "-1", "5", FromOrigin},
			{"max_msg_size", "-1", "1024", FromOrigin},
		}, nil},
		"the other way round":      {all, since211, []change{age, history, size}, nil},
		"an origin of 2.10":        {all, none, []change{{"allow_msg_ttl", "true", "false", FromOrigin}, age, history, size}, nil},
		"one is chosen":            {choosing(all, "max_age"), since211, []change{history, size}, []change{age}},
		"all are chosen":           {choosing(all, "max_age,max_msg_size,max_msgs_per_subject"), since211, nil, []change{age, history, size}},
		"chosen, and the same":     {choosing(all, "max_age,max_msg_size"), all, nil, nil},
		"chosen per-key TTL":       {choosing(none, "allow_msg_ttl,max_age,max_msg_size,max_msgs_per_subject"), stream.Config{AllowMsgTTL: true, MaxMsgsPerSubject: 1}, nil, []change{{"allow_msg_ttl", "false", "true", FromOrigin}}},
		"a list with blanks":       {choosing(all, " max_age, ,max_msg_size "), since211, []change{history}, []change{age, size}},
		"the origin drops":         {unlimited, limited, limits, nil},
		"both drop alike":          {limited, limited, nil, nil},
		"the mirror drops":         {limited, unlimited, []change{{"max_msgs", "100", "-1", FromOrigin}, {"max_bytes", "1048576", "-1", FromOrigin}, {"discard", `"old"`, `"new"`, FromOrigin}}, nil},
		"limits are chosen at one": {choosing(unlimited, "max_bytes"), limited, nil, limits},
		"an origin that is full":   {unlimited, stream.Config{MaxBytes: 1 << 20, Discard: "new"}, nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			differs, chosen := Followed(test.mirror, test.origin)
			wantChanges(t, differs, test.differs...)
			wantChanges(t, chosen, test.chosen...)
		})
	}
}
