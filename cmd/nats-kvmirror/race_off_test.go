//go:build !race

package main

import "time"

// As with the race detector, but faster.
const (
	rounds = 1000
	brief  = time.Second
)
