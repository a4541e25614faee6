// Package kvcfg says what the configuration of a Key-Value mirror must be.
//
// It is pure: the current configuration, the origin's and the user's wishes go
// in; a new configuration, the changes that lead to it and the ways in which a
// mirror does not follow its origin come out. It holds no connection, reads no
// clock and prints nothing.
//
// A configuration is changed as the JSON that the server sent ([Raw]), so that
// fields this program has never heard of survive an edit. [Config] is a typed
// view for reading only.
package kvcfg
