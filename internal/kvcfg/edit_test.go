package kvcfg

import (
	"encoding/json"
	"maps"
	"reflect"
	"testing"
	"time"
)

func edit(t *testing.T, current Raw, origin *Config, w Wishes) Plan {
	t.Helper()
	before := maps.Clone(current)
	p, err := Edit(current, origin, w)
	if err != nil {
		t.Fatal(err)
	}
	wantTouched(t, before, current) // the plan is a copy
	return p
}

// oneWish is an edit of mirror-odd.json that wishes for one thing.
type oneWish struct {
	wish    Wishes
	changes []change
}

// oneWishes has an edit, or several, for each field of Wishes.
var oneWishes = map[string][]oneWish{
	"Description": {
		{Wishes{Description: new("new")}, []change{{"description", `"odd <one> & \u00fcber"`, `"new"`, FromFlag}}},
		{Wishes{Description: new("")}, []change{{"description", `"odd <one> & \u00fcber"`, "null", FromFlag}}},
		{Wishes{Description: new("odd <one> & über")}, nil},
	},
	"History": {
		{Wishes{History: new(int64(8))}, []change{{"max_msgs_per_subject", "7", "8", FromFlag}}},
		{Wishes{History: new(int64(7))}, nil},
	},
	"Storage": {
		{Wishes{Storage: new("memory")}, nil},
	},
	"TTL": {
		{Wishes{TTL: new(2 * time.Hour)}, []change{{"max_age", "3600000000000", "7200000000000", FromFlag}}},
		{Wishes{TTL: new(time.Minute)}, []change{{"max_age", "3600000000000", "60000000000", FromFlag}}},
		{Wishes{TTL: new(30 * time.Second)}, []change{
			{"max_age", "3600000000000", "30000000000", FromFlag},
			{"duplicate_window", "60000000000", "30000000000", FromDerived},
		}},
		{Wishes{TTL: new(time.Duration(0))}, []change{{"max_age", "3600000000000", "0", FromFlag}}},
		{Wishes{TTL: new(time.Hour)}, nil},
	},
	"Replicas": {
		{Wishes{Replicas: new(int64(1))}, []change{{"num_replicas", "3", "1", FromFlag}}},
		{Wishes{Replicas: new(int64(3))}, nil},
	},
	"MaxValueSize": {
		{Wishes{MaxValueSize: new(int64(4096))}, []change{{"max_msg_size", "null", "4096", FromFlag}}},
		{Wishes{MaxValueSize: new(int64(0))}, nil},
	},
	"MaxBucketSize": {
		{Wishes{MaxBucketSize: new(int64(9007199254740992))}, []change{{"max_bytes", "9007199254740993", "9007199254740992", FromFlag}}},
		{Wishes{MaxBucketSize: new(int64(0))}, []change{{"max_bytes", "9007199254740993", "-1", FromFlag}}},
		{Wishes{MaxBucketSize: new(int64(9007199254740993))}, nil},
	},
	"Tags": {
		{Wishes{Tags: []string{"hdd"}}, []change{{
			"placement",
			`{"cluster": "east", "tags": ["ssd", "eu"], "preferred": "n-1", "weights": {"n-1": 9007199254740995}}`,
			`{"cluster":"east","preferred":"n-1","tags":["hdd"],"weights":{"n-1":9007199254740995}}`, FromFlag,
		}}},
		{Wishes{Tags: []string{"ssd", "eu"}}, nil},
	},
	"Cluster": {
		{Wishes{Cluster: new("west")}, []change{{
			"placement",
			`{"cluster": "east", "tags": ["ssd", "eu"], "preferred": "n-1", "weights": {"n-1": 9007199254740995}}`,
			`{"cluster":"west","preferred":"n-1","tags":["ssd","eu"],"weights":{"n-1":9007199254740995}}`, FromFlag,
		}}},
		{Wishes{Cluster: new("")}, []change{{
			"placement",
			`{"cluster": "east", "tags": ["ssd", "eu"], "preferred": "n-1", "weights": {"n-1": 9007199254740995}}`,
			`{"preferred":"n-1","tags":["ssd","eu"],"weights":{"n-1":9007199254740995}}`, FromFlag,
		}}},
		{Wishes{Cluster: new("east")}, nil},
	},
	"Compress": {
		{Wishes{Compress: new(false)}, []change{{"compression", `"zstd"`, `"none"`, FromFlag}}},
		{Wishes{Compress: new(true)}, nil}, // with the algorithm that it has
	},
	"Metadata": {
		{Wishes{Metadata: map[string]string{"team": "kv"}}, []change{{
			"metadata",
			`{"owner": "ops", "_nats.level": "9", "_nats.req.level": "1", "_nats.ver": "2.99.1-RC.2", "_nats.future": "kept"}`,
			`{"_nats.future":"kept","_nats.level":"9","_nats.req.level":"1","_nats.ver":"2.99.1-RC.2","team":"kv"}`, FromFlag,
		}}},
		{Wishes{Metadata: map[string]string{}}, []change{{
			"metadata",
			`{"owner": "ops", "_nats.level": "9", "_nats.req.level": "1", "_nats.ver": "2.99.1-RC.2", "_nats.future": "kept"}`,
			`{"_nats.future":"kept","_nats.level":"9","_nats.req.level":"1","_nats.ver":"2.99.1-RC.2"}`, FromFlag,
		}}},
		{Wishes{Metadata: map[string]string{"owner": "ops"}}, nil},
	},
	"RePublish": {
		{Wishes{RePublish: &WishedRePublish{Source: new(">"), Destination: "all.>"}}, []change{{
			"republish",
			`{"src": "$KV.demo.>", "dest": "copy.>", "queue": {"depth": 18446744073709551615}}`,
			// Once got wrong: the key that this program does not know is lost.
			`{"dest":"all.\u003e","queue":{"depth":18446744073709551615},"src":"\u003e"}`, FromFlag,
		}}},
		// Once got wrong: so it is here, where nothing is to be changed at all.
		{Wishes{RePublish: &WishedRePublish{Source: new("$KV.demo.>"), Destination: "copy.>"}}, nil},
		{Wishes{RePublish: &WishedRePublish{Destination: "copy.>", HeadersOnly: new(false)}}, nil},
		// Once got wrong: the source that nobody spoke of becomes the default.
		{Wishes{RePublish: &WishedRePublish{Destination: "all.>", HeadersOnly: new(true)}}, []change{{
			"republish",
			`{"src": "$KV.demo.>", "dest": "copy.>", "queue": {"depth": 18446744073709551615}}`,
			`{"dest":"all.\u003e","headers_only":true,"queue":{"depth":18446744073709551615},"src":"$KV.demo.\u003e"}`, FromFlag,
		}}},
	},
	"AllowMsgTTL": {
		{Wishes{AllowMsgTTL: new(true)}, []change{{"allow_msg_ttl", "null", "true", FromFlag}}},
		{Wishes{AllowMsgTTL: new(false)}, nil},
	},
}

