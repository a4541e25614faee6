//go:build faults

package cli

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
)

// The matrices of faults: each command, with each kind of fault at each of its steps.
// They are behind a build tag because all of them take minutes:
//
//	go test -tags faults -run Faults -timeout 30m ./internal/cli
var (
	scale = flag.Int("scale", 100, "percentage of the cases of each matrix of faults that is run")
	seed  = flag.Uint64("seed", 1, "seed of the random faults, and of the choice of cases where -scale is less than 100")
)

// scaled is that percentage of n, at least one.
func scaled(n int) int { return max(1, n**scale/100) }

// sampler returns a function that says of one case after the other whether it is
// run.
func sampler() func() bool {
	random := rand.New(rand.NewPCG(*seed, 0))
	return func() bool { return random.IntN(100) < *scale }
}

// scenario is a command that writes, and how it is found out, from the server
// itself, what became of the write.
type scenario struct {
	name   string
	weight int // of so many runs in twenty
	// prepare makes what the run needs.
	prepare func(t *testing.T, st *testSites, bucket string)
	args    func(bucket string) []string
	// suffix is what stands after the bucket's name in that of the one that is
	// written, where that is another.
	suffix string
	// writes are parts of the subjects of the requests that write, and steps is how
	// many of these there are; 0 means one of each.
	writes []string
	steps  int
	done   mirror.Action
	// applied says whether what is there is what the command is for.
	applied func(before, after streamState) bool
	// halfway is what the message of a failure says when something was changed
	// all the same, by what is there.
	halfway func(before, after streamState, r result) string
	// resumes says that a second run finishes what a first one has begun.
	resumes bool
}

// target is the bucket that is written.
func (w scenario) target(bucket string) string { return bucket + w.suffix }

