package cli

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// mirrorState is a mirror and its origin in some state, and the one true answer to
// each question about it. Every command has to give that answer.
type mirrorState struct {
	name   string
	origin map[string]any // what the origin is made with, beside per-key TTL and two keys
	add    []string       // flags of the add that makes the mirror; nil makes it as other tools do
	then   func(t *testing.T, s *stateSites, bucket string)

	follows  bool
	codes    []string // of the findings that are worth a look
	severity check.Severity
	verdict  mirror.Verdict
	purges   bool // something can be purged
	gone     bool // only with consent to lose it, as it is gone without a trace
	// origin unreadable: whether the mirror follows is not known, and kind says why.
	unknown mirror.Kind
}

// stateSites are a hub and a leaf that the states share, each with buckets of its own.
type stateSites struct{ *testSites }

// update changes the origin's configuration.
func (s *stateSites) update(t *testing.T, bucket string, changes map[string]any) {
	t.Helper()
	var info struct {
		Config map[string]any `json:"config"`
	}
	askAPI(t, s.hub, "STREAM.INFO.KV_"+bucket, nil, &info)
	for field, value := range changes {
		info.Config[field] = value
	}
	delete(info.Config, "metadata")
	askAPI(t, s.hub, "STREAM.UPDATE.KV_"+bucket, info.Config, &struct{}{})
}

// updateMirror changes the mirror's configuration, as nobody else would.
func (s *stateSites) updateMirror(t *testing.T, bucket string, changes map[string]any) {
	t.Helper()
	var info struct {
		Config map[string]any `json:"config"`
	}
	askAPI(t, s.leaf, "STREAM.INFO.KV_m"+bucket, nil, &info)
	for field, value := range changes {
		info.Config[field] = value
	}
	askAPI(t, s.leaf, "STREAM.UPDATE.KV_m"+bucket, info.Config, &struct{}{})
}

// create makes the origin o and its mirror m of a state.
func (s *stateSites) create(t *testing.T, st mirrorState, bucket string) {
	t.Helper()
	config := map[string]any{
		"name": "KV_" + bucket, "subjects": []string{"$KV." + bucket + ".>"}, "storage": "memory",
		"max_msgs_per_subject": 1, "max_bytes": -1, "max_msgs": -1, "max_msg_size": -1, "discard": "new", "deny_delete": true, "allow_rollup_hdrs": true,
		"allow_direct": true, "allow_msg_ttl": true, "subject_delete_marker_ttl": time.Minute,
	}
	for field, value := range st.origin {
		config[field] = value
	}
	askAPI(t, s.hub, "STREAM.CREATE.KV_"+bucket, config, &struct{}{})
	for _, key := range []string{"a", "b", "c"} {
		if _, err := s.hub.Request("$KV."+bucket+"."+key, []byte("value"), longest); err != nil {
			t.Fatal(err)
		}
	}
	if st.add == nil {
		askAPI(t, s.leaf, "STREAM.CREATE.KV_m"+bucket, map[string]any{
			"name": "KV_m" + bucket, "storage": "memory", "max_msgs_per_subject": 1, "max_bytes": -1, "max_msgs": -1, "max_msg_size": -1,
			"discard": "new", "deny_delete": true, "allow_rollup_hdrs": true, "allow_direct": true, "mirror_direct": true,
			"mirror": map[string]any{"name": "KV_" + bucket, "external": map[string]any{"api": "$JS.hub.API"}},
		}, &struct{}{})
	} else {
		args := append([]string{"add", "m" + bucket, "--mirror", bucket, "--mirror-domain", "hub", "--wait", "1m", "--server", s.Leaf.URL()}, st.add...)
		if o := runJSON(t, t.Context(), args...); o.code != exitOK {
			t.Fatalf("add: %s", o.stderr)
		}
	}
	waitUntil(t, "the mirror has all of its origin", func() bool {
		is := readStream(t, s.leaf, "m"+bucket)
		return is.connected() && is.State.Last == 3
	})
}

