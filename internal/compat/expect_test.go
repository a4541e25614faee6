//go:build faults

package compat

// current is the version that every other one is paired with.
const current = "2.15.2"

// versionCase is a version, and what is expected of it.
type versionCase struct {
	version           string
	usual, usualAbove bool      // whether it is looked at with a small -scale, below and above
	leaf              behaviour // as the mirror's server, below a current hub
	hub               behaviour // as the origin's server, above a current leaf
}

// Findings, as check sorts them by name.
var (
	nothing   = []string{}
	ttlIsOff  = []string{leftOver, "ttl-off"}
	leaves    = []string{leftOver, "server-keeps-expired", "ttl-off"}
	tooOld    = []string{leftOver, "server-too-old", "ttl-off"}
	stillLeft = []string{leftOver}
)

// Outcomes.
var (
	created   = outcome{0, "created", ""}
	updated   = outcome{0, "updated", ""}
	recreated = outcome{0, "recreated", ""}
	unchanged = outcome{0, "unchanged", ""}
	oldServer = outcome{1, "failed", "old-server"}
	// What no update fixes remains.
	incomplete = outcome{1, "failed", "incomplete"}
)

// versions are the versions and what they do. What is not said in a word was
// seen on these servers with these tests.
func versions() []versionCase {
	const byRepair, byRecreate = "nats-kvmirror repair file", "nats-kvmirror recreate file"
	works := behaviour{
		Add: created, AddTTL: true,
		Fix:    byRepair,
		File:   old{Before: ttlIsOff, Edit: updated, After: nothing, Later: true},
		Memory: old{Before: ttlIsOff, Edit: updated, After: nothing, Later: true},
		Repair: updated, Repaired: nothing,
		Restarted: nothing,
		Added:     nothing,
	}
	// 2.10 drops allow_msg_ttl from what it is sent, and stores TTLs as headers
	// like any other.
	none := behaviour{
		Add: oldServer, AddWithout: created,
		Fix:    "upgrade the mirror's server to 2.11 or later",
		File:   old{Before: tooOld, Edit: oldServer, After: tooOld},
		Memory: old{Before: tooOld, Edit: oldServer, After: tooOld},
		Repair: incomplete, Repaired: tooOld,
		Restarted: tooOld,
		Pruned:    []string{"server-too-old", "ttl-off"}, PrunedMemory: []string{"server-too-old", "ttl-off"},
		// Without per-key TTL by choice.
		Recreated: nothing,
		Added:     nothing,
	}
	keepsAll := old{Before: nothing, Edit: unchanged, After: nothing}
	noneAbove := behaviour{
		Add:  created,
		File: keepsAll, Memory: keepsAll,
		Repair: unchanged, Repaired: nothing,
		Restarted: nothing,
		Added:     nothing,
		Differs:   []string{"missing", "ttl-origin-ignored"},
	}
	// An update answers 10052 "message TTL status cannot be changed after stream
	// creation".
	refused := behaviour{
		Add: created, AddTTL: true,
		Fix:    byRecreate,
		File:   old{Before: leaves, Edit: oldServer, After: leaves},
		Memory: old{Before: leaves, Edit: oldServer, After: leaves},
		Repair: incomplete, Repaired: leaves,
		Restarted: leaves,
		Pruned:    []string{"server-keeps-expired", "ttl-off"}, PrunedMemory: []string{"server-keeps-expired", "ttl-off"},
		Recreated: nothing,
		Added:     nothing,
	}
	afterRestart := works
	afterRestart.File = old{Before: leaves, Edit: updated, After: stillLeft}
	afterRestart.Memory = afterRestart.File
	afterRestart.Repair = incomplete
	afterRestart.Repaired, afterRestart.Restarted, afterRestart.Pruned = stillLeft, stillLeft, nothing
	afterRestart.PrunedMemory, afterRestart.Recreated, afterRestart.LaterRestarted = nothing, nothing, true
	newOnly := works
	newOnly.File = old{Before: leaves, Edit: updated, After: stillLeft, Later: true}
	newOnly.Memory = newOnly.File
	newOnly.Repair = incomplete
	newOnly.Repaired, newOnly.Restarted, newOnly.Pruned, newOnly.PrunedMemory = stillLeft, stillLeft, nothing, nothing
	newOnly.Recreated = nothing
	// What had expired in a file goes with the update only where its block was read since
	// the server counted what expires in it: `check` reads what is left over.
	onceRead := works
	onceRead.File.Before = leaves

	return []versionCase{
		{"2.10.29", true, true, none, noneAbove},
		{"2.11.0", false, false, refused, works},
		{"2.11.4", false, false, afterRestart, works},
		{"2.11.6", true, false, newOnly, works},
		{"2.11.17", true, false, onceRead, works},
		{"2.12.15", false, false, works, works},
		{"2.14.9", false, false, works, works},
		{current, true, false, works, works},
	}
}
