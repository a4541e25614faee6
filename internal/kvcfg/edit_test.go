package kvcfg

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"nats-kvmirror/internal/stream"
	"nats-kvmirror/internal/stream/streamtest"
)

func edit(t *testing.T, current stream.Raw, origin *stream.Config, s Settings) Plan {
	t.Helper()
	before := maps.Clone(current)
	if origin == nil && !s.Empty() {
		origin = like(t, current, s)
	}
	p, err := Edit(current, origin, Edits{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	wantTouched(t, before, current) // the plan is a copy
	return p
}

// like is an origin that has what is asked of its mirror, so that nothing is chosen.
func like(t *testing.T, mirror stream.Raw, s Settings) *stream.Config {
	t.Helper()
	c := streamtest.Typed(t, mirror)
	if s.History != nil {
		c.MaxMsgsPerSubject = *s.History
	}
	if s.TTL != nil {
		c.MaxAge = *s.TTL
	}
	if s.MaxValueSize != nil {
		c.MaxMsgSize = *s.MaxValueSize
	}
	if s.MaxBucketSize != nil {
		c.MaxBytes = *s.MaxBucketSize
	}
	if s.AllowMsgTTL != nil {
		c.AllowMsgTTL = *s.AllowMsgTTL
	}
	return &c
}

// TestEditWithoutWish brings a mirror in line with its origin in what it follows, and
// does nothing else.
func TestEditWithoutWish(t *testing.T) {
	day := change{"max_age", "86400000000000", "3600000000000", FromOrigin}
	tests := map[string]struct {
		file   string
		origin *stream.Config
		want   []change
	}{
		"2.10":                {"mirror-2.10.29.json", ttlOrigin(), []change{{"allow_msg_ttl", "null", "true", FromOrigin}, day, {"max_msg_size", "-1", "1048576", FromOrigin}}},
		"2.15":                {"mirror-2.15.2.json", ttlOrigin(), []change{{"allow_msg_ttl", "false", "true", FromOrigin}, day, {"max_msg_size", "-1", "1048576", FromOrigin}}},
		"odd":                 {"mirror-odd.json", ttlOrigin(), []change{{"allow_msg_ttl", "null", "true", FromOrigin}, {"max_msgs_per_subject", "7", "5", FromOrigin}, {"max_msg_size", "null", "1048576", FromOrigin}}},
		"origin without ttl":  {"mirror-2.15.2.json", &stream.Config{MaxAge: time.Hour, MaxMsgsPerSubject: 9}, []change{day, {"max_msgs_per_subject", "5", "9", FromOrigin}}},
		"odd, origin without": {"mirror-odd.json", &stream.Config{MaxMsgsPerSubject: 7}, []change{{"max_age", "3600000000000", "0", FromOrigin}}},
		"a short window":      {"mirror-2.15.2.json", &stream.Config{MaxAge: time.Second, MaxMsgsPerSubject: 5}, []change{{"max_age", "86400000000000", "1000000000", FromOrigin}, {"duplicate_window", "120000000000", "1000000000", FromDerived}}},
		"in line":             {"mirror-2.15.2.json", &stream.Config{MaxAge: 24 * time.Hour, MaxMsgsPerSubject: 5}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			current := streamtest.Recorded(t, test.file)
			p := edit(t, current, test.origin, Settings{})
			wantChanges(t, p.Changes, test.want...)
			var fields []string
			for _, c := range test.want {
				fields = append(fields, c.field)
			}
			slices.Sort(fields)
			wantTouched(t, current, p.Config, fields...)
			if want := test.origin.AllowMsgTTL; p.EnablesTTL() != want {
				t.Errorf("EnablesTTL is %v", p.EnablesTTL())
			}
			again := edit(t, p.Config, test.origin, Settings{})
			wantChanges(t, again.Changes)
			if again.EnablesTTL() {
				t.Error("the second plan enables TTL again")
			}
		})
	}
}

// TestEditSameValue sets what is there, in another spelling.
func TestEditSameValue(t *testing.T) {
	tests := []struct {
		field   string
		values  []string // "" for absent
		setting Settings
	}{
		{"max_bytes", []string{"", "null", "0", "-1"}, Settings{MaxBucketSize: new(int64(0))}},
		{"max_msg_size", []string{"", "null", "0", "-1"}, Settings{MaxValueSize: new(int64(0))}},
		{"max_age", []string{"", "null", "0"}, Settings{TTL: new(time.Duration(0))}},
		{"num_replicas", []string{"", "null", "0", "1"}, Settings{Replicas: new(int64(1))}},
		{"description", []string{"", "null", `""`}, Settings{Description: new("")}},
		{"compression", []string{"", "null", `""`, `"none"`}, Settings{Compress: new(false)}},
		{"allow_msg_ttl", []string{"", "null", "false"}, Settings{AllowMsgTTL: new(false)}},
		{"placement", []string{"", "null", "{}", `{"cluster":""}`}, Settings{Cluster: new("")}},
		{"placement", []string{"", "null", "{}", `{"tags":null}`}, Settings{Tags: []string{}}},
		{"metadata", []string{"", "null", "{}", `{"_nats.ver":"2.15.2"}`}, Settings{Metadata: map[string]string{}}},
		{"metadata", []string{`{"a":"b","_nats.ver":"1"}`, `{ "a" : "b" }`}, Settings{Metadata: map[string]string{"a": "b"}}},
		{"republish", []string{`{"dest":"x.>"}`, `{"src":"\u003e","dest":"x.>","headers_only":false}`}, Settings{RePublish: &RePublishSettings{Source: new(">"), Destination: "x.>"}}},
		{"republish", []string{`{"src":"a.>","dest":"x.>","headers_only":true}`}, Settings{RePublish: &RePublishSettings{Destination: "x.>"}}},
	}
	for _, test := range tests {
		for _, value := range test.values {
			current := streamtest.Recorded(t, "mirror-2.15.2.json")
			delete(current, test.field)
			maps.Copy(current, one(test.field, value))
			p := edit(t, current, nil, test.setting)
			if len(p.Changes) > 0 {
				t.Errorf("%s is %q, and the plan changes %q", test.field, value, readable(p.Changes))
			}
			wantTouched(t, current, p.Config)
		}
	}
}

func TestEditStopsAt(t *testing.T) {
	mirror := streamtest.Recorded(t, "mirror-2.15.2.json")
	withTTL := maps.Clone(mirror)
	withTTL["allow_msg_ttl"] = json.RawMessage("true")
	bucket := streamtest.Parse(t, `{"name":"KV_a","subjects":["$KV.a.>"],"max_msgs_per_subject":1,"storage":"file"}`)
	tests := map[string]struct {
		current  stream.Raw
		origin   *stream.Config
		settings Settings
		want     error
	}{
		"ttl off":                    {withTTL, ttlOrigin(), Settings{AllowMsgTTL: new(false)}, ErrTTLStays},
		"ttl off among others":       {withTTL, nil, Settings{AllowMsgTTL: new(false), History: new(int64(3))}, ErrTTLStays},
		"storage":                    {mirror, ttlOrigin(), Settings{Storage: new("memory")}, ErrStorageStays},
		"storage of the odd one":     {streamtest.Recorded(t, "mirror-odd.json"), nil, Settings{Storage: new("file")}, ErrStorageStays},
		"no mirror":                  {bucket, ttlOrigin(), Settings{}, ErrNotMirror},
		"no bucket":                  {streamtest.Parse(t, `{"name":"ORDERS"}`), ttlOrigin(), Settings{}, ErrNotBucket},
		"mirror of no bucket":        {streamtest.Parse(t, `{"name":"KV_a","mirror":{"name":"ORDERS"}}`), ttlOrigin(), Settings{}, ErrNotBucket},
		"empty":                      {stream.Raw{}, ttlOrigin(), Settings{}, ErrNotBucket},
		"nothing":                    {nil, ttlOrigin(), Settings{}, ErrNotBucket},
		"unread":                     {mirror, nil, Settings{}, ErrUnread},
		"a bad setting":              {mirror, ttlOrigin(), Settings{History: new(int64(0))}, ErrInvalidSetting},
		"a bad configuration":        {streamtest.Parse(t, `{"name":"KV_a","mirror":{"name":"KV_b"},"max_age":"1h"}`), ttlOrigin(), Settings{}, stream.ErrMalformed},
		"a bad number where unasked": {streamtest.Parse(t, `{"name":"KV_a","mirror":{"name":"KV_b"},"max_bytes":1.5}`), ttlOrigin(), Settings{History: new(int64(1))}, stream.ErrMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := Edit(test.current, test.origin, Edits{Settings: test.settings})
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
			current := streamtest.Recorded(t, "mirror-2.11.6.json")
			current["max_age"], current["duplicate_window"] = json.RawMessage(test.maxAge), json.RawMessage(test.window)
			p := edit(t, current, nil, Settings{TTL: &test.ttl})
			wantChanges(t, p.Changes, test.want...)
			if c := streamtest.Typed(t, p.Config); c.MaxAge > 0 && c.DuplicateWindow > c.MaxAge {
				t.Errorf("the window of %v is above the age of %v: the server refuses that", c.DuplicateWindow, c.MaxAge)
			}
		})
	}
}

