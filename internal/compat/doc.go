// Package compat holds no code, only tests: the real command against real
// nats-servers of many versions, each as a mirror's server below a hub of the
// current version, and as the hub above a leaf of the current version.
//
// They are behind the build tag of the matrices of faults. The servers are
// installed from the Go module proxy when they are first needed. All versions, and
// the whole table of docs/versions.md, are tested with
//
//	go test -tags faults -v -timeout 30m ./internal/compat
//
// and -update behind it writes that table into docs/versions.md. With -scale=10 it is a few
// versions.
package compat
