package kvcfg

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"nats-kvmirror/internal/stream"
	"nats-kvmirror/internal/stream/streamtest"
)

func demoMirror(s Settings) NewMirror {
	return NewMirror{Bucket: "demo", Origin: Origin{Bucket: "demo", APIPrefix: "$JS.hub.API"}, Settings: s}
}

func plan(t *testing.T, m NewMirror, origin *stream.Config) Plan {
	t.Helper()
	p, err := New(m, origin)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wantConfig compares a whole configuration, byte for byte.
func wantConfig(t *testing.T, got stream.Raw, want string) {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(want)); err != nil {
		t.Fatal(err)
	}
	wanted := streamtest.Parse(t, compact.String())
	for _, field := range touched(got, wanted) {
		t.Errorf("%s is %s, want %s", field, got[field], wanted[field])
	}
}

func TestNew(t *testing.T) {
	p := plan(t, demoMirror(Settings{}), ttlOrigin())
	wantConfig(t, p.Config, `{
		"name": "KV_demo", "retention": "limits", "discard": "new", "storage": "file", "num_replicas": 1,
		"max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": 1048576,
		"max_msgs_per_subject": 5, "max_age": 3600000000000, 
		"allow_msg_ttl": true, "compression": "none",
		"allow_direct": true, "mirror_direct": true, "allow_rollup_hdrs": true, "deny_delete": true, "deny_purge": false,
		"mirror": {"name": "KV_demo", "external": {"api": "$JS.hub.API", "deliver": ""}}
	}`)
	wantChanges(t, p.Changes,
		change{"allow_msg_ttl", "null", "true", FromOrigin},
		change{"max_msgs_per_subject", "null", "5", FromOrigin},
		change{"max_age", "null", "3600000000000", FromOrigin},
		change{"max_msg_size", "null", "1048576", FromOrigin},
		change{"mirror", "null", `{"name":"KV_demo","external":{"api":"$JS.hub.API","deliver":""}}`, FromFlag},
	)
	if !p.EnablesTTL() {
		t.Error("the plan does not enable TTL")
	}
}

func TestNewWithAllWishes(t *testing.T) {
	p := plan(t, NewMirror{
		Bucket:  "site",
		Origin:  Origin{Bucket: "demo", APIPrefix: "JSC", DeliverPrefix: "deliver.site"},
		Filters: []string{"a.>", "*.b"},
		Settings: Settings{
			Description:   new("the site's <own>"),
			History:       new(int64(64)),
			Storage:       new("memory"),
			TTL:           new(30 * time.Second),
			Replicas:      new(int64(3)),
			MaxValueSize:  new(int64(4096)),
			MaxBucketSize: new(int64(1 << 40)),
			Tags:          []string{"ssd", "eu"},
			Cluster:       new("east"),
			Compress:      new(true),
			Metadata:      map[string]string{"owner": "ops"},
			RePublish:     &RePublishSettings{Source: new(">"), Destination: "copy.>", HeadersOnly: new(true)},
			AllowMsgTTL:   new(false),
		},
	}, ttlOrigin())
	wantConfig(t, p.Config, `{
		"name": "KV_site", "retention": "limits", "discard": "new", "storage": "memory", "num_replicas": 3,
		"max_consumers": -1, "max_msgs": -1, "max_bytes": 1099511627776, "max_msg_size": 4096,
		"max_msgs_per_subject": 64, "max_age": 30000000000, 
		"allow_msg_ttl": false, "compression": "s2", "description": "the site's \u003cown\u003e",
		"allow_direct": true, "mirror_direct": true, "allow_rollup_hdrs": true, "deny_delete": true, "deny_purge": false,
		"placement": {"cluster": "east", "tags": ["ssd", "eu"]}, "metadata": {"nats-kvmirror.chosen": "allow_msg_ttl,max_age,max_msg_size,max_msgs_per_subject", "owner": "ops"},
		"republish": {"dest": "copy.\u003e", "headers_only": true, "src": "\u003e"},
		"mirror": {
			"name": "KV_demo",
			"subject_transforms": [
				{"src": "$KV.demo.a.\u003e", "dest": "$KV.demo.a.\u003e"},
				{"src": "$KV.demo.*.b", "dest": "$KV.demo.{{wildcard(1)}}.b"}
			],
			"external": {"api": "JSC", "deliver": "deliver.site"}
		}
	}`)
	for _, c := range p.Changes {
		if c.Source != FromFlag && c.Field != "metadata" { // to which the choices are added
			t.Errorf("%s is said to be from %s, and a flag said it", c.Field, c.Source)
		}
	}
	if p.EnablesTTL() {
		t.Error("the plan enables TTL against the flag")
	}
}

