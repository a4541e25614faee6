package jsapi

import (
	"bytes"
	"testing"

	"github.com/nats-io/nats.go"
)

// A mirror lacks the headers that its server takes away, and is the same for all
// that; any other header counts.
func TestDigestLeavesOutWhatMirrorsLose(t *testing.T) {
	of := func(pairs ...string) []byte {
		m := &nats.Msg{Header: nats.Header{}, Data: []byte("body")}
		for i := 0; i < len(pairs); i += 2 {
			m.Header[pairs[i]] = []string{pairs[i+1]}
		}
		return digest(m)
	}
	plain := of("Own", "x")
	if !bytes.Equal(plain, of("Own", "x", "Nats-Expected-Last-Subject-Sequence", "0", "Nats-Batch-Id", "a")) {
		t.Error("what a mirror loses makes a difference")
	}
	for _, other := range [][]byte{of("Own", "y"), of(), of("Own", "x", "Nats-TTL", "5s")} {
		if bytes.Equal(plain, other) {
			t.Error("another header makes no difference")
		}
	}
}
