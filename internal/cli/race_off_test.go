//go:build !race

package cli

import "time"

// As with the race detector, but faster.
const (
	atOnce = 96
	brief  = 2 * time.Second
)
