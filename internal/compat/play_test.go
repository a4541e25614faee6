//go:build faults

package compat

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

// behaviour is what a pair of servers makes of the program's commands. It is both
// what is expected and what was seen.
type behaviour struct {
	Add    outcome // of a new mirror
	AddTTL bool    // whether it has per-key TTL
	// AddWithout is add once more, with the flag that its failure's hint names;
	// zero when it did not fail.
	AddWithout outcome

	// Fix is what check says fixes a mirror without per-key TTL; empty when it
	// finds nothing wrong with that.
	Fix string
	// File and Memory are what becomes of old mirrors in these storages.
	File, Memory old
	// Repair is repair of an old mirror in a file, Repaired what check then finds.
	Repair   outcome
	Repaired []string

	// Restarted is what check finds of File after its server was restarted.
	// Mirrors in memory are gone then.
	Restarted []string
	// LaterRestarted says whether what was stored after the restart expires, where
	// what was stored after the edit does not.
	LaterRestarted bool
	// Pruned and PrunedMemory are what check finds of File, after the restart, and of
	// Memory, before it, when what was left over was removed; nil when nothing was.
	Pruned, PrunedMemory []string
	// Recreated is what check finds of the mirror of Repair after recreate; nil
	// when there was nothing that needs it.
	Recreated []string
	// Added is what check finds of File after it was deleted and created again.
	Added []string
	// Differs is what check finds of a mirror with per-key TTL, because a
	// flag of add says so, of an origin without; nil when the origin has it.
	Differs []string
}

// old is what becomes of a mirror that was made without per-key TTL and holds
// what has expired at its origin.
type old struct {
	Before []string // what check finds
	Edit   outcome
	After  []string // what check then finds
	// Later says whether what was stored after the edit expires.
	Later bool
}

// leftOver is the code of the finding that messages are left over.
const leftOver = "left-over"

// Buckets of a play.
const (
	origin    = "demo"      // at the hub
	fresh     = "fresh"     // made by add
	file      = "file"      // made as other tools do, in a file, and edited
	memory    = "memory"    // the same in memory
	repaired  = "repaired"  // the same in a file, for repair
	differing = "differing" // made by add with per-key TTL though the origin has none
)

// Keys that are put after the edit, and after the restart.
const (
	later   = "later"
	latest  = "latest"
	laterOn = 2 * time.Second // their TTL
)

// play plays the life of mirrors on a pair of servers of two versions. What is
// wanted decides only how long something is waited for that may never come.
func (b *binaries) play(ctx context.Context, t *testing.T, hub, leaf string, want behaviour) behaviour {
	var saw behaviour
	p := startPair(ctx, t, b.server(ctx, t, hub), b.server(ctx, t, leaf))
	expires := knowsTTL(hub)
	createOrigin(t, p.atHub, origin)
	b.add(ctx, t, p, &saw)
	createOldMirror(t, p.atLeaf, file, origin, "file")
	createOldMirror(t, p.atLeaf, memory, origin, "memory")
	createOldMirror(t, p.atLeaf, repaired, origin, "file")
	p.fill(ctx, t, origin, []string{file, memory, repaired}, expires)
	if saw.AddTTL {
		p.waitHolds(ctx, t, p.atLeaf, fresh, lasting)
	}

	found := b.run(ctx, t, p, "check", file, memory)
	saw.File.Before, saw.Memory.Before = found.codes(file), found.codes(memory)
	saw.Fix = found.fix(file, "ttl-off")
	saw.File.Edit, saw.Memory.Edit = b.edit(ctx, t, p, file), b.edit(ctx, t, p, memory)
	saw.Repair = b.run(ctx, t, p, "repair", repaired, "--force").outcome

	put(t, p.atHub, origin, later, 100, laterOn)
	for _, m := range []string{file, memory, repaired} {
		p.waitCaughtUp(ctx, t, m, origin)
	}
	if expires {
		saw.File.Later = p.expires(ctx, t, file, later, want.File.Later)
		saw.Memory.Later = p.expires(ctx, t, memory, later, want.Memory.Later)
		p.expires(ctx, t, repaired, later, want.File.Later)
	}
	found = b.run(ctx, t, p, "check", file, memory, repaired)
	saw.File.After, saw.Memory.After, saw.Repaired = found.codes(file), found.codes(memory), found.codes(repaired)
	if slices.Contains(saw.Memory.After, leftOver) {
		saw.PrunedMemory = b.prune(ctx, t, p, memory)
	}

	p.restartLeaf(ctx, t, b.server(ctx, t, leaf))
	p.waitCaughtUp(ctx, t, file, origin)
	if !slices.Contains(want.Restarted, leftOver) {
		p.waitHolds(ctx, t, p.atLeaf, file, held(t, p.atHub, origin).Msgs)
	}
	saw.Restarted = b.findings(ctx, t, p, file)
	if slices.Contains(saw.Restarted, leftOver) {
		saw.Pruned = b.prune(ctx, t, p, file)
	}
	if !saw.File.Later && saw.File.Edit == updated {
		put(t, p.atHub, origin, latest, 100, laterOn)
		p.waitCaughtUp(ctx, t, file, origin)
		saw.LaterRestarted = p.expires(ctx, t, file, latest, want.LaterRestarted)
	}
	if slices.Contains(saw.Repaired, leftOver) {
		saw.Recreated = b.recreate(ctx, t, p, repaired)
	}
	saw.Added = b.addAgain(ctx, t, p, file, saw.AddTTL || saw.Add.Exit == 0)
	if !expires {
		saw.Differs = b.differing(ctx, t, p)
	}
	return saw
}

