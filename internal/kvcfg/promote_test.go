package kvcfg

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"nats-kvmirror/internal/stream"
)

const promotable = `{"name":"KV_demo","retention":"limits","storage":"file","max_msgs_per_subject":3,"allow_msg_ttl":true,"mirror_direct":true,
	"max_age":60000000000,"from_the_future":{"a":12345678901234567890},"metadata":{"_nats.ver":"2.15.2","site":"7"},
	"mirror":{"name":"KV_demo","external":{"api":"$JS.hub.API","deliver":""}}}`

func parsed(t *testing.T, text string) stream.Raw {
	t.Helper()
	raw, err := stream.ParseRaw([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestPromoteChangesNothingElse(t *testing.T) {
	raw := parsed(t, promotable)
	before := maps.Clone(raw)
	ttl := 2 * time.Second
	p, err := Promote(raw, "demo", &ttl)
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for _, c := range p.Changes {
		fields = append(fields, c.Field)
	}
	if want := []string{"mirror", "subjects", "mirror_direct", "subject_delete_marker_ttl"}; !slices.Equal(fields, want) {
		t.Errorf("changes %q, want %q", fields, want)
	}
	if got := p.Config.NotIn(before); !slices.Equal(got, []string{"mirror", "mirror_direct", "subject_delete_marker_ttl", "subjects"}) {
		t.Errorf("differing fields %q", got)
	}
	if string(p.Config["mirror"]) != "null" || string(p.Config["subjects"]) != `["$KV.demo.\u003e"]` {
		t.Errorf("mirror %s, subjects %s", p.Config["mirror"], p.Config["subjects"])
	}
	if string(p.Config["from_the_future"]) != `{"a":12345678901234567890}` {
		t.Error("an unknown field was changed")
	}
	if !maps.EqualFunc(raw, before, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
		t.Error("the configuration that was given was changed")
	}
	// A mirror that is still there is a difference.
	if got := p.Config.NotIn(before); !slices.Contains(got, "mirror") {
		t.Error("a mirror that stays is not noticed")
	}
}

func TestPromoteDuplicateWindow(t *testing.T) {
	for _, test := range []struct{ window, want string }{
		{"", ""}, {"0", ""}, {"120000000000", "60000000000"}, {"30000000000", "30000000000"},
	} {
		raw := parsed(t, promotable)
		if test.window != "" {
			raw["duplicate_window"] = []byte(test.window)
		}
		p, err := Promote(raw, "demo", nil)
		if err != nil || string(p.Config["duplicate_window"]) != test.want {
			t.Errorf("window %q becomes %q, %v; want %q", test.window, p.Config["duplicate_window"], err, test.want)
		}
	}
}

func TestPromoteRefuses(t *testing.T) {
	short, long := time.Millisecond, time.Minute
	with := func(field, value string) stream.Raw {
		raw := parsed(t, promotable)
		raw[field] = []byte(value)
		return raw
	}
	for _, test := range []struct {
		name     string
		raw      stream.Raw
		storedAs string
		marker   *time.Duration
		want     error
	}{
		{"other keys", parsed(t, promotable), "other", nil, ErrOtherKeys},
		{"no history", with("max_msgs_per_subject", "-1"), "demo", nil, ErrNoHistory},
		{"no mirror", parsed(t, `{"name":"KV_demo","max_msgs_per_subject":1,"subjects":["$KV.demo.>"]}`), "demo", nil, ErrNotMirror},
		{"no bucket", with("name", `"demo"`), "demo", nil, ErrNotBucket},
		{"short marker", parsed(t, promotable), "demo", &short, ErrInvalidSetting},
		{"marker without TTL", with("allow_msg_ttl", "false"), "demo", &long, ErrMarkerNeedsTTL},
		{"malformed", with("max_age", `"x"`), "demo", nil, stream.ErrMalformed},
	} {
		if _, err := Promote(test.raw, test.storedAs, test.marker); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if test.want == ErrOtherKeys {
			continue
		}
		if _, _, err := (Copy{Into: "fresh", StoredAs: test.storedAs, MarkerTTL: test.marker}).Plan(test.raw, stream.State{}); !errors.Is(err, test.want) {
			t.Errorf("a copy, %s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestStoredAs(t *testing.T) {
	source := func(transforms ...stream.SubjectTransform) stream.Config {
		return stream.Config{Name: "KV_m", Mirror: &stream.Source{Name: "KV_demo", SubjectTransforms: transforms}}
	}
	for _, test := range []struct {
		name   string
		config stream.Config
		want   string
		ok     bool
	}{
		{"plain", source(), "demo", true},
		{"filter", source(stream.SubjectTransform{Source: "$KV.demo.a.>", Destination: "$KV.demo.a.>"}), "demo", true},
		{"filter without destination", source(stream.SubjectTransform{Source: "$KV.demo.a.>", Destination: ""}), "demo", true},
		{"renamed", source(stream.SubjectTransform{Source: "$KV.demo.>", Destination: "$KV.m.>"}), "m", true},
		{"renamed twice", source(stream.SubjectTransform{Source: "$KV.demo.a.>", Destination: "$KV.m.a.>"}, stream.SubjectTransform{Source: "$KV.demo.b.>", Destination: "$KV.m.b.>"}), "m", true},
		{"several", source(stream.SubjectTransform{Source: "$KV.demo.a.>", Destination: "$KV.m.a.>"}, stream.SubjectTransform{Source: "$KV.demo.b.>", Destination: "$KV.n.b.>"}), "", false},
		{"none", source(stream.SubjectTransform{Source: "$KV.demo.>", Destination: "news.>"}), "", false},
		{"wildcard", source(stream.SubjectTransform{Source: "$KV.*.>", Destination: "$KV.{{wildcard(1)}}.>"}), "", false},
		{"no mirror", stream.Config{Name: "KV_m"}, "", false},
	} {
		if got, ok := StoredAs(test.config); got != test.want || ok != test.ok {
			t.Errorf("%s: %q, %t; want %q, %t", test.name, got, ok, test.want, test.ok)
		}
	}
}

func TestCanPromote(t *testing.T) {
	for text, want := range map[string][2]bool{
		"2.10.29": {false, true}, "2.11.17": {false, true}, "2.12.0": {true, true}, "2.15.2": {true, true}, "3.0.0": {true, true}, "": {false, false},
	} {
		if can, known := stream.ParseVersion(text).CanPromote(); can != want[0] || known != want[1] {
			t.Errorf("%q: %t, %t", text, can, known)
		}
	}
}

func TestCopy(t *testing.T) {
	raw := parsed(t, promotable)
	raw["republish"] = []byte(`{"src":">","dest":"news.>"}`)
	raw["max_bytes"] = []byte("1000")
	raw["max_msg_size"] = []byte("100")
	mirror, err := raw.Config()
	if err != nil {
		t.Fatal(err)
	}
	for _, sourced := range []bool{false, true} {
		c := Copy{Into: "fresh", StoredAs: "demo", Sourced: sourced}
		config, unlimited, err := c.Plan(raw, stream.State{Msgs: 1, Bytes: 100})
		if err != nil || unlimited {
			t.Fatalf("unlimited %t, %v", unlimited, err)
		}
		have, err := config.Config()
		if err != nil {
			t.Fatal(err)
		}
		if have.Name != "KV_fresh" || have.RePublish != nil || have.MirrorDirect || !have.AllowMsgTTL || have.MaxBytes != 1000 || have.Metadata["site"] != "7" {
			t.Errorf("the copy is %s", stream.JSON(config))
		}
		if _, kept := have.Metadata["_nats.ver"]; kept || !Unfinished(have, "demo") || Unfinished(have, "other") || !Filling(have) {
			t.Errorf("metadata %v", have.Metadata)
		}
		if sourced != (len(have.Sources) == 1) || sourced == (have.Mirror != nil) {
			t.Errorf("sourced %t: %s", sourced, stream.JSON(config))
		}
		if sourced != (have.MaxMsgSize >= 100+4096+3*255) || !sourced && have.MaxMsgSize != 100 {
			t.Errorf("sourced %t: messages may have %d bytes", sourced, have.MaxMsgSize)
		}
		if string(config["from_the_future"]) == "" {
			t.Error("an unknown field was dropped")
		}

		detached, err := Detach(config)
		if err != nil {
			t.Fatal(err)
		}
		have, err = detached.Config.Config()
		if err != nil || Filling(have) || !slices.Equal(have.Subjects, []string{"KV_fresh"}) || !Unfinished(have, "demo") {
			t.Errorf("detached: %s, %v", stream.JSON(detached.Config), err)
		}
		finished, err := c.Finish(detached.Config, mirror)
		if err != nil {
			t.Fatal(err)
		}
		have, err = finished.Config.Config()
		if err != nil || CheckBucket(have) != nil || have.MaxMsgSize != 100 || Unfinished(have, "demo") || have.Metadata[CopiedFrom] != "demo" || have.Metadata["site"] != "7" {
			t.Errorf("finished: %s, %v", stream.JSON(finished.Config), err)
		}
	}
	for size, want := range map[string]string{"": "", "-1": "-1", "2147483647": "2147483647"} {
		if raw["max_msg_size"] = []byte(size); size == "" {
			delete(raw, "max_msg_size")
		}
		config, _, err := (Copy{Into: "fresh", StoredAs: "demo", Sourced: true}).Plan(raw, stream.State{})
		if err != nil || string(config["max_msg_size"]) != want {
			t.Errorf("max_msg_size %q becomes %q, %v; want %q", size, config["max_msg_size"], err, want)
		}
	}
	if config, unlimited, err := (Copy{Into: "a-longer-name", StoredAs: "demo"}).Plan(raw, stream.State{Msgs: 100, Bytes: 900}); err != nil || !unlimited || string(config["max_bytes"]) != "-1" {
		t.Errorf("unlimited %t, %s, %v", unlimited, config["max_bytes"], err)
	}
}

func TestAnswersFor(t *testing.T) {
	c := stream.Config{Name: "KV_m", MirrorDirect: true, Mirror: &stream.Source{Name: "KV_demo", External: &stream.External{APIPrefix: "$JS.hub.API"}}}
	if !AnswersFor(c, "demo") || AnswersFor(c, "other") || AnswersFor(c, "m") {
		t.Error("a mirror of an origin elsewhere")
	}
	p, err := StopAnswering(stream.Raw{"name": []byte(`"KV_m"`), "mirror_direct": []byte("true"), "metadata": []byte(`{"a":"b"}`)}, "demo")
	if err != nil || len(p.Changes) != 2 || string(p.Config["mirror_direct"]) != "false" {
		t.Errorf("%v, %v", p.Changes, err)
	}
	wantValue(t, p.Config, "metadata", `{"a":"b","nats-kvmirror.silenced-for":"demo"}`)
	if again, err := StopAnswering(p.Config, "demo"); err != nil || len(again.Changes) > 0 {
		t.Errorf("again: %v, %v", again.Changes, err)
	}
	same := c
	same.Name = "KV_demo"
	local := c
	local.Mirror = &stream.Source{Name: "KV_demo"}
	silent := c
	silent.MirrorDirect = false
	for name, c := range map[string]stream.Config{"itself": same, "beside its origin": local, "silent": silent, "no mirror": {Name: "KV_demo"}} {
		if AnswersFor(c, "demo") {
			t.Errorf("%s answers", name)
		}
	}
}
