// sbom lists what a Go program is made of as a CycloneDX document, from what Go recorded
// in it. It needs no network, and the same program makes the same bytes.
//
//	go run ./internal/sbom PROGRAM VERSION FILE
package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: sbom PROGRAM VERSION FILE")
		os.Exit(1)
	}
	if err := write(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// write writes the document about a program, which has a version, to a file.
func write(program, version, file string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	data, err := json.MarshalIndent(newDocument(name, version, info), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// document is as https://cyclonedx.org/docs/1.6/json/ has it.
type document struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"` // of the document
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
}

// newDocument is the document about a program: Go's own library, and each module that is
// linked in.
func newDocument(name, version string, info *debug.BuildInfo) document {
	program := newComponent("application", info.Main.Path, version)
	program.Name = name
	d := document{Format: "CycloneDX", SpecVersion: "1.6", Version: 1, Metadata: metadata{program}}
	d.Components = append(d.Components, newComponent("library", "std", strings.TrimPrefix(info.GoVersion, "go")))
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		d.Components = append(d.Components, newComponent("library", module.Path, module.Version))
	}
	return d
}

// newComponent is a module, with its package URL.
func newComponent(kind, module, version string) component {
	purl := "pkg:golang/" + path.Clean(module) + "@" + url.QueryEscape(version)
	return component{Type: kind, Ref: purl, Name: module, Version: version, PURL: purl}
}
