package check

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
	"nats-kvmirror/internal/stream/streamtest"
)

// fixOrigin is the origin of [streamtest.Unfit].
func fixOrigin() stream.Config {
	return stream.Config{Name: "KV_demo", AllowMsgTTL: true, MaxMsgsPerSubject: 5, MaxAge: time.Minute, MaxMsgSize: 1024, MaxMsgs: 1000}
}

// Each finding that an update fixes is fixed by the fields that it is about and by
// no other; then it is found no more, and fixing it again changes nothing.
func TestFix(t *testing.T) {
	changes := map[string][]change{
		"ttl-off":           {{"allow_msg_ttl", "null", "true", kvcfg.FromOrigin}},
		"max-age":           {{"max_age", "0", "60000000000", kvcfg.FromOrigin}, {"duplicate_window", "120000000000", "60000000000", kvcfg.FromDerived}},
		"history":           {{"max_msgs_per_subject", "2", "5", kvcfg.FromOrigin}},
		"max-value-size":    {{"max_msg_size", "100", "1024", kvcfg.FromOrigin}},
		"origin-limit":      {{"max_msgs", "1234567890123456789", "1000", kvcfg.FromOrigin}},
		"rollup-off":        {{"allow_rollup_hdrs", "false", "true", kvcfg.FromDerived}},
		"deny-delete-off":   {{"deny_delete", "false", "true", kvcfg.FromDerived}},
		"direct-off":        {{"allow_direct", "null", "true", kvcfg.FromDerived}},
		"consumer-limits":   {{"consumer_limits", `{"max_ack_pending": 7, "future": 1}`, `{"future":1}`, kvcfg.FromDerived}},
		"mirror-direct-off": {{"mirror_direct", "null", "true", kvcfg.FromDerived}},
	}
	for _, k := range Kinds() {
		if _, ok := changes[k.Code]; ok != (k.Remedy == Repair) {
			t.Errorf("%s: remedy %q, and a case: %t", k.Code, k.Remedy, ok)
		}
	}
	found := func(raw stream.Raw, code string) bool {
		f := healthy()
		f.Mirror.Config, f.Origin.Config = streamtest.Typed(t, raw), fixOrigin()
		return slices.ContainsFunc(Findings(f, DefaultThresholds()), func(f Finding) bool { return f.Code == code })
	}
	for code, want := range changes {
		t.Run(code, func(t *testing.T) {
			before := streamtest.Parse(t, streamtest.Unfit)
			if !found(before, code) {
				t.Fatal("it is not found to begin with")
			}
			kept := maps.Clone(before)
			plan, err := Fix(before, fixOrigin(), []string{code})
			if err != nil {
				t.Fatal(err)
			}
			wantTouched(t, kept, before)
			wantChanges(t, plan.Changes, want...)
			var fields []string
			for _, c := range want {
				fields = append(fields, c.field)
				wantValue(t, plan.Config, c.field, c.to)
			}
			slices.Sort(fields)
			wantTouched(t, before, plan.Config, fields...)
			if found(plan.Config, code) {
				t.Error("it is found again")
			}

			again, err := Fix(plan.Config, fixOrigin(), []string{code})
			if err != nil {
				t.Fatal(err)
			}
			wantChanges(t, again.Changes)
			wantTouched(t, plan.Config, again.Config)
		})
	}
}

// All at once, and nothing that no update fixes.
func TestFixAll(t *testing.T) {
	before := streamtest.Parse(t, streamtest.Unfit)
	plan, err := Fix(before, fixOrigin(), Codes())
	if err != nil {
		t.Fatal(err)
	}
	wantTouched(t, before, plan.Config, "allow_direct", "allow_msg_ttl", "allow_rollup_hdrs", "consumer_limits", "deny_delete", "duplicate_window", "max_age", "max_msg_size", "max_msgs", "max_msgs_per_subject", "mirror_direct")
	wantValue(t, plan.Config, "unheard_of", `{"a": [1, null, {"b": 1e3}]}`)

	for _, codes := range [][]string{nil, {"left-over", "stalled", "nosuch"}} {
		plan, err := Fix(before, fixOrigin(), codes)
		if err != nil {
			t.Fatal(err)
		}
		wantChanges(t, plan.Changes)
		wantTouched(t, before, plan.Config)
	}
}

// What was chosen is left alone, whatever codes are asked for.
func TestFixLeavesChosen(t *testing.T) {
	before := streamtest.Parse(t, streamtest.Unfit)
	if err := before.SetIn("metadata", kvcfg.ChosenKey, "max_age,max_bytes,max_msgs_per_subject"); err != nil {
		t.Fatal(err)
	}
	plan, err := Fix(before, fixOrigin(), Codes())
	if err != nil {
		t.Fatal(err)
	}
	wantTouched(t, before, plan.Config, "allow_direct", "allow_msg_ttl", "allow_rollup_hdrs", "consumer_limits", "deny_delete", "max_msg_size", "mirror_direct")
}