// writeScenarios are the commands that write.
func writeScenarios(st *testSites) []scenario {
	none := func(*testing.T, *testSites, string) {}
	plain := func(t *testing.T, st *testSites, bucket string) { st.mirror(t, bucket, "demo") }
	own := func(t *testing.T, st *testSites, bucket string) { st.origin(t, bucket); st.mirror(t, bucket, bucket) }
	orphaned := func(t *testing.T, st *testSites, bucket string) {
		own(t, st, bucket)
		askAPI(t, st.hub, "STREAM.DELETE.KV_"+bucket, nil, &struct{}{})
	}
	hasTTL := func(_, after streamState) bool { return after.there && after.Config.TTL }
	nothing := func(before, after streamState, _ result) string { return "" }
	add := func(b string, more ...string) []string {
		return slices.Concat([]string{"add", b, "--mirror", "demo"}, st.toOrigin(b), more)
	}
	return []scenario{
		{
			name: "add", weight: 3, prepare: none,
			args:   func(b string) []string { return add(b) },
			writes: []string{"STREAM.CREATE"}, done: mirror.Created, applied: hasTTL, halfway: nothing,
		},
		{
			name: "add --wait", weight: 2, prepare: none,
			args:   func(b string) []string { return add(b, "--wait", "1m") },
			writes: []string{"STREAM.CREATE"}, done: mirror.Created,
			applied: func(before, after streamState) bool { return hasTTL(before, after) && after.State.Last == 2 },
			halfway: func(_, after streamState, _ result) string {
				if after.there {
					return "was created"
				}
				return ""
			},
		},
		{
			name: "edit", weight: 3, prepare: plain,
			args:   func(b string) []string { return []string{"edit", b, "--force"} },
			writes: []string{"STREAM.UPDATE"}, done: mirror.Updated, applied: hasTTL, halfway: nothing,
		},
		{
			name: "edit, taking away", weight: 1,
			prepare: func(t *testing.T, st *testSites, bucket string) {
				plain(t, st, bucket)
				st.change(t, bucket, st.config(t, bucket), "description")
			},
			args:   func(b string) []string { return []string{"edit", b, "--description", "", "--force"} },
			writes: []string{"STREAM.UPDATE"}, done: mirror.Updated,
			applied: func(_, after streamState) bool { return after.there && after.Config.Description == "" }, halfway: nothing,
		},
		{
			name: "repair", weight: 3, prepare: plain,
			args:   func(b string) []string { return []string{"repair", b, "--force"} },
			writes: []string{"STREAM.UPDATE"}, done: mirror.Updated, applied: hasTTL, halfway: nothing,
		},
		{
			name: "prune", weight: 2,
			prepare: func(t *testing.T, st *testSites, bucket string) { st.leftOver(t, bucket) },
			args:    func(b string) []string { return []string{"prune", b, "--gone", "--force"} },
			writes:  []string{"STREAM.PURGE"}, done: mirror.Updated,
			applied: func(_, after streamState) bool { return after.State.Msgs == 1 },
			halfway: func(_, after streamState, _ result) string {
				if after.State.Msgs == 1 {
					return "1 message purged"
				}
				return ""
			},
		},
		{
			name: "recreate", weight: 2, prepare: own,
			args:   func(b string) []string { return []string{"recreate", b, "--force"} },
			writes: []string{"STREAM.DELETE", "STREAM.CREATE"}, done: mirror.Recreated,
			applied: func(before, after streamState) bool {
				return after.there && !after.Created.Equal(before.Created) && after.Config.TTL
			},
			halfway: func(before, after streamState, _ result) string {
				switch {
				case !after.there:
					return "was deleted"
				case !after.Created.Equal(before.Created):
					return "was created again"
				}
				return ""
			},
		},
		{
			// What it begins with is what recreate leaves when it is killed
			// between the deletion and the creation.
			name: "recreate --from-backup", weight: 1,
			prepare: func(t *testing.T, st *testSites, bucket string) {
				own(t, st, bucket)
				if err := os.WriteFile(st.saved(bucket), mustMarshal(t, st.config(t, bucket)), 0o600); err != nil {
					t.Fatal(err)
				}
				askAPI(t, st.leaf, "STREAM.DELETE.KV_"+bucket, nil, &struct{}{})
			},
			args:   func(b string) []string { return []string{"recreate", b, "--from-backup", st.saved(b)} },
			writes: []string{"STREAM.CREATE"}, done: mirror.Recreated,
			applied: func(_, after streamState) bool { return after.there && after.Mirror != nil && after.State.Last == 2 },
			halfway: func(_, after streamState, _ result) string {
				if after.there {
					return "was created again"
				}
				return ""
			},
		},
		{
			name: "promote", weight: 1, prepare: orphaned,
			args:   func(b string) []string { return []string{"promote", b, "--force"} },
			writes: []string{"STREAM.UPDATE"}, done: mirror.Promoted,
			applied: func(_, after streamState) bool { return after.there && after.Mirror == nil }, halfway: nothing,
		},
		{
			// Created, detached, and finished when it is verified.
			name: "promote --into", weight: 2, prepare: orphaned, suffix: "copy",
			args:   func(b string) []string { return []string{"promote", b, "--into", b + "copy", "--force"} },
			writes: []string{"STREAM.CREATE", "STREAM.UPDATE"}, steps: 3, done: mirror.Promoted,
			applied: func(_, after streamState) bool {
				return after.there && after.Mirror == nil && after.Config.Metadata[kvcfg.CopiedFrom] != "" && after.State.Msgs == 2 &&
					len(after.Config.Subjects) == 1 && strings.HasPrefix(after.Config.Subjects[0], "$KV.")
			},
			halfway: func(_, after streamState, r result) string {
				switch {
				case !after.there || after.Config.Metadata[kvcfg.CopyOf] == "":
					return ""
				case strings.Contains(r.says(), "did not keep its mark"):
					return "was created, but" // and is no copy that a second run knows, if that is true
				}
				return "is not finished"
			},
			resumes: true,
		},
	}
}

// rerun runs a command once more when nothing is amiss: it finishes what was begun.
func (w scenario) rerun(t *testing.T, st *testSites, bucket string, wrong func(format string, a ...any)) {
	if !w.resumes {
		return
	}
	r := play(t, t.Context(), append(w.args(bucket), "--server", st.Leaf.URL())...)
	if is := readStream(t, st.leaf, w.target(bucket)); r.code != exitOK || !w.applied(is, is) {
		wrong("a second run: exit code %d, %q, and what is there is %+v", r.code, r.says(), is)
	}
}

// verify compares what a run says with what is there.
func (w scenario) verify(before, after streamState, r result, wrong func(format string, a ...any)) {
	if len(w.writes) == 0 {
		if !reflect.DeepEqual(after.Config, before.Config) || !after.Created.Equal(before.Created) || after.State.Msgs != before.State.Msgs {
			wrong("what is there is %+v, and was %+v", after, before)
		}
		return
	}
	applied := w.applied(before, after)
	switch r.code {
	case exitOK:
		if r.action != w.done || !applied {
			wrong("what is there is %+v", after)
		}
	case exitFailed:
		half := w.halfway(before, after, r)
		switch {
		case r.action != mirror.Failed:
			wrong("a failure that is none")
		case half != "" && !strings.Contains(r.says(), half):
			wrong("%q is not said, and what is there is %+v", half, after)
		case half == "" && (applied || after.there != before.there):
			wrong("what is there is %+v, and was %+v", after, before)
		}
	case exitUnknown:
		if r.action != mirror.Unknown || r.failure == nil || r.failure.Kind != mirror.ErrOutcomeUnknown || len(r.members) == 1 && r.members[0].Action != mirror.Unknown {
			wrong("it is not said to be unknown")
		}
	default:
		wrong("no such exit code")
	}
}

