package jsapi

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go"
)

// digest is a hash of a message's body and headers.
func digest(m *nats.Msg) []byte {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		fmt.Fprintf(h, "%q: %q\n", name, m.Header[name])
	}
	h.Write([]byte{'\n'})
	h.Write(m.Data)
	return h.Sum(nil)
}
