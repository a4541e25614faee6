//go:build faults

package compat

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestOriginRaisesTTL has an origin on a server that keeps a key with a short TTL as long
// as its limit markers, and one on a server that says so in the message: of the first the
// mirror drops what the origin serves, which is warned of before, found, and not to be
// cured by creating the mirror again.
func TestOriginRaisesTTL(t *testing.T) {
	t.Parallel()
	ctx := beforeDeadline(t)
	b := build(ctx, t)
	for version, raises := range map[string]bool{"2.11.6": true, "2.11.9": false} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			p := startPair(ctx, t, b.server(ctx, t, version), b.server(ctx, t, current))
			api(t, p.atHub, "$JS.API.STREAM.CREATE.KV_short", map[string]any{
				"name": "KV_short", "subjects": []string{"$KV.short.>"}, "storage": "file", "discard": "new", "max_msgs_per_subject": 3,
				"deny_delete": true, "allow_rollup_hdrs": true, "allow_direct": true, "allow_msg_ttl": true, "subject_delete_marker_ttl": time.Hour,
			}, nil)
			added := b.run(ctx, t, p, "add", "short", "--mirror", "short", "--mirror-domain", "hub", "--wait", longTimeout.String())
			if added.outcome != created || added.warnsOf("origin-raises-ttl") != raises {
				t.Errorf("add is %+v, and warns of %+v", added.outcome, added.Warnings)
			}
			key := nats.NewMsg("$KV.short.key")
			key.Header.Set("Nats-TTL", "2s")
			if _, err := p.atHub.RequestMsg(key, longTimeout); err != nil {
				t.Fatal(err)
			}
			p.waitCaughtUp(ctx, t, "short", "short")
			gone := tryFor(ctx, 2*aWhile, func() bool { return held(t, p.atLeaf, "short").Msgs == 0 })
			if there := held(t, p.atHub, "short").Msgs; gone != raises || there != 1 {
				t.Errorf("the key is gone from the mirror: %t; the origin holds %d", gone, there)
			}
			checked := b.run(ctx, t, p, "check", "short")
			want := []string{}
			if raises {
				want = []string{"missing", "origin-raises-ttl"}
			}
			if codes := checked.codes("short"); !slices.Equal(codes, want) {
				t.Errorf("found %q, want %q", codes, want)
			}
			for _, code := range want {
				if fix := checked.fix("short", code); !strings.Contains(fix, "2.11.9") {
					t.Errorf("the fix of %s is %q", code, fix)
				}
			}
			if compared := b.run(ctx, t, p, "check", "short", "--content"); strings.Contains(compared.fix("short", "missing"), "recreate") {
				t.Errorf("recreate is offered: %s", compared.stdout)
			}
		})
	}
}