// readScenarios are the commands that change nothing.
func readScenarios() []scenario {
	connected := func(t *testing.T, st *testSites, bucket string) { st.mirror(t, bucket, "demo") }
	sound := func(t *testing.T, st *testSites, bucket string) {
		connected(t, st, bucket)
		st.change(t, bucket, st.config(t, bucket), "allow_msg_ttl")
	}
	differs := func(t *testing.T, st *testSites, bucket string) { st.leftOver(t, bucket) }
	read := func(name string, prepare func(*testing.T, *testSites, string), args ...string) scenario {
		return scenario{
			name: name, prepare: prepare, args: func(b string) []string { return append(slices.Clone(args), b) },
			applied: func(streamState, streamState) bool { return false },
			halfway: func(streamState, streamState, result) string { return "" },
		}
	}
	ls := read("ls", connected, "ls")
	ls.args = func(string) []string { return []string{"ls"} }
	return []scenario{
		read("info", connected, "info"), ls, read("check", sound, "check"),
		read("check --content", differs, "check", "--content"),
	}
}

// waitForNoOrphans waits until no consumer of ours is left on what a run is about:
// where we cannot delete it, the server does when nobody has listened to
// it for ten seconds.
func waitForNoOrphans(t *testing.T, st *testSites, w scenario, bucket string, wrong func(format string, a ...any)) {
	for deadline := time.Now().Add(longest); ; time.Sleep(pause) {
		left := st.orphans(t, w, bucket)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			wrong("consumers are left: %q", left)
			return
		}
	}
}

// drop takes a run's buckets away, so that the next ones find a small server.
func (st *testSites) drop(t testing.TB, w scenario, bucket string) {
	t.Helper()
	for _, name := range slices.Compact([]string{w.target(bucket), bucket}) {
		for _, nc := range []*nats.Conn{st.leaf, st.hub} {
			askAPI(t, nc, "STREAM.DELETE.KV_"+name, nil, &struct{}{})
		}
	}
}

// orphans are the consumers of our making that are left on a bucket, what was made
// of it, and the origin of its name; not on the bucket demo, which others share.
func (st *testSites) orphans(t testing.TB, w scenario, bucket string) []string {
	t.Helper()
	var left []string
	for _, at := range []struct {
		nc     *nats.Conn
		bucket string
	}{{st.leaf, bucket}, {st.leaf, w.target(bucket)}, {st.hub, bucket}} {
		var list struct {
			Consumers []string `json:"consumers"`
		}
		askAPI(t, at.nc, "CONSUMER.NAMES.KV_"+at.bucket, nil, &list)
		for _, name := range list.Consumers {
			if strings.HasPrefix(name, "kvmirror-") {
				left = append(left, name)
			}
		}
	}
	return left
}

// theirs is what the other one writes.
var theirs = map[string]string{"description": `"theirs"`, "max_bytes": "1048576", "allow_msg_ttl": "true"}

// config is a mirror's configuration.
func (st *testSites) config(t testing.TB, bucket string) map[string]json.RawMessage {
	var info struct {
		Config map[string]json.RawMessage `json:"config"`
	}
	askAPI(t, st.leaf, "STREAM.INFO.KV_"+bucket, nil, &info)
	return info.Config
}

// change writes a configuration with a field changed.
func (st *testSites) change(t testing.TB, bucket string, config map[string]json.RawMessage, field string) {
	config[field] = json.RawMessage(theirs[field])
	answer, err := st.leaf.Request("$JS.API.STREAM.UPDATE.KV_"+bucket, mustMarshal(t, config), longest)
	if err != nil || strings.Contains(string(answer.Data), `"error"`) {
		t.Errorf("the other one cannot write: %v %s", err, answer.Data)
	}
}

func mustMarshal(t testing.TB, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// waitUntilOr is waitUntil for a goroutine that is not the test's, which must not
// end it; why is asked when it is never so.
func waitUntilOr(t testing.TB, what string, ok func() bool, why func() string) {
	for deadline := time.Now().Add(longest); !ok(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			t.Errorf("%s: not so after a minute: %s", what, why())
			return
		}
	}
}

// saved is the file with the configuration of a run's mirror.
func (st *testSites) saved(bucket string) string { return filepath.Join(st.dir, bucket+".json") }

// toOrigin are the flags that say so.
func (st *testSites) toOrigin(bucket string) []string {
	if _, ok := st.prefixes.Load(bucket); ok {
		return []string{"--mirror-api-prefix", st.api(bucket)}
	}
	return []string{"--mirror-domain", "hub"}
}