// TestEditOneWish changes one thing of a configuration that is as odd as can
// be: all that was not asked for keeps its bytes.
func TestEditOneWish(t *testing.T) {
	for i := range reflect.TypeFor[Wishes]().NumField() {
		field := reflect.TypeFor[Wishes]().Field(i).Name
		t.Run(field, func(t *testing.T) {
			if len(oneWishes[field]) == 0 {
				t.Error("no edit wishes for it")
			}
			for _, test := range oneWishes[field] {
				odd := recorded(t, "mirror-odd.json")
				p := edit(t, odd, nil, test.wish)
				wantChanges(t, p.Changes, test.changes...)
				want := maps.Clone(odd)
				for _, c := range test.changes {
					want[c.field] = json.RawMessage(c.to)
				}
				wantTouched(t, want, p.Config)
				wantChanges(t, edit(t, p.Config, nil, test.wish).Changes)
			}
		})
	}
}

// TestEditWithoutWish turns TTL on if the origin has it, and does nothing else,
// whatever else the origin has.
func TestEditWithoutWish(t *testing.T) {
	on := change{"allow_msg_ttl", "false", "true", FromOrigin}
	tests := map[string]struct {
		file   string
		origin *Config
		want   []change
	}{
		"2.10":                  {"mirror-2.10.29.json", ttlOrigin(), []change{{"allow_msg_ttl", "null", "true", FromOrigin}}},
		"2.11":                  {"mirror-2.11.6.json", ttlOrigin(), []change{on}},
		"2.15":                  {"mirror-2.15.2.json", ttlOrigin(), []change{on}},
		"odd":                   {"mirror-odd.json", ttlOrigin(), []change{{"allow_msg_ttl", "null", "true", FromOrigin}}},
		"origin without ttl":    {"mirror-2.15.2.json", &Config{MaxAge: time.Hour, MaxMsgsPerSubject: 9}, nil},
		"odd, origin without":   {"mirror-odd.json", &Config{}, nil},
		"origin with a marker":  {"mirror-2.15.2.json", &Config{AllowMsgTTL: true, SubjectDeleteMarkerTTL: time.Hour}, []change{on}},
		"origin of other limit": {"mirror-2.15.2.json", &Config{AllowMsgTTL: true, MaxMsgsPerSubject: 64}, []change{on}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			current := recorded(t, test.file)
			p := edit(t, current, test.origin, Wishes{})
			wantChanges(t, p.Changes, test.want...)
			if len(test.want) > 0 {
				wantTouched(t, current, p.Config, "allow_msg_ttl")
			} else {
				wantTouched(t, current, p.Config)
			}
			if p.EnablesTTL() != (len(test.want) > 0) {
				t.Errorf("EnablesTTL is %v", p.EnablesTTL())
			}
			again := edit(t, p.Config, test.origin, Wishes{})
			wantChanges(t, again.Changes)
			if again.EnablesTTL() {
				t.Error("the second plan enables TTL again")
			}
		})
	}
}

