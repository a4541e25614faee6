package jsapi

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
)

// droppedPrefixes begin the names of headers that are meant for the server which
// stores a message first. Servers drop them when they mirror or source a message,
// older ones do not (server/stream.go, setupMirrorConsumer; 2.11.0 keeps them,
// 2.11.17 does not).
var droppedPrefixes = []string{"Nats-Expected-", "Nats-Batch-"}

// digest is a hash of a message's body and of the headers that a mirror keeps.
func digest(m *nats.Msg) []byte {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		if slices.ContainsFunc(droppedPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			continue
		}
		fmt.Fprintf(h, "%q: %q\n", name, m.Header[name])
	}
	h.Write([]byte{'\n'})
	h.Write(m.Data)
	return h.Sum(nil)
}
