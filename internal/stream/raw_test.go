package stream_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
	"nats-kvmirror/internal/stream/streamtest"
)

func TestParseRaw(t *testing.T) {
	raw := streamtest.Parse(t, `{"name": "KV_a", "huge" : 18446744073709551616.10, "odd": { "b" : 1, "a" : [ 1 , null ] } , "text":"\u003c<"}`)
	for field, want := range map[string]string{
		"name": `"KV_a"`, "huge": "18446744073709551616.10", "odd": `{ "b" : 1, "a" : [ 1 , null ] }`, "text": `"\u003c<"`,
	} {
		if got := string(raw[field]); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
	for _, text := range []string{"", "null", "[]", `"x"`, "1", "{", `{"a":}`, `{"a":1} x`, `{"a":1}{}`} {
		if _, err := stream.ParseRaw([]byte(text)); !errors.Is(err, stream.ErrMalformed) {
			t.Errorf("%s: error is %v, want one that is %v", text, err, stream.ErrMalformed)
		}
	}
}

func TestConfigMalformed(t *testing.T) {
	for _, text := range []string{
		`{"name": 1}`, `{"allow_msg_ttl": "yes"}`, `{"max_age": 1.5}`, `{"max_msgs": 9223372036854775808}`,
		`{"mirror": "KV_a"}`, `{"metadata": {"a": 1}}`, `{"subjects": "x"}`,
	} {
		if _, err := streamtest.Parse(t, text).Config(); !errors.Is(err, stream.ErrMalformed) {
			t.Errorf("%s: error is %v, want one that is %v", text, err, stream.ErrMalformed)
		}
	}
	_, err := stream.Raw{"x": json.RawMessage("{")}.Config()
	if !errors.Is(err, stream.ErrMalformed) {
		t.Errorf("error is %v, want one that is %v", err, stream.ErrMalformed)
	}
}

func TestNotIn(t *testing.T) {
	same := map[string][]string{ // spellings of the same meaning, the first being "absent"
		"max_bytes":                 {"", "null", "0", "-1"},
		"max_msgs":                  {"", "null", "0", "-1"},
		"max_msg_size":              {"", "null", "0", "-1"},
		"max_consumers":             {"", "null", "0", "-1"},
		"max_msgs_per_subject":      {"", "null", "0", "-1"},
		"num_replicas":              {"", "null", "0", "1"},
		"compression":               {"", "null", `""`, `"none"`},
		"retention":                 {"", "null", `""`, `"limits"`},
		"storage":                   {"", "null", `""`, `"file"`},
		"discard":                   {"", "null", `""`, `"old"`},
		"max_age":                   {"", "null", "0"},
		"allow_msg_ttl":             {"", "null", "false"},
		"description":               {"", "null", `""`},
		"placement":                 {"", "null", "{}", `{"cluster":""}`, `{"tags":[]}`, `{"tags":null,"cluster":""}`},
		"metadata":                  {"", "null", "{}", `{"_nats.ver":"2.11.6"}`, `{"_nats.level":"1","_nats.x":""}`},
		"subjects":                  {"", "null", "[]"},
		"an_unknown_field":          {"", "null", "0", "false", `""`, "{}", "[]"},
		"subject_delete_marker_ttl": {"", "null", "0"},
	}
	for field, spellings := range same {
		t.Run(field, func(t *testing.T) {
			for _, a := range spellings {
				for _, b := range spellings {
					if got := one(field, a).NotIn(one(field, b)); (a != "") && len(got) > 0 {
						t.Errorf("asked for %s, got %q: they differ", a, b)
					}
				}
			}
		})
	}

	equal := []struct{ field, a, b string }{
		{"metadata", `{"a":"b"}`, `{ "_nats.ver": "2.11.6", "a": "b" }`},
		{"mirror", `{"name":"KV_a","external":{"api":"x","deliver":""}}`, `{"external":{"api":"x"},"name":"KV_a"}`},
		{"republish", `{"dest":"x.>"}`, `{"src":">","dest":"x.>","headers_only":false}`},
		{"republish", `{"src":"","dest":"x.>"}`, `{"src":"\u003e","dest":"x.>"}`},
		{"placement", `{"cluster":"c","tags":["a","b"]}`, `{"tags":["a","b"],"cluster":"c","preferred":""}`},
		{"future", `9007199254740993`, ` 9007199254740993`},
	}
	for _, test := range equal {
		if got := one(test.field, test.a).NotIn(one(test.field, test.b)); len(got) > 0 {
			t.Errorf("%s: %s and %s differ", test.field, test.a, test.b)
		}
	}

	different := []struct{ field, a, b string }{
		{"max_bytes", "1", "-1"},
		{"max_bytes", "1", ""},
		{"num_replicas", "3", ""},
		{"compression", `"s2"`, `"none"`},
		{"storage", `"memory"`, ""},
		{"discard", `"new"`, ""},
		{"retention", `"workqueue"`, ""},
		{"max_age", "1", "0"},
		{"allow_msg_ttl", "true", "false"},
		{"allow_msg_ttl", "true", ""},
		{"description", `"a"`, `"b"`},
		{"metadata", `{"a":"b"}`, `{"_nats.ver":"2.11.6"}`},
		{"metadata", `{"a":"b"}`, `{"a":"b","c":"d"}`},
		{"placement", `{"tags":["a","b"]}`, `{"tags":["b","a"]}`},
		{"placement", `{"tags":["a"]}`, `{"tags":["a"],"preferred":"n1"}`},
		{"mirror", `{"name":"KV_a"}`, `{"name":"KV_b"}`},
		{"mirror", `{"name":"KV_a"}`, ""},
		{"republish", `{"dest":"x.>"}`, `{"src":"a.>","dest":"x.>"}`},
		{"republish", `{"dest":"x.>","headers_only":true}`, `{"dest":"x.>"}`},
		{"future", "9007199254740993", "9007199254740992"},
		{"future", "18446744073709551615", "18446744073709551614"},
		// Once got wrong: a metadata key of no value is taken for no key.
		{"metadata", `{"a":""}`, `{}`},
	}
	for _, test := range different {
		if got := one(test.field, test.a).NotIn(one(test.field, test.b)); !slices.Equal(got, []string{test.field}) {
			t.Errorf("%s: %s and %s do not differ", test.field, test.a, test.b)
		}
	}
}

// TestNotInLooksAtWhatWasAsked, in order, and at nothing else.
func TestNotInLooksAtWhatWasAsked(t *testing.T) {
	asked := streamtest.Parse(t, `{"b": 2, "a": 1, "same": [1]}`)
	got := streamtest.Parse(t, `{"a": 2, "same": [ 1 ], "only_here": 1}`)
	if fields := asked.NotIn(got); !slices.Equal(fields, []string{"a", "b"}) {
		t.Errorf("differing: %q", fields)
	}
	odd := streamtest.Recorded(t, "mirror-odd.json")
	if fields := odd.NotIn(streamtest.Recorded(t, "mirror-odd.json")); len(fields) > 0 {
		t.Errorf("a configuration differs from itself in %q", fields)
	}
}

// one is a configuration of one field, of none when value is empty.
func one(field, value string) stream.Raw {
	if value == "" {
		return stream.Raw{}
	}
	return stream.Raw{field: json.RawMessage(value)}
}

func FuzzParseRaw(f *testing.F) {
	for _, data := range streamtest.Seeds(f) {
		f.Add(data)
	}
	for _, text := range []string{"", "null", "{}", "[]", `{"name":"KV_a","mirror":{"name":"KV_b"}}`, `{"a":1,"a":2}`, `{"Name":"KV_x"}`, "{\"\xff\":1}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, err := stream.ParseRaw(data)
		if err != nil {
			if !errors.Is(err, stream.ErrMalformed) {
				t.Errorf("error is %v, want one that is %v", err, stream.ErrMalformed)
			}
			return
		}
		if fields := raw.NotIn(raw); len(fields) > 0 {
			t.Errorf("it differs from itself in %q", fields)
		}
		config, configErr := raw.Config()
		if configErr != nil {
			if !errors.Is(configErr, stream.ErrMalformed) {
				t.Errorf("error is %v, want one that is %v", configErr, stream.ErrMalformed)
			}
		}

		// What goes to a server means what came from it.
		sent, err := json.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		again, err := stream.ParseRaw(sent)
		if err != nil {
			t.Fatalf("%s: %v", sent, err)
		}
		if a, b := raw.NotIn(again), again.NotIn(raw); len(a)+len(b) > 0 {
			t.Errorf("sent and read again, it differs in %q and %q", a, b)
		}
		if c, err := again.Config(); (err == nil) != (configErr == nil) || !reflect.DeepEqual(c, config) {
			t.Errorf("sent and read again, it is %+v, %v and not %+v, %v", c, err, config, configErr)
		}

		bucketErr, mirrorErr := kvcfg.CheckBucket(config), kvcfg.CheckMirror(config)
		if mirrorErr == nil && (bucketErr != nil || config.Mirror == nil) {
			t.Errorf("a mirror that is no bucket: %v", bucketErr)
		}
		if _, err := kvcfg.OriginOf(config); (err == nil) != (mirrorErr == nil) {
			t.Errorf("origin of it: %v; but as a mirror: %v", err, mirrorErr)
		}
	})
}
