package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/natstest"
)

// An answer of 10 MB.
func TestHugeAnswer(t *testing.T) {
	slow(t)
	t.Parallel()
	s, err := natstest.Start("listen: 127.0.0.1:-1\nmax_payload: 60MB\nmax_pending: 200MB")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	nc := connectTo(t, s.URL())
	huge := fmt.Appendf(nil, `{"type":"x","total":1,"streams":[],"config":{"name":"KV_huge","description":"%s"}}`, strings.Repeat("x", 10<<20))
	if _, err := nc.Subscribe("FAKE.>", func(m *nats.Msg) { _ = m.Respond(huge) }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"edit", "huge", "--force"}, exitFailed, `"kind": "not-a-bucket"`},
		{[]string{"info", "huge"}, exitFailed, `"kind": "not-a-bucket"`},
		{[]string{"ls"}, exitFailed, "the list leaves them out"}, // of which there are none that it could show
		{[]string{"check"}, 3, "the list leaves them out"},
		{[]string{"repair", "huge", "--force"}, exitFailed, "could not be read"},
	} {
		r := play(t, t.Context(), append(test.args, "--server", s.URL(), "--js-api-prefix", "FAKE", "--timeout", "1m")...)
		if r.code != test.code || !strings.Contains(r.stdout, test.says) {
			t.Errorf("%q: exit code %d, want %d and %q in %q", test.args, r.code, test.code, test.says, r.says())
		}
	}
}
