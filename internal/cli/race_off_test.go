//go:build !race

package cli

import "time"

// As with the race detector, but faster.
const (
	rounds       = 500
	losses       = 500
	lossesAtOnce = 96
	stride       = 1
	brief        = 2 * time.Second
)