// TestEditKeepsTTL: a mirror with TTL keeps it when its origin has none.
func TestEditKeepsTTL(t *testing.T) {
	current := recorded(t, "mirror-2.15.2.json")
	current["allow_msg_ttl"] = json.RawMessage("true")
	wantChanges(t, edit(t, current, &Config{}, Wishes{}).Changes)
	wantChanges(t, edit(t, current, nil, Wishes{AllowMsgTTL: new(true)}).Changes)
}

// TestEditSameValue wishes for what is there, in another spelling.
func TestEditSameValue(t *testing.T) {
	tests := []struct {
		field  string
		values []string // "" for absent
		wish   Wishes
	}{
		{"max_bytes", []string{"", "null", "0", "-1"}, Wishes{MaxBucketSize: new(int64(0))}},
		{"max_msg_size", []string{"", "null", "0", "-1"}, Wishes{MaxValueSize: new(int64(0))}},
		{"max_age", []string{"", "null", "0"}, Wishes{TTL: new(time.Duration(0))}},
		{"num_replicas", []string{"", "null", "0", "1"}, Wishes{Replicas: new(int64(1))}},
		{"description", []string{"", "null", `""`}, Wishes{Description: new("")}},
		{"compression", []string{"", "null", `""`, `"none"`}, Wishes{Compress: new(false)}},
		{"allow_msg_ttl", []string{"", "null", "false"}, Wishes{AllowMsgTTL: new(false)}},
		{"placement", []string{"", "null", "{}", `{"cluster":""}`}, Wishes{Cluster: new("")}},
		{"placement", []string{"", "null", "{}", `{"tags":null}`}, Wishes{Tags: []string{}}},
		{"metadata", []string{"", "null", "{}", `{"_nats.ver":"2.15.2"}`}, Wishes{Metadata: map[string]string{}}},
		{"metadata", []string{`{"a":"b","_nats.ver":"1"}`, `{ "a" : "b" }`}, Wishes{Metadata: map[string]string{"a": "b"}}},
		{"republish", []string{`{"dest":"x.>"}`, `{"src":"\u003e","dest":"x.>","headers_only":false}`}, Wishes{RePublish: &WishedRePublish{Source: new(">"), Destination: "x.>"}}},
		{"republish", []string{`{"src":"a.>","dest":"x.>","headers_only":true}`}, Wishes{RePublish: &WishedRePublish{Destination: "x.>"}}},
	}
	for _, test := range tests {
		for _, value := range test.values {
			current := recorded(t, "mirror-2.15.2.json")
			delete(current, test.field)
			maps.Copy(current, one(test.field, value))
			p := edit(t, current, nil, test.wish)
			if len(p.Changes) > 0 {
				t.Errorf("%s is %q, and the plan changes %q", test.field, value, readable(p.Changes))
			}
			wantTouched(t, current, p.Config)
		}
	}
}

