package kvcfg

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
)

func TestParseRaw(t *testing.T) {
	raw := parse(t, `{"name": "KV_a", "huge" : 18446744073709551616.10, "odd": { "b" : 1, "a" : [ 1 , null ] } , "text":"\u003c<"}`)
	for field, want := range map[string]string{
		"name": `"KV_a"`, "huge": "18446744073709551616.10", "odd": `{ "b" : 1, "a" : [ 1 , null ] }`, "text": `"\u003c<"`,
	} {
		wantValue(t, raw, field, want)
	}
	for _, text := range []string{"", "null", "[]", `"x"`, "1", "{", `{"a":}`, `{"a":1} x`, `{"a":1}{}`} {
		if _, err := ParseRaw([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error is %v, want one that is %v", text, err, ErrMalformed)
		}
	}
}

func TestConfigMalformed(t *testing.T) {
	for _, text := range []string{
		`{"name": 1}`, `{"allow_msg_ttl": "yes"}`, `{"max_age": 1.5}`, `{"max_msgs": 9223372036854775808}`,
		`{"mirror": "KV_a"}`, `{"metadata": {"a": 1}}`, `{"subjects": "x"}`,
	} {
		if _, err := parse(t, text).Config(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error is %v, want one that is %v", text, err, ErrMalformed)
		}
	}
	_, err := Raw{"x": json.RawMessage("{")}.Config()
	wantErr(t, err, ErrMalformed)
}

func TestDiffering(t *testing.T) {
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
					if got := one(field, a).Differing(one(field, b)); (a != "") && len(got) > 0 {
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
		if got := one(test.field, test.a).Differing(one(test.field, test.b)); len(got) > 0 {
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
		if got := one(test.field, test.a).Differing(one(test.field, test.b)); !slices.Equal(got, []string{test.field}) {
			t.Errorf("%s: %s and %s do not differ", test.field, test.a, test.b)
		}
	}
}

// TestDifferingLooksAtWhatWasAsked, in order, and at nothing else.
func TestDifferingLooksAtWhatWasAsked(t *testing.T) {
	asked := parse(t, `{"b": 2, "a": 1, "same": [1]}`)
	got := parse(t, `{"a": 2, "same": [ 1 ], "only_here": 1}`)
	if fields := asked.Differing(got); !slices.Equal(fields, []string{"a", "b"}) {
		t.Errorf("differing: %q", fields)
	}
	odd := recorded(t, "mirror-odd.json")
	if fields := odd.Differing(recorded(t, "mirror-odd.json")); len(fields) > 0 {
		t.Errorf("a configuration differs from itself in %q", fields)
	}
}

// one is a configuration of one field, of none when value is empty.
func one(field, value string) Raw {
	if value == "" {
		return Raw{}
	}
	return Raw{field: json.RawMessage(value)}
}

func FuzzParseRaw(f *testing.F) {
	for _, data := range seeds(f) {
		f.Add(data)
	}
	for _, text := range []string{"", "null", "{}", "[]", `{"name":"KV_a","mirror":{"name":"KV_b"}}`, `{"a":1,"a":2}`, `{"Name":"KV_x"}`, "{\"\xff\":1}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, err := ParseRaw(data)
		if err != nil {
			wantErr(t, err, ErrMalformed)
			return
		}
		if fields := raw.Differing(raw); len(fields) > 0 {
			t.Errorf("it differs from itself in %q", fields)
		}
		config, configErr := raw.Config()
		if configErr != nil {
			wantErr(t, configErr, ErrMalformed)
		}

		// What goes to a server means what came from it.
		sent, err := json.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseRaw(sent)
		if err != nil {
			t.Fatalf("%s: %v", sent, err)
		}
		if a, b := raw.Differing(again), again.Differing(raw); len(a)+len(b) > 0 {
			t.Errorf("sent and read again, it differs in %q and %q", a, b)
		}
		if c, err := again.Config(); (err == nil) != (configErr == nil) || !reflect.DeepEqual(c, config) {
			t.Errorf("sent and read again, it is %+v, %v and not %+v, %v", c, err, config, configErr)
		}

		bucketErr, mirrorErr := CheckBucket(config), CheckMirror(config)
		if mirrorErr == nil && (bucketErr != nil || config.Mirror == nil) {
			t.Errorf("a mirror that is no bucket: %v", bucketErr)
		}
		if _, err := OriginOf(config); (err == nil) != (mirrorErr == nil) {
			t.Errorf("origin of it: %v; but as a mirror: %v", err, mirrorErr)
		}
	})
}
