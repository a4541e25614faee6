//go:build faults

package compat

import (
	"context"
	"reflect"
	"slices"
	"testing"
)

// TestVersionsUpgrade has mirrors that were written by a server which leaves expired
// messages behind taken over by a current one: what is left over stays, is found,
// and can be removed, whether per-key TTL was turned on before the upgrade or
// after it. Mirrors in memory do not outlive the old server, and so hold nothing
// that is left over once they are made again.
func TestVersionsUpgrade(t *testing.T) {
	t.Parallel()
	ctx := beforeDeadline(t)
	b := build(ctx, t)
	for _, version := range []string{"2.11.6", "2.11.17"} {
		if all() || version == "2.11.17" {
			t.Run(version, func(t *testing.T) {
				t.Parallel()
				b.upgrade(ctx, t, version)
			})
		}
	}
}

func (b *binaries) upgrade(ctx context.Context, t *testing.T, from string) {
	const edited, unedited = "edited", "unedited"
	p := startPair(ctx, t, b.server(ctx, t, current), b.server(ctx, t, from))
	createOrigin(t, p.atHub, origin)
	createOldMirror(t, p.atLeaf, edited, origin, "file")
	createOldMirror(t, p.atLeaf, unedited, origin, "file")
	createOldMirror(t, p.atLeaf, memory, origin, "memory")
	p.fill(ctx, t, origin, []string{edited, unedited, memory}, true)
	for _, m := range []string{edited, memory} {
		if r := b.run(ctx, t, p, "edit", m, "--force"); r.outcome != updated {
			t.Fatalf("edit is %+v: %s", r.outcome, r.stderr)
		}
	}

	p.restartLeaf(ctx, t, b.server(ctx, t, current))
	p.waitCaughtUp(ctx, t, edited, origin)
	p.waitCaughtUp(ctx, t, unedited, origin)
	b.finds(ctx, t, p, edited, leftOver)
	b.finds(ctx, t, p, unedited, leftOver, "ttl-off")
	if r := b.run(ctx, t, p, "info", memory); r.Kind != "not-found" {
		t.Errorf("the mirror in memory has outlived its server: info is %+v", r.outcome)
	}
	add := []string{"add", memory, "--mirror", origin, "--mirror-domain", "hub", "--storage", "memory", "--wait", longTimeout.String()}
	if r := b.run(ctx, t, p, add...); r.outcome != created {
		t.Errorf("add of the mirror in memory is %+v: %s", r.outcome, r.stderr)
	}
	b.finds(ctx, t, p, memory)

	// check has read what is left over, so it goes with the update.
	if r := b.run(ctx, t, p, "edit", unedited, "--force"); r.outcome != updated {
		t.Errorf("edit after the upgrade is %+v, and warns of %+v", r.outcome, r.Warnings)
	}
	b.finds(ctx, t, p, unedited)
	if found := b.prune(ctx, t, p, edited); !reflect.DeepEqual(found, nothing) {
		t.Errorf("after %s was pruned, check finds %v", edited, found)
	}
}

// finds makes sure that check finds just these codes, which are sorted.
func (b *binaries) finds(ctx context.Context, t *testing.T, p *pair, bucket string, codes ...string) {
	t.Helper()
	if found := b.findings(ctx, t, p, bucket); !slices.Equal(found, codes) {
		t.Errorf("check finds %v on %s, want %v", found, bucket, codes)
	}
}