func TestEditStopsAt(t *testing.T) {
	mirror := recorded(t, "mirror-2.15.2.json")
	withTTL := maps.Clone(mirror)
	withTTL["allow_msg_ttl"] = json.RawMessage("true")
	bucket := parse(t, `{"name":"KV_a","subjects":["$KV.a.>"],"max_msgs_per_subject":1,"storage":"file"}`)
	tests := map[string]struct {
		current Raw
		origin  *Config
		wishes  Wishes
		want    error
	}{
		"ttl off":                    {withTTL, ttlOrigin(), Wishes{AllowMsgTTL: new(false)}, ErrTTLStays},
		"ttl off among others":       {withTTL, nil, Wishes{AllowMsgTTL: new(false), History: new(int64(3))}, ErrTTLStays},
		"storage":                    {mirror, ttlOrigin(), Wishes{Storage: new("memory")}, ErrStorageStays},
		"storage of the odd one":     {recorded(t, "mirror-odd.json"), nil, Wishes{Storage: new("file")}, ErrStorageStays},
		"no mirror":                  {bucket, ttlOrigin(), Wishes{}, ErrNotMirror},
		"no bucket":                  {parse(t, `{"name":"ORDERS"}`), ttlOrigin(), Wishes{}, ErrNotBucket},
		"mirror of no bucket":        {parse(t, `{"name":"KV_a","mirror":{"name":"ORDERS"}}`), ttlOrigin(), Wishes{}, ErrNotBucket},
		"empty":                      {Raw{}, ttlOrigin(), Wishes{}, ErrNotBucket},
		"nothing":                    {nil, ttlOrigin(), Wishes{}, ErrNotBucket},
		"unread":                     {mirror, nil, Wishes{}, ErrUnread},
		"a bad wish":                 {mirror, ttlOrigin(), Wishes{History: new(int64(0))}, ErrInvalidWish},
		"a bad configuration":        {parse(t, `{"name":"KV_a","mirror":{"name":"KV_b"},"max_age":"1h"}`), ttlOrigin(), Wishes{}, ErrMalformed},
		"a bad number where unasked": {parse(t, `{"name":"KV_a","mirror":{"name":"KV_b"},"max_bytes":1.5}`), ttlOrigin(), Wishes{History: new(int64(1))}, ErrMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := Edit(test.current, test.origin, test.wishes)
			wantErr(t, err, test.want)
			if p.Config != nil || p.Changes != nil {
				t.Errorf("there is a plan all the same: %v", p)
			}
		})
	}
}

