package compat

import (
	"context"
	"fmt"
	"testing"
)

// sweep removes what is left over on a mirror, and returns what check then finds.
func (b *binaries) sweep(ctx context.Context, t *testing.T, p *pair, bucket string) []string {
	t.Helper()
	keys := []string{later}
	for i := range expiring {
		keys = append(keys, fmt.Sprintf("expires.%d", i))
	}
	for _, key := range keys {
		api(t, p.atLeaf, "$JS.API.STREAM.PURGE.KV_"+bucket, map[string]any{"filter": "$KV." + origin + "." + key}, nil)
	}
	return b.findings(ctx, t, p, bucket)
}
