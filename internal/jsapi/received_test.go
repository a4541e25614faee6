package jsapi

import (
	"testing"

	"github.com/nats-io/nats.go"
)

// A message whose reply subject does not hold its sequence never ends a walk as if
// that were complete.
func TestReplySubjects(t *testing.T) {
	type outcome struct{ done, lost, failed bool }
	for reply, want := range map[string]outcome{
		"$JS.ACK.S.c.1.17.1.1700000000000000000.9":              {},
		"$JS.ACK._.ACC.S.c.1.17.1.1700000000000000000.9":        {},
		"$JS.ACK.hub.ACC.S.c.1.17.1.1700000000000000000.9.more": {},
		"$JS.ACK.S.c.1.20.1.1700000000000000000.9":              {done: true},
		"$JS.ACK.S.c.1.17.1.1700000000000000000.0":              {lost: true},
		"$JS.ACK.S.c.1.17.4.1700000000000000000.9":              {lost: true},
		"$JS.ACK.S.c.1.x.1.1700000000000000000.9":               {lost: true},
		"$JS.ACK.S.c.1.17.1.1700000000000000000":                {failed: true},
		"$JS.ACK.S.c.1.17.1.1700000000000000000.9.more":         {failed: true},
		"$JS.ACK.........":                                      {lost: true},
	} {
		var r received
		m := &nats.Msg{Subject: "s", Reply: reply, Sub: &nats.Subscription{}, Header: nats.Header{sizeHeader: {"1"}}}
		r.message(m, &WalkOptions{From: 1, To: 20})
		if got := (outcome{r.done, r.lost, r.err != nil}); got != want {
			t.Errorf("%q: %+v, %v; want %+v", reply, got, r.err, want)
		}
	}
}