// mirrorStates are those of issues that operators had, and of their like.
func mirrorStates() []mirrorState {
	purgeOrigin := func(t *testing.T, s *stateSites, b string) {
		askAPI(t, s.hub, "STREAM.PURGE.KV_"+b, map[string]any{"filter": "$KV." + b + ".a"}, &struct{}{})
	}
	purgeMirror := func(t *testing.T, s *stateSites, b string) {
		askAPI(t, s.leaf, "STREAM.PURGE.KV_m"+b, map[string]any{"filter": "$KV." + b + ".a"}, &struct{}{})
	}
	set := func(changes map[string]any) func(*testing.T, *stateSites, string) {
		return func(t *testing.T, s *stateSites, b string) { s.update(t, b, changes) }
	}
	none := []string{}
	return []mirrorState{
		{name: "made by add", add: none, follows: true, severity: check.OK, verdict: mirror.Identical},
		{name: "made by another tool", codes: []string{"ttl-off"}, severity: check.Critical, verdict: mirror.Identical},
		{name: "origin keeps more", add: none, then: set(map[string]any{"max_msgs_per_subject": 5}), codes: []string{"history"}, severity: check.Warning, verdict: mirror.Identical},
		{name: "origin keeps less", origin: map[string]any{"max_msgs_per_subject": 5}, add: none, then: set(map[string]any{"max_msgs_per_subject": 1}), codes: []string{"history"}, severity: check.Warning, verdict: mirror.Identical},
		{name: "a history that was chosen", origin: map[string]any{"max_msgs_per_subject": 5}, add: []string{"--history", "2"}, follows: true, severity: check.OK, verdict: mirror.Identical},
		{name: "a limit that is far", add: []string{"--max-bucket-size", "1M"}, follows: true, severity: check.OK, verdict: mirror.Identical},
		{name: "an origin with a limit", origin: map[string]any{"max_msgs": 3, "discard": "old"}, add: none, then: func(t *testing.T, s *stateSites, b string) {
			if _, err := s.hub.Request("$KV."+b+".d", []byte("value"), longest); err != nil {
				t.Fatal(err)
			}
			waitUntil(t, "the mirror has dropped its oldest", func() bool { is := readStream(t, s.leaf, "m"+b).State; return is.Last == 4 && is.Msgs == 3 })
		}, follows: true, severity: check.OK, verdict: mirror.Identical},
		{name: "origin lost its age", origin: map[string]any{"max_age": time.Hour}, add: none, then: set(map[string]any{"max_age": 0}), codes: []string{"max-age"}, severity: check.Critical, verdict: mirror.Identical},
		{name: "republishes into its origin", add: none, then: func(t *testing.T, s *stateSites, b string) {
			s.updateMirror(t, b, map[string]any{"republish": map[string]any{"src": ">", "dest": "$KV.elsewhere.>"}})
		}, follows: true, codes: []string{"republish-loop"}, severity: check.Critical, verdict: mirror.Identical},
		{name: "origin got an age", add: none, then: set(map[string]any{"max_age": time.Hour}), codes: []string{"max-age"}, severity: check.Critical, verdict: mirror.Identical},
		{name: "origin takes larger values", origin: map[string]any{"max_msg_size": 1000}, add: none, then: set(map[string]any{"max_msg_size": -1}), codes: []string{"max-value-size"}, severity: check.Critical, verdict: mirror.Identical},
		{name: "left over", add: none, then: purgeOrigin, follows: true, codes: []string{"left-over"}, severity: check.Critical, verdict: mirror.Differs, gone: true},
		{name: "missing", add: none, then: purgeMirror, follows: true, codes: []string{"missing"}, severity: check.Critical, verdict: mirror.Differs},
		{name: "origin deleted", add: none, then: func(t *testing.T, s *stateSites, b string) {
			askAPI(t, s.hub, "STREAM.DELETE.KV_"+b, nil, &struct{}{})
		}, codes: []string{"origin-missing"}, severity: check.Critical, unknown: mirror.ErrNotFound},
		{name: "some keys", add: []string{"--filter", "a", "--filter", "c"}, follows: true, severity: check.OK, verdict: mirror.Identical},
	}
}

// TestStates holds every command to the one true answer.
func TestStates(t *testing.T) {
	slow(t)
	t.Parallel()
	s := &stateSites{newTestSites(t)}
	for i, st := range mirrorStates() {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			bucket := fmt.Sprintf("state%d", i)
			s.create(t, st, bucket)
			if st.then != nil {
				st.then(t, s, bucket)
			}
			s.holdToTruth(t, st, bucket)
		})
	}
}