func TestEditDuplicateWindow(t *testing.T) {
	tests := map[string]struct {
		maxAge, window string
		ttl            time.Duration
		want           []change
	}{
		"below it":         {"0", "120000000000", time.Second, []change{{"max_age", "0", "1000000000", FromFlag}, {"duplicate_window", "120000000000", "1000000000", FromDerived}}},
		"as long":          {"0", "120000000000", 2 * time.Minute, []change{{"max_age", "0", "120000000000", FromFlag}}},
		"a short one":      {"0", "500000000", time.Second, []change{{"max_age", "0", "1000000000", FromFlag}}},
		"unlimited again":  {"1000000000", "1000000000", 0, []change{{"max_age", "1000000000", "0", FromFlag}}},
		"unchanged, short": {"1000000000", "1000000000", time.Second, nil},
		// Once got wrong: a mirror without a window has none (no server gives it one), so
		// nothing needs to be changed of it.
		"none":            {"0", "0", time.Second, []change{{"max_age", "0", "1000000000", FromFlag}}},
		"none, unchanged": {"3600000000000", "0", time.Hour, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			current := recorded(t, "mirror-2.11.6.json")
			current["max_age"], current["duplicate_window"] = json.RawMessage(test.maxAge), json.RawMessage(test.window)
			p := edit(t, current, nil, Wishes{TTL: &test.ttl})
			wantChanges(t, p.Changes, test.want...)
			if c := typed(t, p.Config); c.MaxAge > 0 && c.DuplicateWindow > c.MaxAge {
				t.Errorf("the window of %v is above the age of %v: the server refuses that", c.DuplicateWindow, c.MaxAge)
			}
		})
	}
}

func TestEditCompression(t *testing.T) {
	tests := map[string]struct {
		current string
		wish    bool
		want    string
	}{
		"on":             {`"none"`, true, `"s2"`},
		"on, absent":     {"", true, `"s2"`},
		"stays on":       {`"s2"`, true, `"s2"`},
		"stays as it is": {`"zstd"`, true, `"zstd"`},
		"off":            {`"s2"`, false, `"none"`},
		"stays off":      {`"none"`, false, `"none"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			current := recorded(t, "mirror-2.15.2.json")
			delete(current, "compression")
			maps.Copy(current, one("compression", test.current))
			wantValue(t, edit(t, current, nil, Wishes{Compress: &test.wish}).Config, "compression", test.want)
		})
	}
}

func TestEditPlacement(t *testing.T) {
	tests := map[string]struct {
		current string
		wish    Wishes
		want    string
	}{
		"first cluster":       {"", Wishes{Cluster: new("c")}, `{"cluster":"c"}`},
		"first tags":          {"null", Wishes{Tags: []string{"a", "b"}}, `{"tags":["a","b"]}`},
		"both":                {"{}", Wishes{Cluster: new("c"), Tags: []string{"a"}}, `{"cluster":"c","tags":["a"]}`},
		"cluster keeps rest":  {`{"tags":["a"],"preferred":"n1"}`, Wishes{Cluster: new("c")}, `{"cluster":"c","preferred":"n1","tags":["a"]}`},
		"tags keep rest":      {`{"cluster":"c","tags":["a"],"preferred":"n1"}`, Wishes{Tags: []string{"b"}}, `{"cluster":"c","preferred":"n1","tags":["b"]}`},
		"last one taken away": {`{"cluster":"c"}`, Wishes{Cluster: new("")}, "null"},
		"one taken away":      {`{"cluster":"c","preferred":"n1"}`, Wishes{Cluster: new("")}, `{"preferred":"n1"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			current := recorded(t, "mirror-2.15.2.json")
			maps.Copy(current, one("placement", test.current))
			wantValue(t, edit(t, current, nil, test.wish).Config, "placement", test.want)
		})
	}
}

