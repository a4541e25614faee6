package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemaFile describes the documents. It is found by TestMain: scripts run elsewhere.
var schemaFile = filepath.Join("..", "..", "docs", "schema-v1.json")

// schema is docs/schema-v1.json, made strict: a field that it does not name, which every
// reader has to ignore, is one that is not documented.
var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	eachObject(doc, func(o map[string]any) { o["additionalProperties"] = false })
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(schemaFile, doc); err != nil {
		return nil, err
	}
	return c.Compile(schemaFile)
})

// eachObject calls do with every object that a schema describes the fields of.
func eachObject(of any, do func(map[string]any)) {
	switch of := of.(type) {
	case map[string]any:
		for _, below := range of {
			eachObject(below, do)
		}
		if of["type"] == "object" && of["properties"] != nil {
			do(of)
		}
	case []any:
		for _, below := range of {
			eachObject(below, do)
		}
	}
}

// validate compares a document with the schema.
func validate(document []byte) error {
	s, err := schema()
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return fmt.Errorf("stdout is not one JSON document: %w", err)
	}
	if err := s.Validate(doc); err != nil {
		return fmt.Errorf("not as docs/schema-v1.json says: %w", err)
	}
	return nil
}

// The schema finds what is wrong, and every field is in docs/json.md.
func TestSchema(t *testing.T) {
	good := `{"type":"nats-kvmirror/v1/ls","action":"listed","status":null,"domains":[],"mirrors":[],"findings":[],"problems":[],"unread":0,"warnings":[],"error":null}`
	if err := validate([]byte(good)); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]string{
		"unknown field": strings.Replace(good, `"unread"`, `"other":1,"unread"`, 1),
		"missing field": strings.Replace(good, `"unread":0,`, "", 1),
		"null list":     strings.Replace(good, `"mirrors":[]`, `"mirrors":null`, 1),
		"other command": strings.Replace(good, "v1/ls", "v1/nosuch", 1),
		"no type":       strings.Replace(good, `"type":"nats-kvmirror/v1/ls",`, "", 1),
		"two documents": good + good,
	} {
		if validate([]byte(bad)) == nil {
			t.Errorf("%s: it is valid", name)
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	eachObject(doc, func(o map[string]any) {
		for field := range o["properties"].(map[string]any) {
			if !bytes.Contains(page, []byte("`"+field+"`")) && !bytes.Contains(page, []byte("`."+field+"`")) {
				t.Errorf("docs/json.md does not name %q", field)
			}
		}
	})
}
