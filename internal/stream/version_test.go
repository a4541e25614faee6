package stream_test

import (
	"testing"

	"nats-kvmirror/internal/stream"
	"nats-kvmirror/internal/stream/streamtest"
)

func TestParseVersion(t *testing.T) {
	tests := map[string]stream.Version{
		"2.11.6":                      {2, 11, 6},
		"v2.11.6":                     {2, 11, 6},
		"2.15.0-RC.1":                 {2, 15, 0},
		"2.12.0-preview":              {2, 12, 0},
		"2.15.2+build.7":              {2, 15, 2},
		"10.0.100":                    {10, 0, 100},
		"":                            {},
		"2.11":                        {},
		"2.11.6.1":                    {},
		"2.x.6":                       {},
		"2..6":                        {},
		"-2.11.6":                     {},
		"2.-11.6":                     {},
		"garbage":                     {},
		"2.11.6 ":                     {},
		"2.11.9999999999999999999999": {},
	}
	for text, want := range tests {
		if got := stream.ParseVersion(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
	if got := stream.ParseVersion("v2.11.6-RC.1").String(); got != "2.11.6" {
		t.Errorf("String is %q", got)
	}
	if got := (stream.Version{}).String(); got != "unknown" {
		t.Errorf("String of the zero version is %q", got)
	}
}

func TestTTLUpdate(t *testing.T) {
	tests := map[string]stream.TTLUpdate{
		"2.11.0":      stream.UpdateRefused,
		"2.11.1":      stream.UpdateRefused,
		"2.11.2":      stream.UpdateAfterRestart,
		"2.11.3":      stream.UpdateAfterRestart,
		"2.11.4":      stream.UpdateAfterRestart,
		"2.11.5":      stream.UpdateNewOnly,
		"2.11.6":      stream.UpdateNewOnly,
		"2.11.7":      stream.UpdatePartly,
		"2.11.8":      stream.UpdatePartly,
		"2.11.17":     stream.UpdatePartly,
		"2.11.99":     stream.UpdatePartly,
		"2.12.0":      stream.UpdateCleans,
		"2.12.15":     stream.UpdateCleans,
		"2.14.9":      stream.UpdateCleans,
		"2.15.2":      stream.UpdateCleans,
		"2.15.2-RC.1": stream.UpdateCleans,
		"3.11.0":      stream.UpdateCleans,
		"unknown":     stream.UpdateCleans,
	}
	for text, want := range tests {
		if got := stream.ParseVersion(text).TTLUpdate(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestRaisesTTL(t *testing.T) {
	for version, want := range map[string]bool{"2.11.0": true, "2.11.8": true, "2.11.9": false, "2.12.0": false, "2.10.29": false, "": false} {
		if got := stream.ParseVersion(version).RaisesTTL(); got != want {
			t.Errorf("%q: %t, want %t", version, got, want)
		}
	}
}

func TestServerVersion(t *testing.T) {
	tests := map[string]stream.Version{
		"mirror-2.10.29.json": {}, // 2.10 does not say
		"mirror-2.11.6.json":  {2, 11, 6},
		"mirror-2.15.2.json":  {2, 15, 2},
		"mirror-odd.json":     {2, 99, 1},
	}
	for file, want := range tests {
		if got := streamtest.Typed(t, streamtest.Recorded(t, file)).ServerVersion(); got != want {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
}
