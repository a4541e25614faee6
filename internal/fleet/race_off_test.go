//go:build !race

package fleet

import "time"

// As with the race detector, but faster.
const impatience = 2 * time.Second