// The duplicate window is only cut down, and only if it is too long.
func TestFixKeepsShortDuplicateWindow(t *testing.T) {
	for window, want := range map[string][]string{
		`"duplicate_window": 120000000000`: {"duplicate_window", "max_age"},
		`"duplicate_window": 60000000000`:  {"max_age"},
		`"duplicate_window": 0`:            {"max_age"},
	} {
		before := streamtest.Parse(t, strings.Replace(streamtest.Unfit, `"duplicate_window": 120000000000`, window, 1))
		plan, err := Fix(before, fixOrigin(), []string{"max-age"})
		if err != nil {
			t.Fatal(err)
		}
		wantTouched(t, before, plan.Config, want...)
	}
}

func TestFixRefuses(t *testing.T) {
	for text, want := range map[string]error{
		`{"name":"KV_copy","subjects":["$KV.copy.>"],"max_msgs_per_subject":1}`: kvcfg.ErrNotMirror,
		`{"name":"ORDERS","mirror":{"name":"KV_demo"}}`:                         kvcfg.ErrNotBucket,
		`{"name":"KV_copy","mirror":{"name":"ORDERS"}}`:                         kvcfg.ErrNotBucket,
		`{"name":"KV_copy","max_age":"long","mirror":{"name":"KV_demo"}}`:       stream.ErrMalformed,
	} {
		_, err := Fix(streamtest.Parse(t, text), fixOrigin(), []string{"ttl-off"})
		wantErr(t, err, want)
	}
}

func TestFixable(t *testing.T) {
	findings := []Finding{
		{Code: "a", Severity: Critical, Remedy: Repair},
		{Code: "b", Severity: OK, Remedy: Repair},
		{Code: "c", Severity: Critical, Remedy: Prune},
		{Code: "d", Severity: Warning, Remedy: Repair},
		{Code: "e", Severity: Critical, Remedy: None},
	}
	if got, want := Fixable(findings, nil), []string{"a", "d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Fixable(findings, []string{"b", "c"}), []string{"a", "b", "d"}; !slices.Equal(got, want) {
		t.Errorf("with names: got %q, want %q", got, want)
	}
}

// RawOf says what Config says.
func TestRawOf(t *testing.T) {
	c := healthy().Mirror.Config
	again := streamtest.Typed(t, c.Raw())
	if got := c.Raw().NotIn(again.Raw()); len(got) > 0 {
		t.Errorf("%q became something else", got)
	}
	if again.Name != c.Name || again.MaxAge != c.MaxAge || *again.Mirror.External != *c.Mirror.External {
		t.Errorf("got %+v, want %+v", again, c)
	}
}

// FuzzFix changes nothing but the fields that the findings are about, and nothing
// the second time.
func FuzzFix(f *testing.F) {
	for _, data := range streamtest.Seeds(f) {
		for _, origin := range streamtest.Seeds(f) {
			f.Add(data, origin, uint16(0x1ff))
		}
		for bit := range 9 { // each alone
			f.Add(data, data, uint16(1<<bit))
		}
	}
	f.Add([]byte(streamtest.Unfit), []byte(`{"max_age":-1,"max_msgs_per_subject":-5,"allow_direct":true}`), uint16(0x1ff))
	codes := []struct {
		code   string
		fields []string
	}{
		{"ttl-off", []string{"allow_msg_ttl"}},
		{"max-age", []string{"max_age", "duplicate_window"}},
		{"history", []string{"max_msgs_per_subject"}},
		{"max-value-size", []string{"max_msg_size"}},
		{"rollup-off", []string{"allow_rollup_hdrs"}},
		{"deny-delete-off", []string{"deny_delete"}},
		{"direct-off", []string{"allow_direct"}},
		{"mirror-direct-off", []string{"mirror_direct"}},
		{"origin-limit", []string{"max_msgs", "max_bytes", "discard"}},
	}

	f.Fuzz(func(t *testing.T, data, origin []byte, mask uint16) {
		current, err := stream.ParseRaw(data)
		if err != nil {
			return
		}
		other, err := stream.ParseRaw(origin)
		if err != nil {
			return
		}
		found, err := other.Config()
		if err != nil {
			return
		}
		before := maps.Clone(current)
		defer func() { wantTouched(t, before, current) }()

		var find, about []string
		for i, c := range codes {
			if mask&(1<<i) != 0 {
				find, about = append(find, c.code), append(about, c.fields...)
			}
		}
		p, err := Fix(current, found, find)
		if err != nil {
			wantKnown(t, err, []error{kvcfg.ErrNotBucket, kvcfg.ErrNotMirror, stream.ErrMalformed})
			return
		}
		wantPlanned(t, current, p, about)
		again, err := Fix(p.Config, found, find)
		if err != nil {
			t.Fatalf("fixing again: %v", err)
		}
		wantChanges(t, again.Changes)
		wantTouched(t, p.Config, again.Config)

	})
}
