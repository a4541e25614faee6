package render

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/stream"
)

// document writes a report as JSON and makes sure that it is one document.
func document(t *testing.T, r mirror.Report) (string, map[string]any) {
	t.Helper()
	var b strings.Builder
	if err := JSON(&b, r); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(b.String()))
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("after the document: %v", err)
	}
	if !strings.HasSuffix(b.String(), "}\n") {
		t.Error("the document does not end in a newline")
	}
	return b.String(), doc
}

func TestJSON(t *testing.T) {
	s := bucketStream(t, `{"name":"KV_demo","max_msgs_per_subject":5,"storage":"file","allow_msg_ttl":true,"future":9007199254740993,"mirror":{"name":"KV_demo","external":{"api":"$JS.hub.API","deliver":""}}}`)
	s.Mirror = upstream(2, 1500*time.Millisecond)
	s.Mirror.Error = &stream.APIError{Code: 404, Description: "stream not found"}
	r := shown(s)
	r.Action = mirror.Updated
	r.Changes = []kvcfg.Change{{Field: "allow_msg_ttl", From: quoted("false"), To: quoted("true"), Source: kvcfg.FromOrigin}}
	r.Origin = following()
	r.Origin.Behind, r.Origin.BehindBound, r.Origin.Follows = new(uint64(3)), true, new(false)
	r.Origin.Differs = []kvcfg.Change{{Field: "max_age", From: quoted("0"), To: quoted("60000000000"), Source: kvcfg.FromOrigin}}
	r.Warnings = mirror.Warnings{{Code: "a", Message: "first"}, {Code: "b", Message: "second\nline"}}
	written, _ := document(t, r)
	golden(t, "report.json", written)
}

func TestJSONOfFailure(t *testing.T) {
	written, doc := document(t, mirror.Report{
		Action: mirror.Failed, Bucket: "demo", Stream: "KV_demo",
		Error: &mirror.Failure{Kind: mirror.ErrNotFound, Message: `bucket "demo" does not exist`, Hint: "list them"},
	})
	golden(t, "failure.json", written)
	for _, field := range []string{"changes", "warnings"} {
		if list, ok := doc[field].([]any); !ok || len(list) != 0 {
			t.Errorf("%s is %v, want an empty list", field, doc[field])
		}
	}
	for _, field := range []string{"per_key_ttl", "origin", "config", "state", "mirror"} {
		if v, ok := doc[field]; !ok || v != nil {
			t.Errorf("%s is %v (there: %v), want null", field, v, ok)
		}
	}
}

// TestJSONSpelling: what is no HTML is not escaped as if it were.
func TestJSONSpelling(t *testing.T) {
	r := shown(bucketStream(t, localMirror))
	r.Warnings = mirror.Warnings{{Message: "keys under $KV.demo.> & <others>"}}
	written, _ := document(t, r)
	// Once got wrong: MarshalJSON escapes, whatever the encoder is set to.
	if !strings.Contains(written, `"keys under $KV.demo.> & <others>"`) {
		t.Errorf("the warning is spelled otherwise:\n%s", written)
	}
}

// TestJSONOfEveryReport writes what text shows.
func TestJSONOfEveryReport(t *testing.T) {
	for name, r := range reports(t) {
		if _, doc := document(t, r); doc["bucket"] != r.Bucket || doc["action"] != string(r.Action) {
			t.Errorf("%s: action %v of bucket %v", name, doc["action"], doc["bucket"])
		}
	}
}
