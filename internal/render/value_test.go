package render

import (
	"errors"
	"io"
	"strings"
	"testing"

	"nats-kvmirror/internal/kvcfg"
)

func TestDifferences(t *testing.T) {
	var b strings.Builder
	err := Differences(&b, []kvcfg.Change{
		{Field: "allow_msg_ttl", From: quoted("null"), To: quoted("true"), Source: kvcfg.FromOrigin},
		{Field: "max_age", From: quoted("0"), To: quoted("90000000000"), Source: kvcfg.FromFlag},
		{Field: "duplicate_window", From: quoted("120000000000"), To: quoted("90000000000"), Source: kvcfg.FromDerived},
		{Field: "description", From: quoted("null"), To: quoted(`"a\u001b[31m \"b\""`), Source: kvcfg.FromFlag},
		{Field: "max_bytes", From: quoted("-1"), To: quoted("1073741824"), Source: kvcfg.FromFlag},
		{Field: "num_replicas", From: quoted("1"), To: quoted("3"), Source: kvcfg.FromFlag},
		{Field: "placement", From: quoted(`{"cluster":"c"}`), To: quoted("null"), Source: kvcfg.FromFlag},
		{Field: "compression", From: quoted(`"none"`), To: quoted(`"s2"`), Source: kvcfg.FromFlag},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "differences", b.String())

	if err := Differences(broken{}, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("to a broken pipe: %v", err)
	}
}

func TestValue(t *testing.T) {
	tests := []struct{ field, value, want string }{
		{"allow_msg_ttl", "null", "false"},
		{"allow_msg_ttl", "false", "false"},
		{"allow_msg_ttl", "true", "true"},
		{"max_age", "0", "unlimited"},
		{"max_age", "-1", "unlimited"},
		{"max_age", "100000000", "100ms"},
		{"max_age", "3600000000000", "1h0m0s"},
		{"max_age", "90061000000000", "1d1h1m1s"},
		{"duplicate_window", "120000000000", "2m0s"},
		{"max_msg_size", "-1", "unlimited"},
		{"max_msg_size", "1048576", "1.0 MiB"},
		{"max_bytes", "0", "unlimited"},
		{"max_bytes", "1073741824", "1.0 GiB"},
		{"max_msgs_per_subject", "-1", "unlimited"},
		{"max_msgs_per_subject", "64", "64"},
		{"max_msgs", "12345", "12,345"},
		{"num_replicas", "3", "3"},
		{"description", "null", "none"},
		{"description", `"a b"`, `"a b"`},
		{"description", "\"\u202e\"", `"\u202e"`},
		{"placement", `{"cluster":"c"}`, `{"cluster":"c"}`},
		{"future", "18446744073709551615", "18446744073709551615"},
		// Once got wrong: servers, and this program, spell > as \u003e in their JSON.
		{"republish", `{"src":"\u003e","dest":"copy.\u003e"}`, `{"src":">","dest":"copy.>"}`},
	}
	for _, test := range tests {
		if got := Value(test.field, quoted(test.value)); got != test.want {
			t.Errorf("%s %s is shown as %s, want %s", test.field, test.value, got, test.want)
		}
	}
}

func TestLabel(t *testing.T) {
	for field, want := range map[string]string{
		"allow_msg_ttl": "Per-Key TTL", "max_age": "Maximum Age", "max_msgs_per_subject": "History",
		"max_msg_size": "Maximum Value Size", "storage": "storage", "x\x1by": `x\x1by`,
	} {
		if got := Label(field); got != want {
			t.Errorf("%s is called %s, want %s", field, got, want)
		}
	}
}
