//go:build !race

package main

// rounds is how often the tests that throw dice do so by default.
const rounds = 1000
