package kvcfg

import (
	"slices"
	"testing"
	"time"

	"nats-kvmirror/internal/stream"
	"nats-kvmirror/internal/stream/streamtest"
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
		"other limits":             {limited, stream.Config{MaxMsgs: 50}, []change{{"max_msgs", "100", "50", FromOrigin}, {"max_bytes", "1048576", "-1", FromOrigin}}, nil},
		"the mirror alone drops":   {limited, unlimited, nil, nil},
		"limits are chosen at one": {choosing(unlimited, "max_bytes"), limited, nil, limits},
		"another storage":          {stream.Config{MaxBytes: 1000, Storage: "file"}, stream.Config{MaxBytes: 1000, Storage: "memory"}, []change{{"max_bytes", "1000", "2000", FromOrigin}}, nil},
		"in memory below a file":   {stream.Config{MaxBytes: 1000, Storage: "memory"}, stream.Config{MaxBytes: 1000, Storage: "file"}, nil, nil},
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

// A choice is recorded when a flag sets a value that the origin does not have, kept by
// all other edits, and taken back by a flag that sets the origin's or by Follow.
func TestChoices(t *testing.T) {
	origin := &stream.Config{MaxMsgsPerSubject: 5, MaxAge: time.Hour, MaxMsgSize: -1, Metadata: map[string]string{"_nats.ver": "2.15.2"}}
	current := plan(t, demoMirror(Settings{History: new(int64(2)), Metadata: map[string]string{"owner": "ops"}}), origin).Config
	for _, step := range []struct {
		does   string
		origin *stream.Config
		edits  Edits
		chosen string
		want   change // "" for none but of the metadata
	}{
		{"nothing", origin, Edits{}, "max_msgs_per_subject", change{}},
		{"the same again", origin, Edits{Settings: Settings{History: new(int64(2))}, InLine: true}, "max_msgs_per_subject", change{}},
		{"another choice", origin, Edits{Settings: Settings{TTL: new(time.Minute)}}, "max_age,max_msgs_per_subject", change{"max_age", "3600000000000", "60000000000", FromFlag}},
		{"other metadata", origin, Edits{Settings: Settings{Metadata: map[string]string{"team": "kv"}}}, "max_age,max_msgs_per_subject", change{}},
		{"no metadata", origin, Edits{Settings: Settings{Metadata: map[string]string{}}}, "max_age,max_msgs_per_subject", change{}},
		{"the origin's value", origin, Edits{Settings: Settings{TTL: new(time.Hour)}}, "max_msgs_per_subject", change{"max_age", "60000000000", "3600000000000", FromFlag}},
		{"the origin's value, by chance", &stream.Config{MaxMsgsPerSubject: 2, MaxAge: time.Hour}, Edits{Settings: Settings{History: new(int64(2))}, KeepChosen: true}, "max_msgs_per_subject", change{}},
		{"follow", origin, Edits{Follow: []string{"max_msgs_per_subject"}}, "", change{"max_msgs_per_subject", "2", "5", FromOrigin}},
		{"an origin that was not read", nil, Edits{Settings: Settings{MaxValueSize: new(int64(9)), AllowMsgTTL: new(false)}}, "max_msg_size", change{"max_msg_size", "-1", "9", FromFlag}},
		{"a value that was there", origin, Edits{Settings: Settings{History: new(int64(5)), MaxValueSize: new(int64(9))}}, "max_msg_size", change{}},
	} {
		p, err := Edit(current, step.origin, step.edits)
		if err != nil {
			t.Fatalf("%s: %v", step.does, err)
		}
		current = p.Config
		c := streamtest.Typed(t, current)
		if got := c.Metadata[ChosenKey]; got != step.chosen {
			t.Errorf("%s: chosen are %q, want %q", step.does, got, step.chosen)
		}
		changes := slices.DeleteFunc(readable(p.Changes), func(c change) bool { return c.field == "metadata" })
		if want := slices.DeleteFunc([]change{step.want}, func(c change) bool { return c == change{} }); !slices.Equal(changes, want) {
			t.Errorf("%s: changes are %q, want %q", step.does, changes, want)
		}
	}
	if c := streamtest.Typed(t, current); c.Metadata["owner"] != "" {
		t.Error("the metadata of the user was not replaced")
	}
}

// The limits at which an origin drops its oldest values are taken over and followed.
func TestLimitsOfTheOrigin(t *testing.T) {
	origin := &stream.Config{MaxMsgsPerSubject: 1, MaxMsgs: 100, MaxBytes: 1 << 20, Discard: "old"}
	p := plan(t, demoMirror(Settings{}), origin)
	wantValue(t, p.Config, "max_msgs", "100")
	wantValue(t, p.Config, "max_bytes", "1048576")
	wantValue(t, p.Config, "discard", `"old"`)

	raised := &stream.Config{MaxMsgsPerSubject: 1, MaxMsgs: 200, MaxBytes: 1 << 20, Discard: "old"}
	again, err := Edit(p.Config, raised, Edits{})
	wantErr(t, err, nil)
	wantChanges(t, again.Changes, change{"max_msgs", "100", "200", FromOrigin})

	chosen := plan(t, demoMirror(Settings{MaxBucketSize: new(int64(5000))}), origin)
	wantValue(t, chosen.Config, "discard", `"new"`)
	wantValue(t, chosen.Config, "max_msgs", "-1")
	again, err = Edit(chosen.Config, origin, Edits{})
	wantErr(t, err, nil)
	wantChanges(t, again.Changes)
	again, err = Edit(chosen.Config, origin, Edits{Follow: []string{"max_bytes"}})
	wantErr(t, err, nil)
	wantChanges(t, again.Changes,
		change{"max_msgs", "-1", "100", FromOrigin}, change{"max_bytes", "5000", "1048576", FromOrigin}, change{"discard", `"new"`, `"old"`, FromOrigin},
		change{"metadata", `{"nats-kvmirror.chosen":"max_bytes"}`, "null", FromDerived})

	// A limit that only the mirror has is not removed unasked.
	free := &stream.Config{MaxMsgsPerSubject: 1, MaxMsgs: -1, Discard: "new"}
	again, err = Edit(p.Config, free, Edits{})
	wantErr(t, err, nil)
	wantChanges(t, again.Changes)
	again, err = Edit(p.Config, free, Edits{Follow: []string{"max_bytes"}})
	wantErr(t, err, nil)
	wantChanges(t, again.Changes,
		change{"max_msgs", "100", "-1", FromOrigin}, change{"max_bytes", "1048576", "-1", FromOrigin}, change{"discard", `"old"`, `"new"`, FromOrigin})
}

// Per-key TTL that the mirror has and the origin has not is left alone.
func TestPerKeyTTLStays(t *testing.T) {
	origin := &stream.Config{MaxMsgsPerSubject: 1, MaxMsgSize: -1}
	current := plan(t, demoMirror(Settings{}), ttlOrigin()).Config
	p, err := Edit(current, origin, Edits{})
	wantErr(t, err, nil)
	wantValue(t, p.Config, "allow_msg_ttl", "true")
	p, err = Edit(p.Config, origin, Edits{InLine: true, Usable: true})
	wantErr(t, err, nil)
	wantChanges(t, p.Changes)
}

// A bucket of its own follows nothing.
func TestPromoteForgetsChoices(t *testing.T) {
	current := plan(t, demoMirror(Settings{History: new(int64(2)), Metadata: map[string]string{"owner": "ops"}}), ttlOrigin()).Config
	p, err := Promote(current, "demo", nil)
	wantErr(t, err, nil)
	wantValue(t, p.Config, "metadata", `{"owner":"ops"}`)
}

// A mirror that is created again has what was chosen, unless a flag says otherwise.
func TestRecreateKeepsChoices(t *testing.T) {
	m := demoMirror(Settings{AllowMsgTTL: new(false)})
	current := plan(t, m, ttlOrigin()).Config
	p, err := Recreate(current, Recreation{Origin: m.Origin}, *ttlOrigin())
	wantErr(t, err, nil)
	wantChanges(t, p.Changes)
	p, err = Recreate(current, Recreation{Origin: m.Origin, Settings: Settings{AllowMsgTTL: new(true)}}, *ttlOrigin())
	wantErr(t, err, nil)
	wantChanges(t, p.Changes, change{"allow_msg_ttl", "false", "true", FromFlag}, change{"metadata", `{"nats-kvmirror.chosen":"allow_msg_ttl"}`, "null", FromDerived})
	followed := plan(t, demoMirror(Settings{}), ttlOrigin()).Config
	p, err = Recreate(followed, Recreation{Origin: m.Origin, Settings: Settings{AllowMsgTTL: new(false)}}, *ttlOrigin())
	wantErr(t, err, nil)
	wantValue(t, p.Config, "metadata", `{"nats-kvmirror.chosen":"allow_msg_ttl"}`)
}

// Where a mirror is, and how large it may be, can be changed when it is created again;
// nothing else is.
func TestRecreateElsewhere(t *testing.T) {
	m := demoMirror(Settings{})
	current := plan(t, m, ttlOrigin()).Config
	settings := Settings{MaxBucketSize: new(int64(1 << 20)), Replicas: new(int64(3)), Cluster: new("C2"), Tags: []string{"ssd"}}
	p, err := Recreate(current, Recreation{Origin: m.Origin, Settings: settings}, *ttlOrigin())
	wantErr(t, err, nil)
	wantChanges(t, p.Changes, change{"num_replicas", "1", "3", FromFlag}, change{"max_bytes", "-1", "1048576", FromFlag},
		change{"placement", "null", `{"cluster":"C2","tags":["ssd"]}`, FromFlag})
	again, err := Recreate(p.Config, Recreation{Origin: m.Origin, Settings: settings}, *ttlOrigin())
	wantErr(t, err, nil)
	wantChanges(t, again.Changes)
	_, err = Recreate(current, Recreation{Origin: m.Origin, Settings: Settings{Replicas: new(int64(6))}}, *ttlOrigin())
	wantErr(t, err, ErrInvalidSetting)
}

// The prefix on which messages arrive can be changed alone, where there is one of the API.
func TestRecreateWithDeliverPrefix(t *testing.T) {
	m := demoMirror(Settings{})
	m.Origin.APIPrefix = "JS.A.API"
	current := plan(t, m, ttlOrigin()).Config
	to := m.Origin
	to.DeliverPrefix = "deliver.B"
	p, err := Recreate(current, Recreation{Origin: to}, *ttlOrigin())
	wantErr(t, err, nil)
	wantValue(t, p.Config, "mirror", `{"name":"KV_demo","external":{"api":"JS.A.API","deliver":"deliver.B"}}`)
	to.APIPrefix = ""
	_, err = Recreate(current, Recreation{Origin: to}, *ttlOrigin())
	wantErr(t, err, ErrNoPrefix)
}
