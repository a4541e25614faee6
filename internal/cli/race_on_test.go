//go:build race

package cli

import "time"

// What the race detector, which makes everything slow, changes of the tests.
const (
	// atOnce is how many runs with faults are under way: they mostly wait, but for
	// what the race detector makes of the rest.
	atOnce = 24
	// brief is a timeout that is expected to be hit, and that a server on a busy
	// machine keeps otherwise.
	brief = 4 * time.Second
)
