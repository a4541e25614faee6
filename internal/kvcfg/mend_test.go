package kvcfg

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// unfit is a mirror of which everything that an update mends has to be mended,
// with fields that this program knows nothing of and a number that no float
// holds.
const unfit = `{
	"name": "KV_copy", "description": "odd", "storage": "file", "num_replicas": 1, "max_msgs": 1234567890123456789,
	"max_msgs_per_subject": 2, "max_age": 0, "max_msg_size": 100, "discard": "old", "duplicate_window": 120000000000,
	"deny_delete": false, "allow_rollup_hdrs": false, "unheard_of": {"a": [1, null, {"b": 1e3}]},
	"metadata": {"owner": "ops", "_nats.ver": "2.15.2"},
	"mirror": {"name": "KV_demo", "opt_start_seq": 1, "external": {"api": "$JS.hub.API", "deliver": ""}}
}`

func mendOrigin() Config {
	return Config{Name: "KV_demo", AllowMsgTTL: true, MaxMsgsPerSubject: 5, MaxAge: time.Minute, MaxMsgSize: 1024}
}

// Each finding that an update mends is mended by the fields that it is about and
// by no other; to mend it again changes nothing, and then it is found no more.
func TestMend(t *testing.T) {
	changes := map[string][]change{
		"ttl-off":           {{"allow_msg_ttl", "null", "true", FromOrigin}},
		"max-age":           {{"max_age", "0", "60000000000", FromOrigin}, {"duplicate_window", "120000000000", "60000000000", FromDerived}},
		"history":           {{"max_msgs_per_subject", "2", "5", FromOrigin}},
		"max-value-size":    {{"max_msg_size", "100", "1024", FromOrigin}},
		"rollup-off":        {{"allow_rollup_hdrs", "false", "true", FromDerived}},
		"deny-delete-off":   {{"deny_delete", "false", "true", FromDerived}},
		"direct-off":        {{"allow_direct", "null", "true", FromDerived}},
		"mirror-direct-off": {{"mirror_direct", "null", "true", FromDerived}},
	}
	for _, k := range Kinds() {
		if _, ok := changes[k.Code]; ok != (k.Remedy == ByUpdate) {
			t.Errorf("%s is mended by %q and %t that there is a case for it", k.Code, k.Remedy, ok)
		}
	}
	found := func(raw Raw, code string) bool {
		f := healthy()
		f.Mirror.Config, f.Origin.Config = typed(t, raw), mendOrigin()
		return slices.ContainsFunc(Check(f, DefaultThresholds()), func(f Finding) bool { return f.Code == code })
	}
	for code, want := range changes {
		t.Run(code, func(t *testing.T) {
			before := parse(t, unfit)
			if !found(before, code) {
				t.Fatal("it is not found to begin with")
			}
			kept := maps.Clone(before)
			plan, err := Mend(before, mendOrigin(), []string{code})
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

			again, err := Mend(plan.Config, mendOrigin(), []string{code})
			if err != nil {
				t.Fatal(err)
			}
			wantChanges(t, again.Changes)
			wantTouched(t, plan.Config, again.Config)
		})
	}
}

// All at once, and nothing that no update mends.
func TestMendAll(t *testing.T) {
	before := parse(t, unfit)
	var all []string
	for _, k := range Kinds() {
		all = append(all, k.Code)
	}
	plan, err := Mend(before, mendOrigin(), all)
	if err != nil {
		t.Fatal(err)
	}
	wantTouched(t, before, plan.Config, "allow_direct", "allow_msg_ttl", "allow_rollup_hdrs", "deny_delete", "duplicate_window", "max_age", "max_msg_size", "max_msgs_per_subject", "mirror_direct")
	wantValue(t, plan.Config, "unheard_of", `{"a": [1, null, {"b": 1e3}]}`)

	for _, codes := range [][]string{nil, {"left-over", "stalled", "nosuch"}} {
		plan, err := Mend(before, mendOrigin(), codes)
		if err != nil {
			t.Fatal(err)
		}
		wantChanges(t, plan.Changes)
		wantTouched(t, before, plan.Config)
	}
}

// The duplicate window is only cut down, and only if it is too long.
func TestMendKeepsShortDuplicateWindow(t *testing.T) {
	for window, want := range map[string][]string{
		`"duplicate_window": 120000000000`: {"duplicate_window", "max_age"},
		`"duplicate_window": 60000000000`:  {"max_age"},
		`"duplicate_window": 0`:            {"max_age"},
	} {
		before := parse(t, strings.Replace(unfit, `"duplicate_window": 120000000000`, window, 1))
		plan, err := Mend(before, mendOrigin(), []string{"max-age"})
		if err != nil {
			t.Fatal(err)
		}
		wantTouched(t, before, plan.Config, want...)
	}
}

func TestMendRefuses(t *testing.T) {
	for text, want := range map[string]error{
		`{"name":"KV_copy","subjects":["$KV.copy.>"],"max_msgs_per_subject":1}`: ErrNotMirror,
		`{"name":"ORDERS","mirror":{"name":"KV_demo"}}`:                         ErrNotBucket,
		`{"name":"KV_copy","mirror":{"name":"ORDERS"}}`:                         ErrNotBucket,
		`{"name":"KV_copy","max_age":"long","mirror":{"name":"KV_demo"}}`:       ErrMalformed,
	} {
		_, err := Mend(parse(t, text), mendOrigin(), []string{"ttl-off"})
		wantErr(t, err, want)
	}
}

func TestMendable(t *testing.T) {
	findings := []Finding{
		{Code: "a", Severity: Critical, Remedy: ByUpdate},
		{Code: "b", Severity: OK, Remedy: ByUpdate},
		{Code: "c", Severity: Critical, Remedy: ByPurge},
		{Code: "d", Severity: Warning, Remedy: ByUpdate},
		{Code: "e", Severity: Critical, Remedy: ByNothing},
	}
	if got, want := Mendable(findings, nil), []string{"a", "d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Mendable(findings, []string{"b", "c"}), []string{"a", "b", "d"}; !slices.Equal(got, want) {
		t.Errorf("with names: got %q, want %q", got, want)
	}
}

// RawOf says what Config says.
func TestRawOf(t *testing.T) {
	c := healthy().Mirror.Config
	again := typed(t, RawOf(c))
	if got := RawOf(c).Differing(RawOf(again)); len(got) > 0 {
		t.Errorf("%q became something else", got)
	}
	if again.Name != c.Name || again.MaxAge != c.MaxAge || *again.Mirror.External != *c.Mirror.External {
		t.Errorf("got %+v, want %+v", again, c)
	}
}
