//go:build faults && !race

package cli

// As with the race detector, but faster.
const atOnce = 96