// holdToTruth runs all commands that tell of a mirror, and write nothing.
func (s *stateSites) holdToTruth(t *testing.T, st mirrorState, bucket string) {
	m, at := "m"+bucket, []string{"--server", s.Leaf.URL()}
	one := func(args ...string) outcome { return runJSON(t, t.Context(), append(args, at...)...) }
	many := func(args ...string) mirror.Member {
		t.Helper()
		f := runFleet(t, t.Context(), append(args, at...)...).fleet
		i := slices.IndexFunc(f.Mirrors, func(have mirror.Member) bool { return have.Bucket == m })
		if i < 0 {
			t.Fatalf("%q does not tell of it: %+v", args, f)
		}
		return f.Mirrors[i]
	}
	add := append([]string{"add", m, "--mirror", bucket, "--mirror-domain", "hub"}, st.add...)

	// Does it follow?
	info := one("info", m)
	repair := many("repair", m, "--dry-run")
	if st.unknown == "" {
		if follows := info.report.Origin.Follows; follows == nil || *follows != st.follows {
			t.Errorf("info: follows %v, want %v", follows, st.follows)
		}
		if changes := len(repair.Changes) > 0; changes == st.follows {
			t.Errorf("repair: changes %v, and it follows: %v", repair.Changes, st.follows)
		}
		if edit := one("edit", m, "--dry-run"); (edit.report.Action == mirror.Unchanged) != st.follows {
			t.Errorf("edit: %q, and it follows: %v", edit.report.Action, st.follows)
		}
		if added := one(add...); (added.report.Action == mirror.Unchanged) != st.follows {
			t.Errorf("add: %q (%s), and it follows: %v", added.report.Action, added.stderr, st.follows)
		}
	} else {
		if info.report.Origin.Follows != nil {
			t.Error("info: it is said to follow, or not to")
		}
		if added := one(add...); added.report.Error == nil || added.report.Error.Kind != st.unknown {
			t.Errorf("add: %q, want the failure %q", added.report.Action, st.unknown)
		}
	}

	// What is wrong?
	checked, listed := many("check", m), many("ls")
	for command, member := range map[string]mirror.Member{"check": checked, "ls": listed, "repair": repair} {
		if got := worthALook(member.Findings); !slices.Equal(got, st.codes) || member.State != st.severity {
			t.Errorf("%s: %s, %q; want %s, %q", command, member.State, got, st.severity, st.codes)
		}
	}

	// Does it hold what its origin holds?
	if st.unknown != "" {
		return
	}
	compared, prune := many("check", m, "--content"), many("prune", m, "--dry-run")
	quick := many("check", m, "--content", "--quick")
	for command, c := range map[string]*mirror.Content{"check --content": compared.Content, "prune": prune.Content, "check --content --quick": quick.Content} {
		verdict := st.verdict
		if c != nil && c.Method == mirror.BySequences && verdict == mirror.Identical {
			verdict = mirror.SameSequences
		}
		if c == nil || c.Verdict != verdict {
			t.Errorf("%s: %+v, want %s", command, c, verdict)
		}
	}
	if compared.Content.Method == mirror.BySequences {
		t.Error("check --content: not all messages were read")
	}
	if purges := prune.Action == mirror.WouldUpdate; purges != st.purges {
		t.Errorf("prune: %q, want purges %v", prune.Action, st.purges)
	}
	if gone := many("prune", m, "--dry-run", "--gone"); (gone.Action == mirror.WouldUpdate) != (st.purges || st.gone) {
		t.Errorf("prune --gone: %q", gone.Action)
	}
	if got := worthALook(compared.Findings); !slices.Equal(got, st.codes) {
		t.Errorf("check --content: %q, want %q", got, st.codes)
	}
}

// worthALook are the codes of findings that are no notes, sorted.
func worthALook(findings []check.Finding) []string {
	var codes []string
	for _, f := range findings {
		if f.Severity != check.OK {
			codes = append(codes, f.Code)
		}
	}
	slices.Sort(codes)
	return codes
}
