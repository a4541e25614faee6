package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

func TestDocument(t *testing.T) {
	d := newDocument("program", "1.2.3", &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Path: "example.com/program", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.com/one", Version: "v1.0.0+incompatible"},
			{Path: "example.com/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/new", Version: "v2.0.0"}},
		},
	})
	if p := d.Metadata.Component; p.Type != "application" || p.Name != "program" || p.PURL != "pkg:golang/example.com/program@1.2.3" {
		t.Errorf("the program is %+v", p)
	}
	var got []string
	for _, c := range d.Components {
		got = append(got, c.PURL)
	}
	want := []string{"pkg:golang/std@1.26.8", "pkg:golang/example.com/one@v1.0.0%2Bincompatible", "pkg:golang/example.com/new@v2.0.0"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestWrite writes the document about this test.
func TestWrite(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "test.cdx.json")
	if err := write(self, "1.2.3", file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	if d.Format != "CycloneDX" || d.Components[0].Version != strings.TrimPrefix(runtime.Version(), "go") {
		t.Errorf("got %s", data)
	}
	if err := write(file, "1.2.3", file); err == nil {
		t.Error("what is no program has a document")
	}
}
