package kvcfg

import "testing"

func TestParseVersion(t *testing.T) {
	tests := map[string]Version{
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
		if got := ParseVersion(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
	if got := ParseVersion("v2.11.6-RC.1").String(); got != "2.11.6" {
		t.Errorf("String is %q", got)
	}
	if got := (Version{}).String(); got != "unknown" {
		t.Errorf("String of the zero version is %q", got)
	}
}

func TestTTLUpdate(t *testing.T) {
	tests := map[string]TTLUpdate{
		"2.11.0":      UpdateRefused,
		"2.11.1":      UpdateRefused,
		"2.11.2":      UpdateAfterRestart,
		"2.11.3":      UpdateAfterRestart,
		"2.11.4":      UpdateAfterRestart,
		"2.11.5":      UpdateNewOnly,
		"2.11.6":      UpdateNewOnly,
		"2.11.7":      UpdatePartly,
		"2.11.8":      UpdatePartly,
		"2.11.17":     UpdatePartly,
		"2.11.99":     UpdatePartly,
		"2.12.0":      UpdateCleans,
		"2.12.15":     UpdateCleans,
		"2.14.9":      UpdateCleans,
		"2.15.2":      UpdateCleans,
		"2.15.2-RC.1": UpdateCleans,
		"3.11.0":      UpdateCleans,
		"unknown":     UpdateCleans,
	}
	for text, want := range tests {
		if got := ParseVersion(text).TTLUpdate(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestServerVersion(t *testing.T) {
	tests := map[string]Version{
		"mirror-2.10.29.json": {}, // 2.10 does not say
		"mirror-2.11.6.json":  {2, 11, 6},
		"mirror-2.15.2.json":  {2, 15, 2},
		"mirror-odd.json":     {2, 99, 1},
	}
	for file, want := range tests {
		if got := typed(t, recorded(t, file)).ServerVersion(); got != want {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
}
