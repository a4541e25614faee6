//go:build !race

package main

import "time"

// As with the race detector, but faster.
const (
	rounds       = 1000
	losses       = 1000
	lossesAtOnce = 96
	stride       = 1
	halved       = false
	brief        = 2 * time.Second
)