// TestNewIsWhatNatsSends compares a plan with what servers have recorded of
// mirrors that `nats kv add` made.
func TestNewIsWhatNatsSends(t *testing.T) {
	m := demoMirror(Settings{Description: new("demo at the site")})
	origin := &stream.Config{MaxMsgsPerSubject: 5, MaxAge: 24 * time.Hour, MaxMsgSize: -1}
	for _, file := range []string{"mirror-2.10.29.json", "mirror-2.11.6.json", "mirror-2.15.2.json"} {
		t.Run(file, func(t *testing.T) {
			p, sent := plan(t, m, origin), streamtest.Recorded(t, file)
			if different := p.Config.NotIn(sent); len(different) > 0 {
				t.Errorf("planned and not as recorded: %q", different)
			}
			if different := sent.NotIn(p.Config); len(different) > 0 {
				t.Errorf("recorded and not as planned: %q", different)
			}
			wantChanges(t, p.Unchangeable(sent))
			again, err := Edit(sent, origin, Edits{Settings: m.Settings, InLine: true, Usable: true})
			wantErr(t, err, nil)
			wantChanges(t, again.Changes)
		})
	}
}

func TestNewInherits(t *testing.T) {
	fields := []string{"allow_msg_ttl", "max_age", "max_msgs_per_subject", "max_msg_size"}
	tests := map[string]struct {
		origin   *stream.Config
		settings Settings
		values   [4]string // of fields
		from     string    // where all of them are from
	}{
		"all from the origin":    {ttlOrigin(), Settings{}, [4]string{"true", "3600000000000", "5", "1048576"}, FromOrigin},
		"an origin without any":  {&stream.Config{MaxMsgsPerSubject: 1, MaxMsgSize: -1}, Settings{}, [4]string{"false", "0", "1", "-1"}, FromOrigin},
		"spelled as 2.10 or odd": {&stream.Config{MaxAge: -1}, Settings{}, [4]string{"false", "0", "-1", "-1"}, FromOrigin},
		"flags win": {
			ttlOrigin(),
			Settings{AllowMsgTTL: new(false), TTL: new(time.Minute), History: new(int64(2)), MaxValueSize: new(int64(99))},
			[4]string{"false", "60000000000", "2", "99"}, FromFlag,
		},
		"flags win with zero": {
			ttlOrigin(),
			Settings{AllowMsgTTL: new(true), TTL: new(time.Duration(0)), History: new(int64(1)), MaxValueSize: new(int64(0))},
			[4]string{"true", "0", "1", "-1"}, FromFlag,
		},
		"unread, all said": {
			nil,
			Settings{AllowMsgTTL: new(true), TTL: new(time.Minute), History: new(int64(2)), MaxValueSize: new(int64(99))},
			[4]string{"true", "60000000000", "2", "99"}, FromFlag,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := plan(t, demoMirror(test.settings), test.origin)
			for i, field := range fields {
				wantValue(t, p.Config, field, test.values[i])
				found := false
				for _, c := range p.Changes {
					if c.Field == field {
						found = true
						if c.Source != test.from || string(c.To) != test.values[i] || string(c.From) != "null" {
							t.Errorf("change of %s is %s to %s from %s", field, c.From, c.To, c.Source)
						}
					}
				}
				if !found {
					t.Errorf("%s is not among the changes", field)
				}
			}
		})
	}
}

func TestNewUnread(t *testing.T) {
	_, err := New(demoMirror(Settings{}), nil)
	wantErr(t, err, ErrUnread)
	_, err = New(demoMirror(Settings{TTL: new(time.Hour), History: new(int64(3)), MaxValueSize: new(int64(5))}), nil)
	wantErr(t, err, ErrUnread)

	p := plan(t, demoMirror(Settings{AllowMsgTTL: new(true)}), nil)
	wantChanges(t, p.Changes[:3],
		change{"max_msgs_per_subject", "null", "1", FromDerived},
		change{"max_age", "null", "0", FromDerived},
		change{"max_msg_size", "null", "-1", FromDerived},
	)
	wantValue(t, p.Config, "allow_msg_ttl", "true")
}

// Servers call a duplicate window invalid on a mirror, and drop it.
func TestNewHasNoDuplicateWindow(t *testing.T) {
	p := plan(t, demoMirror(Settings{TTL: new(time.Second)}), ttlOrigin())
	if window, ok := p.Config["duplicate_window"]; ok {
		t.Errorf("duplicate_window is %s, want none", window)
	}
}

