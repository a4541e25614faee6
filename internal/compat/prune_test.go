//go:build faults

package compat

import (
	"context"
	"testing"
)

// prune removes what is left over on a mirror, and returns what check then finds.
// What is known to be left over is found message by message, and what stays is
// what the origin holds, on every version.
func (b *binaries) prune(ctx context.Context, t *testing.T, p *pair, bucket string) []string {
	t.Helper()
	surplus := held(t, p.atLeaf, bucket).Msgs - held(t, p.atHub, origin).Msgs
	if found := b.compares(ctx, t, p, bucket); found.Verdict != "differs" || found.leftOver() != surplus || found.other() != 0 {
		t.Errorf("%d messages are left over on %s, and check --content says %+v", surplus, bucket, found)
	}
	pruned := b.run(ctx, t, p, "prune", bucket, "--force")
	if pruned.outcome != updated {
		t.Errorf("prune is %+v: %s", pruned.outcome, pruned.stderr)
	}
	if again := b.run(ctx, t, p, "prune", bucket, "--force"); again.outcome != unchanged {
		t.Errorf("a second prune is %+v: %s", again.outcome, again.stderr)
	}
	b.holdsAll(ctx, t, p, bucket)
	return b.findings(ctx, t, p, bucket)
}

// comparison is what check --content says of the messages of a mirror.
type comparison struct {
	Verdict   string         `json:"verdict"`
	LeftOver  map[string]int `json:"left_over"` // by reason
	Missing   map[string]int `json:"missing"`
	Different map[string]int `json:"different"`
}

func (c comparison) leftOver() int { return sum(c.LeftOver) }

func (c comparison) other() int { return sum(c.Missing) + sum(c.Different) }

func sum(counts map[string]int) int {
	all := 0
	for _, n := range counts {
		all += n
	}
	return all
}

// compares compares a mirror with its origin message by message.
func (b *binaries) compares(ctx context.Context, t *testing.T, p *pair, bucket string) comparison {
	t.Helper()
	r := b.run(ctx, t, p, "check", "--content", bucket)
	if len(r.Mirrors) != 1 || r.Mirrors[0].Content == nil {
		t.Fatalf("check --content says nothing of %s: %s%s", bucket, r.stdout, r.stderr)
	}
	return *r.Mirrors[0].Content
}

// holdsAll makes sure that check --content finds a mirror to hold what its origin
// holds, and leaves no consumer behind.
func (b *binaries) holdsAll(ctx context.Context, t *testing.T, p *pair, bucket string) {
	t.Helper()
	if found := b.compares(ctx, t, p, bucket); found.Verdict != "identical" {
		t.Errorf("check --content of %s says %+v", bucket, found)
	}
	consumers := 0
	if !tryFor(ctx, longTimeout, func() bool { consumers = held(t, p.atLeaf, bucket).Consumers; return consumers == 0 }) {
		t.Errorf("%d consumers are left on %s", consumers, bucket)
	}
}