func TestEditCompression(t *testing.T) {
	tests := map[string]struct {
		current string
		setting bool
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
			current := streamtest.Recorded(t, "mirror-2.15.2.json")
			delete(current, "compression")
			maps.Copy(current, one("compression", test.current))
			wantValue(t, edit(t, current, nil, Settings{Compress: &test.setting}).Config, "compression", test.want)
		})
	}
}

func TestEditPlacement(t *testing.T) {
	tests := map[string]struct {
		current string
		setting Settings
		want    string
	}{
		"first cluster":       {"", Settings{Cluster: new("c")}, `{"cluster":"c"}`},
		"first tags":          {"null", Settings{Tags: []string{"a", "b"}}, `{"tags":["a","b"]}`},
		"both":                {"{}", Settings{Cluster: new("c"), Tags: []string{"a"}}, `{"cluster":"c","tags":["a"]}`},
		"cluster keeps rest":  {`{"tags":["a"],"preferred":"n1"}`, Settings{Cluster: new("c")}, `{"cluster":"c","preferred":"n1","tags":["a"]}`},
		"tags keep rest":      {`{"cluster":"c","tags":["a"],"preferred":"n1"}`, Settings{Tags: []string{"b"}}, `{"cluster":"c","preferred":"n1","tags":["b"]}`},
		"last one taken away": {`{"cluster":"c"}`, Settings{Cluster: new("")}, "null"},
		"one taken away":      {`{"cluster":"c","preferred":"n1"}`, Settings{Cluster: new("")}, `{"preferred":"n1"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			current := streamtest.Recorded(t, "mirror-2.15.2.json")
			maps.Copy(current, one("placement", test.current))
			wantValue(t, edit(t, current, nil, test.setting).Config, "placement", test.want)
		})
	}
}

// TestEditMetadataValue changes a value to the empty one and back.
func TestEditMetadataValue(t *testing.T) {
	current := streamtest.Recorded(t, "mirror-2.15.2.json")
	p := edit(t, current, nil, Settings{Metadata: map[string]string{"a": ""}})
	// Once got wrong: a metadata key of no value is taken for no key.
	wantValue(t, p.Config, "metadata", `{"_nats.level":"5","_nats.req.level":"0","_nats.ver":"2.15.2","a":""}`)
}

// settingsOf makes settings of a fuzzer's values, each bit of mask a setting, and the
// fields that they are about.
func settingsOf(mask uint16, text string, n int64, yes bool) (s Settings, fields []string) {
	for i, setting := range []struct {
		field string
		set   func()
	}{
		{"description", func() { s.Description = &text }},
		{"max_msgs_per_subject", func() { s.History = &n }},
		{"storage", func() { s.Storage = &text }},
		{"max_age", func() { s.TTL = new(time.Duration(n)) }},
		{"num_replicas", func() { s.Replicas = &n }},
		{"max_msg_size", func() { s.MaxValueSize = &n }},
		{"max_bytes", func() { s.MaxBucketSize = &n }},
		{"placement", func() { s.Tags = []string{text} }},
		{"placement", func() { s.Cluster = &text }},
		{"compression", func() { s.Compress = &yes }},
		{"metadata", func() { s.Metadata = map[string]string{text: text} }},
		{"republish", func() { s.RePublish = &RePublishSettings{Source: &text, Destination: text, HeadersOnly: &yes} }},
		{"allow_msg_ttl", func() { s.AllowMsgTTL = &yes }},
	} {
		if mask&(1<<i) != 0 {
			setting.set()
			fields = append(fields, setting.field)
		}
	}
	return s, fields
}

func FuzzEdit(f *testing.F) {
	for _, data := range streamtest.Seeds(f) {
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
	known := []error{ErrNotBucket, ErrNotMirror, ErrTTLStays, ErrStorageStays, ErrUnread, stream.ErrMalformed, ErrInvalidSetting}

	f.Fuzz(func(t *testing.T, data []byte, originTTL bool, mask uint16, text string, n int64, yes bool) {
		current, err := stream.ParseRaw(data)
		if err != nil {
			return
		}
		before := maps.Clone(current)
		s, about := settingsOf(mask, text, n, yes)
		switch {
		case s.Empty():
			about = []string{"allow_msg_ttl", "max_age", "max_msgs_per_subject", "max_msg_size", "max_msgs", "max_bytes", "discard", "duplicate_window"} // the origin's
		case s.TTL != nil:
			about = append(about, "duplicate_window")
		}
		origin := &stream.Config{AllowMsgTTL: originTTL}
		if len(s.followed()) > 0 {
			about = append(about, "metadata") // what is chosen
		}
		p, err := Edit(current, origin, Edits{Settings: s})
		wantTouched(t, before, current)
		if err != nil {
			wantKnown(t, err, known)
			return
		}
		wantPlanned(t, current, p, about)

		again, err := Edit(p.Config, origin, Edits{Settings: s})
		if err != nil {
			t.Fatalf("planning again: %v", err)
		}
		wantChanges(t, again.Changes)
		wantTouched(t, p.Config, again.Config)
	})
}
