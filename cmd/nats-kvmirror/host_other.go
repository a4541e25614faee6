//go:build !linux

package main

// endWithHost does nothing: here the name of a parent cannot be had so simply.
func endWithHost(func()) {}
