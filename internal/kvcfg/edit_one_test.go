package kvcfg

import (
	"encoding/json"
	"maps"
	"reflect"
	"testing"
	"time"

	"nats-kvmirror/internal/stream/streamtest"
)

// oneSetting is an edit of mirror-odd.json that sets one thing.
type oneSetting struct {
	setting Settings
	changes []change
}

// oneSettings has an edit, or several, for each field of Settings.
var oneSettings = map[string][]oneSetting{
	"Description": {
		{Settings{Description: new("new")}, []change{{"description", `"odd <one> & \u00fcber"`, `"new"`, FromFlag}}},
		{Settings{Description: new("")}, []change{{"description", `"odd <one> & \u00fcber"`, "null", FromFlag}}},
		{Settings{Description: new("odd <one> & über")}, nil},
	},
	"History": {
		{Settings{History: new(int64(8))}, []change{{"max_msgs_per_subject", "7", "8", FromFlag}}},
		{Settings{History: new(int64(7))}, nil},
	},
	"Storage": {
		{Settings{Storage: new("memory")}, nil},
	},
	"TTL": {
		{Settings{TTL: new(2 * time.Hour)}, []change{{"max_age", "3600000000000", "7200000000000", FromFlag}}},
		{Settings{TTL: new(time.Minute)}, []change{{"max_age", "3600000000000", "60000000000", FromFlag}}},
		{Settings{TTL: new(30 * time.Second)}, []change{
			{"max_age", "3600000000000", "30000000000", FromFlag},
			{"duplicate_window", "60000000000", "30000000000", FromDerived},
		}},
		{Settings{TTL: new(time.Duration(0))}, []change{{"max_age", "3600000000000", "0", FromFlag}}},
		{Settings{TTL: new(time.Hour)}, nil},
	},
	"Replicas": {
		{Settings{Replicas: new(int64(1))}, []change{{"num_replicas", "3", "1", FromFlag}}},
		{Settings{Replicas: new(int64(3))}, nil},
	},
	"MaxValueSize": {
		{Settings{MaxValueSize: new(int64(4096))}, []change{{"max_msg_size", "null", "4096", FromFlag}}},
		{Settings{MaxValueSize: new(int64(0))}, nil},
	},
	"MaxBucketSize": {
		{Settings{MaxBucketSize: new(int64(9007199254740992))}, []change{{"max_bytes", "9007199254740993", "9007199254740992", FromFlag}}},
		{Settings{MaxBucketSize: new(int64(0))}, []change{{"max_bytes", "9007199254740993", "-1", FromFlag}}},
		{Settings{MaxBucketSize: new(int64(9007199254740993))}, nil},
	},
	"Tags": {
		{Settings{Tags: []string{"hdd"}}, []change{{
			"placement",
			`{"cluster": "east", "tags": ["ssd", "eu"], "preferred": "n-1", "weights": {"n-1": 9007199254740995}}`,
			`{"cluster":"east","preferred":"n-1","tags":["hdd"],"weights":{"n-1":9007199254740995}}`, FromFlag,
		}}},
		{Settings{Tags: []string{"ssd", "eu"}}, nil},
	},
	"Cluster": {
		{Settings{Cluster: new("west")}, []change{{
			"placement",
			`{"cluster": "east", "tags": ["ssd", "eu"], "preferred": "n-1", "weights": {"n-1": 9007199254740995}}`,
			`{"cluster":"west","preferred":"n-1","tags":["ssd","eu"],"weights":{"n-1":9007199254740995}}`, FromFlag,
		}}},
		{Settings{Cluster: new("")}, []change{{
			"placement",
			`{"cluster": "east", "tags": ["ssd", "eu"], "preferred": "n-1", "weights": {"n-1": 9007199254740995}}`,
			`{"preferred":"n-1","tags":["ssd","eu"],"weights":{"n-1":9007199254740995}}`, FromFlag,
		}}},
		{Settings{Cluster: new("east")}, nil},
	},
	"Compress": {
		{Settings{Compress: new(false)}, []change{{"compression", `"zstd"`, `"none"`, FromFlag}}},
		{Settings{Compress: new(true)}, nil}, // with the algorithm that it has
	},
	"Metadata": {
		{Settings{Metadata: map[string]string{"team": "kv"}}, []change{{
			"metadata",
			`{"owner": "ops", "_nats.level": "9", "_nats.req.level": "1", "_nats.ver": "2.99.1-RC.2", "_nats.future": "kept"}`,
			`{"_nats.future":"kept","_nats.level":"9","_nats.req.level":"1","_nats.ver":"2.99.1-RC.2","team":"kv"}`, FromFlag,
		}}},
		{Settings{Metadata: map[string]string{}}, []change{{
			"metadata",
			`{"owner": "ops", "_nats.level": "9", "_nats.req.level": "1", "_nats.ver": "2.99.1-RC.2", "_nats.future": "kept"}`,
			`{"_nats.future":"kept","_nats.level":"9","_nats.req.level":"1","_nats.ver":"2.99.1-RC.2"}`, FromFlag,
		}}},
		{Settings{Metadata: map[string]string{"owner": "ops"}}, nil},
	},
	"RePublish": {
		{Settings{RePublish: &RePublishSettings{Source: new(">"), Destination: "all.>"}}, []change{{
			"republish",
			`{"src": "$KV.demo.>", "dest": "copy.>", "queue": {"depth": 18446744073709551615}}`,
			// Once got wrong: the key that this program does not know is lost.
			`{"dest":"all.\u003e","queue":{"depth":18446744073709551615},"src":"\u003e"}`, FromFlag,
		}}},
		// Once got wrong: so it is here, where nothing is to be changed at all.
		{Settings{RePublish: &RePublishSettings{Source: new("$KV.demo.>"), Destination: "copy.>"}}, nil},
		{Settings{RePublish: &RePublishSettings{Destination: "copy.>", HeadersOnly: new(false)}}, nil},
		// Once got wrong: the source that nobody spoke of becomes the default.
		{Settings{RePublish: &RePublishSettings{Destination: "all.>", HeadersOnly: new(true)}}, []change{{
			"republish",
			`{"src": "$KV.demo.>", "dest": "copy.>", "queue": {"depth": 18446744073709551615}}`,
			`{"dest":"all.\u003e","headers_only":true,"queue":{"depth":18446744073709551615},"src":"$KV.demo.\u003e"}`, FromFlag,
		}}},
	},
	"AllowMsgTTL": {
		{Settings{AllowMsgTTL: new(true)}, []change{{"allow_msg_ttl", "null", "true", FromFlag}}},
		{Settings{AllowMsgTTL: new(false)}, nil},
	},
}

// TestEditOneWish changes one thing of a configuration that is as odd as can
// be: all that was not asked for keeps its bytes.
func TestEditOneWish(t *testing.T) {
	for i := range reflect.TypeFor[Settings]().NumField() {
		field := reflect.TypeFor[Settings]().Field(i).Name
		t.Run(field, func(t *testing.T) {
			if len(oneSettings[field]) == 0 {
				t.Error("no edit sets it")
			}
			for _, test := range oneSettings[field] {
				odd := streamtest.Recorded(t, "mirror-odd.json")
				p := edit(t, odd, nil, test.setting)
				wantChanges(t, p.Changes, test.changes...)
				want := maps.Clone(odd)
				for _, c := range test.changes {
					want[c.field] = json.RawMessage(c.to)
				}
				wantTouched(t, want, p.Config)
				wantChanges(t, edit(t, p.Config, nil, test.setting).Changes)
			}
		})
	}
}