func TestNewMirrorField(t *testing.T) {
	tests := map[string]struct {
		origin  Origin
		filters []string
		want    string
	}{
		"beside the origin": {Origin{Bucket: "a"}, nil, `{"name":"KV_a"}`},
		"domain":            {Origin{Bucket: "a", APIPrefix: DomainPrefix("hub")}, nil, `{"name":"KV_a","external":{"api":"$JS.hub.API","deliver":""}}`},
		"account":           {Origin{"a", "JSC", "d.x"}, nil, `{"name":"KV_a","external":{"api":"JSC","deliver":"d.x"}}`},
		"filtered": {
			Origin{Bucket: "a"}, []string{"x", "*.y.*", "*.>"},
			`{"name":"KV_a","subject_transforms":[` +
				`{"src":"$KV.a.x","dest":"$KV.a.x"},` +
				`{"src":"$KV.a.*.y.*","dest":"$KV.a.{{wildcard(1)}}.y.{{wildcard(2)}}"},` +
				`{"src":"$KV.a.*.\u003e","dest":"$KV.a.{{wildcard(1)}}.\u003e"}]}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := plan(t, NewMirror{Bucket: "b", Origin: test.origin, Filters: test.filters}, ttlOrigin())
			wantValue(t, p.Config, "mirror", test.want)
			got, err := OriginOf(streamtest.Typed(t, p.Config))
			if err != nil || got != test.origin {
				t.Errorf("read back, the origin is %+v, %v", got, err)
			}
		})
	}
}

// TestNewMirrorDirect plans what the server makes of it: beside the origin,
// mirror_direct becomes the origin's allow_direct (server/stream.go, seen on
// 2.15.2), whatever was sent. A plan that says otherwise is "not kept".
func TestNewMirrorDirect(t *testing.T) {
	tests := map[string]struct {
		prefix string
		direct bool // allow_direct of the origin
		want   string
	}{
		"far":                  {"$JS.hub.API", true, "true"},
		"far, origin without":  {"$JS.hub.API", false, "true"},
		"near":                 {"", true, "true"},
		"near, origin without": {"", false, "false"}, // Once got wrong: it is always true.
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := NewMirror{Bucket: "b", Origin: Origin{Bucket: "a", APIPrefix: test.prefix}}
			p := plan(t, m, &stream.Config{Name: "KV_a", MaxMsgsPerSubject: 1, AllowDirect: test.direct})
			wantValue(t, p.Config, "mirror_direct", test.want)
		})
	}
}

func TestNewRefuses(t *testing.T) {
	tests := map[string]struct {
		mirror NewMirror
		want   error
	}{
		"bucket name": {NewMirror{Bucket: "a.b", Origin: Origin{Bucket: "a"}}, ErrInvalidName},
		"no bucket":   {NewMirror{Origin: Origin{Bucket: "a"}}, ErrInvalidName},
		"origin name": {NewMirror{Bucket: "a", Origin: Origin{Bucket: "a>"}}, ErrInvalidName},
		"no origin":   {NewMirror{Bucket: "a"}, ErrInvalidName},
		"filter":      {NewMirror{Bucket: "a", Origin: Origin{Bucket: "b"}, Filters: []string{"x", "$KV.b.x"}}, ErrInvalidName},
		"setting":     {NewMirror{Bucket: "a", Origin: Origin{Bucket: "b"}, Settings: Settings{History: new(int64(65))}}, ErrInvalidSetting},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.mirror, ttlOrigin())
			wantErr(t, err, test.want)
		})
	}
}

// TestNewWithEmptyTexts takes what is emptied out of the configuration, and
// says nothing of it: it was not there before.
func TestNewWithEmptyTexts(t *testing.T) {
	p := plan(t, demoMirror(Settings{Description: new(""), Cluster: new("")}), ttlOrigin())
	for _, field := range []string{"description", "placement"} {
		if v, ok := p.Config[field]; ok {
			t.Errorf("%s is %s", field, v)
		}
	}
	for _, c := range p.Changes {
		// Once got wrong: New lists a change from null to nothing for each of the two.
		if len(c.To) == 0 || string(c.To) == "null" {
			t.Errorf("a change of %s from %s to %q", c.Field, c.From, c.To)
		}
	}
}

// TestUnchangeable finds the fields that no update can change.
func TestUnchangeable(t *testing.T) {
	s := Settings{Description: new("demo at the site"), AllowMsgTTL: new(false)}
	origin := &stream.Config{MaxMsgsPerSubject: 5, MaxAge: 24 * time.Hour}
	existing := streamtest.Recorded(t, "mirror-2.11.6.json")
	for name, m := range map[string]NewMirror{
		"other origin": {Bucket: "demo", Origin: Origin{Bucket: "other", APIPrefix: "$JS.hub.API"}, Settings: s},
		"other domain": {Bucket: "demo", Origin: Origin{Bucket: "demo", APIPrefix: "$JS.far.API"}, Settings: s},
		"filtered":     {Bucket: "demo", Origin: Origin{Bucket: "demo", APIPrefix: "$JS.hub.API"}, Filters: []string{"a"}, Settings: s},
	} {
		t.Run(name, func(t *testing.T) {
			changes := plan(t, m, origin).Unchangeable(existing)
			if len(changes) != 1 || changes[0].Field != "mirror" || changes[0].Source != FromFlag {
				t.Errorf("changes are %q, want the mirror alone", readable(changes))
			}
		})
	}
}
