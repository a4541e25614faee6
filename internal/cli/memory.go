package cli

import (
	goruntime "runtime"
	"runtime/debug"
)

// modestHeap is what comparing messages may take beyond what was taken before:
// most of it is what waits to be read of the faster side.
const modestHeap = 14 << 20

// stayModest lets garbage be collected sooner, so that comparing takes little
// memory: millions of messages are garbage as soon as they are read. It is for
// work that holds little at a time. The function that it returns ends that.
func stayModest() (end func()) {
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	limit := int64(m.Sys-m.HeapReleased) + modestHeap
	before := debug.SetMemoryLimit(-1)
	if limit < before {
		debug.SetMemoryLimit(limit)
	}
	return func() { debug.SetMemoryLimit(before) }
}
