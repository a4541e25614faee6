//go:build race

package main

// rounds is how often the tests that throw dice do so by default: the race
// detector makes them slow.
const rounds = 200