// differing makes a mirror with per-key TTL of an origin whose server knows none.
func (b *binaries) differing(ctx context.Context, t *testing.T, p *pair) []string {
	t.Helper()
	r := b.run(ctx, t, p, "add", differing, "--mirror", origin, "--mirror-domain", "hub", "--allow-msg-ttl", "--wait", longTimeout.String())
	if r.outcome != created || len(r.Warnings) == 0 {
		t.Errorf("a mirror that differs from its origin is %+v, with the warnings %+v", r.outcome, r.Warnings)
	}
	if r := b.run(ctx, t, p, "edit", differing, "--follow", "allow-msg-ttl", "--force"); r.outcome != updated {
		t.Errorf("the choice is not taken back: %+v: %s", r.outcome, r.stderr)
	}
	// What has expired goes, which the origin still has.
	p.waitHolds(ctx, t, p.atLeaf, differing, lasting)
	return b.findings(ctx, t, p, differing)
}

// knowsTTL says whether a server of a version knows per-key TTL.
func knowsTTL(version string) bool { return !strings.HasPrefix(version, "2.10.") }

// add makes a new mirror.
func (b *binaries) add(ctx context.Context, t *testing.T, p *pair, saw *behaviour) {
	t.Helper()
	args := []string{"add", fresh, "--mirror", origin, "--mirror-domain", "hub", "--wait", longTimeout.String()}
	r := b.run(ctx, t, p, args...)
	saw.Add, saw.AddTTL = r.outcome, r.PerKeyTTL != nil && *r.PerKeyTTL
	if r.Error == nil {
		return
	}
	if !strings.Contains(r.Error.Hint, "--no-allow-msg-ttl") {
		t.Errorf("add fails without the way that works here: %s", r.stderr)
	}
	saw.AddWithout = b.run(ctx, t, p, append(args, "--no-allow-msg-ttl")...).outcome
}

// edit turns per-key TTL on, and makes sure that what is then wrong is said: by
// the edit itself, which either fails with a way that works or warns of what is
// left over, and by info.
func (b *binaries) edit(ctx context.Context, t *testing.T, p *pair, bucket string) outcome {
	t.Helper()
	r := b.run(ctx, t, p, "edit", bucket, "--force")
	if r.Error != nil && !strings.Contains(r.Error.Hint, "recreate "+bucket) {
		t.Errorf("edit fails without the way that works here: %s", r.stderr)
	}
	shown := b.run(ctx, t, p, "info", bucket)
	if want := (outcome{0, "shown", ""}); shown.outcome != want {
		t.Errorf("info is %+v: %s", shown.outcome, shown.stderr)
	}
	if on := *shown.PerKeyTTL; on != (r.Action == "updated") {
		t.Errorf("edit says %q, and info that per-key TTL is %v", r.Action, on)
	}
	left := shown.Origin.LeftOver
	warned := r.warnsOf(leftOver)
	switch {
	case left == nil:
		t.Errorf("info does not know what is left over: %s", shown.stdout)
	case r.Error == nil && (*left > 0) != warned:
		t.Errorf("info says that %d messages are left over, and edit warns of %+v", *left, r.Warnings)
	}
	if again := b.run(ctx, t, p, "edit", bucket, "--force").outcome; r.Exit == 0 && again != (outcome{0, "unchanged", ""}) {
		t.Errorf("a second edit is %+v", again)
	}
	return r.outcome
}

// findings are the codes that check finds on a bucket.
func (b *binaries) findings(ctx context.Context, t *testing.T, p *pair, bucket string) []string {
	t.Helper()
	return b.run(ctx, t, p, "check", bucket).codes(bucket)
}

// aWhile is how long something is waited for that is not expected: servers look
// once a second for what has expired.
const aWhile = 3 * time.Second

// expires says whether a key, which carries a TTL, goes from a mirror.
func (p *pair) expires(ctx context.Context, t *testing.T, mirror, key string, expected bool) bool {
	t.Helper()
	p.waitHolds(ctx, t, p.atHub, origin, lasting)
	timeout := aWhile
	if expected {
		timeout = longTimeout
	}
	return tryFor(ctx, timeout, func() bool { return !holds(t, p.atLeaf, mirror, origin, key) })
}

// recreate has the program delete a mirror and create it again.
func (b *binaries) recreate(ctx context.Context, t *testing.T, p *pair, bucket string) []string {
	t.Helper()
	p.waitCaughtUp(ctx, t, bucket, origin)
	args := []string{"recreate", bucket, "--force"}
	r := b.run(ctx, t, p, args...)
	if r.outcome == oldServer && strings.Contains(r.Error.Hint, "--no-allow-msg-ttl") {
		if held(t, p.atLeaf, bucket).Msgs <= lasting {
			t.Error("recreate is refused, and yet has created the mirror again")
		}
		r = b.run(ctx, t, p, append(args, "--no-allow-msg-ttl")...)
	}
	if r.outcome != recreated {
		t.Errorf("recreate is %+v: %s", r.outcome, r.stderr)
	}
	b.holdsAll(ctx, t, p, bucket)
	return b.findings(ctx, t, p, bucket)
}

// addAgain deletes a mirror and creates it again with add, which works on every version, and
// returns what check then finds.
func (b *binaries) addAgain(ctx context.Context, t *testing.T, p *pair, bucket string, follows bool) []string {
	t.Helper()
	deleteBucket(t, p.atLeaf, bucket)
	args := []string{"add", bucket, "--mirror", origin, "--mirror-domain", "hub", "--wait", longTimeout.String()}
	if !follows {
		args = append(args, "--no-allow-msg-ttl")
	}
	if r := b.run(ctx, t, p, args...); r.outcome != (outcome{0, "created", ""}) {
		t.Errorf("a new mirror is %+v: %s", r.outcome, r.stderr)
	}
	b.holdsAll(ctx, t, p, bucket)
	return b.findings(ctx, t, p, bucket)
}
