//go:build faults && race

package cli

// atOnce is how many runs with faults are under way: they mostly wait, but for
// what the race detector makes of the rest.
const atOnce = 24
