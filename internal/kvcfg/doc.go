// Package kvcfg says what the configuration of a Key-Value mirror must be.
//
// It is pure: the current configuration, the origin's and the user's settings go
// in; a new configuration and the changes that lead to it come out. It holds no
// connection, reads no clock and prints nothing. A configuration is changed as the
// JSON that the server sent ([stream.Raw]), so that fields this program has never
// heard of survive an edit.
package kvcfg
