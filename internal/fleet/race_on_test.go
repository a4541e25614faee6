//go:build race

package fleet

import "time"

// impatience is a timeout that is expected to be hit, and that a server on a busy
// machine keeps otherwise.
const impatience = 8 * time.Second
