//go:build faults

package cli

import "testing"

// Each command with exactly the permissions that docs/permissions.md names, and without
// each of them, on each way to the mirror and its origin.
func TestFaultsPermissions(t *testing.T) {
	t.Parallel()
	for _, r := range routes() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			playPermissions(t, r, permissionRows())
		})
	}
}