// TestEditMetadataValue changes a value to the empty one and back.
func TestEditMetadataValue(t *testing.T) {
	current := recorded(t, "mirror-2.15.2.json")
	p := edit(t, current, nil, Wishes{Metadata: map[string]string{"a": ""}})
	// Once got wrong: a metadata key of no value is taken for no key.
	wantValue(t, p.Config, "metadata", `{"_nats.level":"5","_nats.req.level":"0","_nats.ver":"2.15.2","a":""}`)
}

// wishesOf makes wishes out of a fuzzer's values, each bit of mask a wish, and the
// fields that they are about.
func wishesOf(mask uint16, text string, n int64, yes bool) (w Wishes, fields []string) {
	for i, wish := range []struct {
		field string
		set   func()
	}{
		{"description", func() { w.Description = &text }},
		{"max_msgs_per_subject", func() { w.History = &n }},
		{"storage", func() { w.Storage = &text }},
		{"max_age", func() { w.TTL = new(time.Duration(n)) }},
		{"num_replicas", func() { w.Replicas = &n }},
		{"max_msg_size", func() { w.MaxValueSize = &n }},
		{"max_bytes", func() { w.MaxBucketSize = &n }},
		{"placement", func() { w.Tags = []string{text} }},
		{"placement", func() { w.Cluster = &text }},
		{"compression", func() { w.Compress = &yes }},
		{"metadata", func() { w.Metadata = map[string]string{text: text} }},
		{"republish", func() { w.RePublish = &WishedRePublish{Source: &text, Destination: text, HeadersOnly: &yes} }},
		{"allow_msg_ttl", func() { w.AllowMsgTTL = &yes }},
	} {
		if mask&(1<<i) != 0 {
			wish.set()
			fields = append(fields, wish.field)
		}
	}
	return w, fields
}

func FuzzEdit(f *testing.F) {
	for _, data := range seeds(f) {
		f.Add(data, true, uint16(0), "", int64(0), false)
		f.Add(data, false, uint16(0), "", int64(0), true)
		f.Add(data, true, uint16(0x1f_fb), "text", int64(3), true)
		f.Add(data, false, uint16(0x08), "", int64(time.Second), true)
		f.Add(data, false, uint16(0x04), "memory", int64(0), true)
		f.Add(data, false, uint16(0x1_01), "", int64(0), false)
		f.Add(data, false, uint16(0x0c_c1), "\xff<\u202e>", int64(1<<53+1), false)
		for i := range 13 { // each alone
			f.Add(data, false, uint16(1<<i), "file", int64(3), true)
		}
	}
	f.Add([]byte(`{"name":"KV_a","mirror":{"name":"KV_b"},"placement":{"x":[1.0,{"y":"<"}]},"metadata":null}`), true, uint16(0x05_80), "k", int64(1), true)
	f.Add([]byte(`{"NAME":"KV_a","Mirror":{"name":"KV_b"},"Allow_Msg_TTL":true}`), true, uint16(0x10_00), "", int64(1), true)
	known := []error{ErrNotBucket, ErrNotMirror, ErrTTLStays, ErrStorageStays, ErrUnread, ErrMalformed, ErrInvalidWish}

	f.Fuzz(func(t *testing.T, data []byte, originTTL bool, mask uint16, text string, n int64, yes bool) {
		current, err := ParseRaw(data)
		if err != nil {
			return
		}
		before := maps.Clone(current)
		w, about := wishesOf(mask, text, n, yes)
		switch {
		case w.Empty():
			about = []string{"allow_msg_ttl"} // the origin's
		case w.TTL != nil:
			about = append(about, "duplicate_window")
		}
		origin := &Config{AllowMsgTTL: originTTL}
		p, err := Edit(current, origin, w)
		wantTouched(t, before, current)
		if err != nil {
			wantKnown(t, err, known)
			return
		}
		wantPlanned(t, current, p, about)

		again, err := Edit(p.Config, origin, w)
		if err != nil {
			t.Fatalf("planning again: %v", err)
		}
		wantChanges(t, again.Changes)
		wantTouched(t, p.Config, again.Config)
	})
}
