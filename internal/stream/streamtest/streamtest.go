// Package streamtest reads configurations that servers have sent, for tests.
package streamtest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"nats-kvmirror/internal/stream"
)

// Files are the recorded configurations of mirrors.
func Files() []string {
	return []string{"mirror-2.10.29.json", "mirror-2.11.6.json", "mirror-2.15.2.json", "mirror-odd.json"}
}

// Recorded reads a configuration from internal/stream/testdata.
func Recorded(t testing.TB, file string) stream.Raw {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	data, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return Parse(t, string(data))
}

// Parse reads a configuration that is valid.
func Parse(t testing.TB, text string) stream.Raw {
	t.Helper()
	raw, err := stream.ParseRaw([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Typed is a valid configuration for reading.
func Typed(t testing.TB, raw stream.Raw) stream.Config {
	t.Helper()
	c, err := raw.Config()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Seeds are the recorded configurations, as a fuzzer takes them.
func Seeds(t testing.TB) [][]byte {
	t.Helper()
	var all [][]byte
	for _, file := range Files() {
		all = append(all, stream.JSON(Recorded(t, file)))
	}
	return all
}

// Unfit is a mirror of which everything that an update can fix has to be fixed,
// with fields that this program knows nothing of and a number that no float
// holds.
const Unfit = `{
	"name": "KV_copy", "description": "odd", "storage": "file", "num_replicas": 1, "max_msgs": 1234567890123456789,
	"max_msgs_per_subject": 2, "max_age": 0, "max_msg_size": 100, "discard": "old", "duplicate_window": 120000000000,
	"deny_delete": false, "allow_rollup_hdrs": false, "consumer_limits": {"max_ack_pending": 7, "future": 1}, "unheard_of": {"a": [1, null, {"b": 1e3}]},
	"metadata": {"owner": "ops", "_nats.ver": "2.15.2"},
	"mirror": {"name": "KV_demo", "opt_start_seq": 1, "external": {"api": "$JS.hub.API", "deliver": ""}}
}`
