//go:build !race

package cli

// As with the race detector, but faster.
const atOnce = 96
