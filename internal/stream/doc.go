// Package stream is the one type of a stream in this program: its information,
// configuration, state, source and cluster, in nats.go's words.
//
// A configuration is decoded into [Config] for reading and kept as the JSON that
// the server sent ([Raw]) for changing, so that fields this program has never heard
// of survive an edit. The package is pure: it holds no connection and reads no
// clock.
package stream
