package render

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	// Text shows local times. time.Local is no good: a timer of nats-server reads
	// it as well.
	if err := os.Setenv("TZ", "UTC"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// human makes text come out in its form for people.
func human(t *testing.T) {
	t.Setenv("TESTING", "")
	t.Setenv("LLMFORMAT", "")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	name += ".golden"
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", name), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(testdata(t, name)) {
		t.Errorf("not as testdata/%s:\n%s", name, got)
	}
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func text(t *testing.T, r Report) string {
	t.Helper()
	var b strings.Builder
	if err := Text(&b, r, Style{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// stream is a stream of this configuration, with something in it.
func bucketStream(t *testing.T, config string) *stream.Info {
	t.Helper()
	raw, err := stream.ParseRaw([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	c, err := raw.Config()
	if err != nil {
		t.Fatal(err)
	}
	return &stream.Info{
		Config:  c,
		Created: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		State:   stream.State{Msgs: 12345, Bytes: 1536 * 1024, FirstSeq: 1, LastSeq: 20000, LastTime: time.Date(2026, 3, 4, 6, 0, 0, 0, time.UTC)},
	}
}

const (
	localMirror = `{"name":"KV_copy","retention":"limits","max_msgs_per_subject":5,"max_bytes":-1,"max_msg_size":-1,"max_age":0,
		"storage":"file","num_replicas":1,"compression":"none","allow_msg_ttl":false,"mirror":{"name":"KV_demo"},"metadata":{"_nats.ver":"2.15.2"}}`
	farMirror = `{"name":"KV_demo","max_msgs_per_subject":1,"max_bytes":1073741824,"max_msg_size":4096,"max_age":93784000000000,
		"storage":"memory","compression":"s2","allow_msg_ttl":true,"description":"demo at the site",
		"mirror":{"name":"KV_demo","external":{"api":"$JS.hub.API","deliver":""}},"metadata":{"_nats.ver":"2.15.2","owner":"ops","a":"first"}}`
	filteredMirror = `{"name":"KV_part","max_msgs_per_subject":1,"storage":"file","allow_msg_ttl":true,
		"mirror":{"name":"KV_demo","subject_transforms":[{"src":"$KV.demo.a.>","dest":"$KV.demo.a.>"},{"src":"$KV.demo.*.b","dest":"$KV.demo.{{wildcard(1)}}.b"}]}}`
)

// shown is a report of a stream, as info makes it.
func shown(s *stream.Info) Report {
	r := Report{Action: Shown}
	r.SetStream(s)
	return r
}

func upstream(lag uint64, active time.Duration) *stream.SourceInfo {
	return &stream.SourceInfo{Name: "KV_demo", Lag: lag, Active: active}
}

// following is an origin that was read and that the mirror follows.
func following() *Origin {
	return &Origin{
		Bucket: "demo", Stream: "KV_demo", APIPrefix: "$JS.API", Reachable: new(true), PerKeyTTL: new(true),
		LastSeq: new(uint64(20000)), Behind: new(uint64(0)), Follows: new(true),
	}
}

func quoted(s string) json.RawMessage { return json.RawMessage(s) }

// reports are the reports of the golden files. What of them `nats kv info` says
// as well, it says in the same lines and order (natscli, cli/kv_command.go).
func reports(t *testing.T) map[string]Report {
	all := map[string]Report{}

	s := bucketStream(t, localMirror)
	s.Mirror = upstream(0, 1500*time.Millisecond)
	r := shown(s)
	r.Origin = following()
	r.Origin.Follows = new(false)
	r.Origin.Differs = []kvcfg.Change{
		{Field: "allow_msg_ttl", From: quoted("false"), To: quoted("true")},
		{Field: "max_age", From: quoted("0"), To: quoted("3600000000000")},
		{Field: "max_msgs_per_subject", From: quoted("5"), To: quoted("-1")},
		{Field: "max_msg_size", From: quoted("-1"), To: quoted("1048576")},
	}
	all["local"] = r

	s = bucketStream(t, farMirror)
	s.Mirror = upstream(1234567, 350*time.Millisecond)
	s.Mirror.External = s.Config.Mirror.External
	r = shown(s)
	r.Origin = following()
	r.Origin.APIPrefix, r.Origin.Behind = "$JS.hub.API", new(uint64(4321))
	all["external"] = r

	s = bucketStream(t, localMirror)
	s.Mirror = upstream(1, -1)
	s.Cluster = &stream.ClusterInfo{Name: "C1", Leader: "n1", Replicas: []stream.PeerInfo{
		{Name: "n2", Current: true, Active: 250 * time.Millisecond},
		{Name: "n3", Active: 90 * time.Second, Lag: 1},
		{Name: "n4", Offline: true, Active: 1<<63 - 1, Lag: 12345},
		{Name: "n5", Current: true, Offline: true},
	}}
	all["cluster"] = shown(s)

	s = bucketStream(t, filteredMirror)
	s.Mirror = upstream(0, time.Second)
	r = shown(s)
	r.Origin = following()
	r.Origin.Behind, r.Origin.BehindBound = new(uint64(12345)), true
	all["filtered"] = r

	s = bucketStream(t, filteredMirror)
	s.Mirror = upstream(0, time.Second)
	r = shown(s)
	r.Origin = following()
	r.Origin.BehindBound = true
	all["filtered-caught-up"] = r

	s = bucketStream(t, farMirror)
	s.Mirror = upstream(0, -1)
	r = shown(s)
	r.Origin = &Origin{Bucket: "demo", Stream: "KV_demo", APIPrefix: "$JS.hub.API", Reachable: new(false), Problem: `request to "$JS.hub.API.STREAM.INFO.KV_demo": no responders`}
	all["unreachable"] = r

	s = bucketStream(t, localMirror)
	s.Mirror = upstream(0, 20*time.Second)
	s.Mirror.Error = &stream.APIError{Description: "stream not found"}
	r = shown(s)
	r.Origin = &Origin{Bucket: "demo", Stream: "KV_demo", APIPrefix: "$JS.API"}
	all["mirror-error"] = r

	s = bucketStream(t, `{"name":"KV_evil","max_msgs_per_subject":1,"storage":"tape\u001b[0m","description":"two\nlines\t\u001b[31mred\u202etxt.exe\u0000",
		"republish":{"src":"a\u001b","dest":"b\r"},"mirror":{"name":"KV_x\u0007","external":{"api":"$JS.\u009b.API","deliver":""}},
		"metadata":{"key\u001b[2J":"value\r\nforged: yes","good":"über 日本"}}`)
	s.Mirror = upstream(0, time.Second)
	s.Mirror.Error = &stream.APIError{Description: "bad\u2028thing\x7f"}
	s.Cluster = &stream.ClusterInfo{Name: "C\n1", Leader: "n\x1b1", Replicas: []stream.PeerInfo{{Name: "n\u200b2", Current: true, Active: time.Second}}}
	r = shown(s)
	r.Origin = &Origin{Reachable: new(false), Problem: "no\nanswer\xff"}
	all["control-characters"] = r

	all["republish"] = shown(bucketStream(t, `{"name":"KV_a","max_msgs_per_subject":1,"storage":"file","subjects":["$KV.a.>"],"republish":{"src":">","dest":"copy.>"}}`))
	all["republish-headers"] = shown(bucketStream(t, `{"name":"KV_a","max_msgs_per_subject":1,"storage":"file","subjects":["$KV.a.>"],"republish":{"src":"$KV.a.>","dest":"copy.>","headers_only":true}}`))

	s = bucketStream(t, `{"name":"KV_all","max_msgs_per_subject":64,"max_bytes":-1,"max_msg_size":-1,"storage":"file","subjects":["$KV.all.>"],
		"allow_msg_ttl":true,"subject_delete_marker_ttl":3600000000000,"sources":[{"name":"KV_x"},{"name":"KV_y","external":{"api":"$JS.y.API","deliver":""}}]}`)
	s.Sources = []stream.SourceInfo{
		{Name: "KV_x", Lag: 3, Active: 2 * time.Second},
		{Name: "KV_y", Active: -1, External: &stream.External{APIPrefix: "$JS.y.API"}},
	}
	all["sources"] = shown(s)

	s = bucketStream(t, farMirror)
	s.Mirror = upstream(0, time.Second)
	r = shown(s)
	r.Origin = following()
	r.Origin.LeftOver, r.Origin.Missing = new(uint64(1234)), new(uint64(0))
	all["left-over"] = r

	s = bucketStream(t, farMirror)
	s.Mirror = upstream(0, time.Second)
	r = shown(s)
	r.Origin = following()
	r.Origin.LeftOver, r.Origin.Missing = new(uint64(0)), new(uint64(5678))
	all["missing"] = r

	s = bucketStream(t, farMirror)
	s.Created, s.State = time.Time{}, stream.State{}
	r = Report{
		Action: WouldCreate, Bucket: "demo", Stream: "KV_demo", Heading: "Would create Key-Value Store Bucket demo", Source: s,
		Changes: []kvcfg.Change{
			{Field: "allow_msg_ttl", From: quoted("null"), To: quoted("true"), Source: kvcfg.FromOrigin},
			{Field: "max_msgs_per_subject", From: quoted("null"), To: quoted("1"), Source: kvcfg.FromOrigin},
			{Field: "max_age", From: quoted("null"), To: quoted("93784000000000"), Source: kvcfg.FromOrigin},
			{Field: "max_msg_size", From: quoted("null"), To: quoted("4096"), Source: kvcfg.FromFlag},
			{Field: "storage", From: quoted("null"), To: quoted(`"memory"`), Source: kvcfg.FromFlag},
		},
		Origin: &Origin{Bucket: "demo", Stream: "KV_demo", APIPrefix: "$JS.hub.API", Reachable: new(true), PerKeyTTL: new(true), LastSeq: new(uint64(7))},
	}
	all["dry-run"] = r
	return all
}

func TestText(t *testing.T) {
	human(t)
	for name, r := range reports(t) {
		t.Run(name, func(t *testing.T) { golden(t, name, text(t, r)) })
	}
}

// TestTextIsThatOfNats compares text with what `nats kv info` (natscli 0.5.1)
// wrote of the same buckets of a server 2.15.2, from the answers that it got.
func TestTextIsThatOfNats(t *testing.T) {
	human(t)
	for _, bucket := range []string{"demo", "all"} {
		t.Run(bucket, func(t *testing.T) {
			answer := testdata(t, "nats-kv-info-"+bucket+".json")
			var s stream.Info
			if err := json.Unmarshal(answer, &s); err != nil {
				t.Fatal(err)
			}
			want := string(testdata(t, "nats-kv-info-"+bucket+".txt"))
			if got := text(t, shown(&s)); got != want {
				t.Errorf("text is\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestTextForModels is the form in which `nats` writes for language models.
func TestTextForModels(t *testing.T) {
	human(t)
	t.Setenv("LLMFORMAT", "1")
	golden(t, "external-llm", text(t, reports(t)["external"]))
}

// TestTextIsSafe: no name that came from the network leaves its line.
func TestTextIsSafe(t *testing.T) {
	human(t)
	lines := strings.Split(text(t, reports(t)["control-characters"]), "\n")
	for _, line := range lines {
		if strings.ContainsFunc(line, unsafe) {
			t.Errorf("control characters in %q", line)
		}
		if strings.HasPrefix(strings.TrimSpace(line), "forged") {
			t.Errorf("a value has made a line of its own: %q", line)
		}
	}
	t.Setenv("LLMFORMAT", "1")
	for line := range strings.SplitSeq(text(t, reports(t)["control-characters"]), "\n") {
		if strings.ContainsFunc(line, unsafe) {
			t.Errorf("control characters in %q", line)
		}
	}
}

// TestTextColor: what is no terminal gets no colors.
func TestTextColor(t *testing.T) {
	human(t)
	r := reports(t)["external"]
	var b strings.Builder
	if err := Text(&b, r, Style{ColorScheme: "red"}); err != nil {
		t.Fatal(err)
	}
	if b.String() != text(t, r) {
		t.Errorf("text to a file is colored:\n%s", b.String())
	}
}

// TestTextThatCannotBeWritten: a full disk must not look like a success.
func TestTextThatCannotBeWritten(t *testing.T) {
	human(t)
	// Once got wrong: columns drops the errors of the writer.
	if err := Text(broken{}, reports(t)["local"], Style{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("to a broken pipe: %v", err)
	}
}

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

// broken is a writer that cannot be written to.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

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

// document writes a report as JSON and makes sure that it is one document.
func document(t *testing.T, r Report) (string, map[string]any) {
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
	r.Action = Updated
	r.Changes = []kvcfg.Change{{Field: "allow_msg_ttl", From: quoted("false"), To: quoted("true"), Source: kvcfg.FromOrigin}}
	r.Origin = following()
	r.Origin.Behind, r.Origin.BehindBound, r.Origin.Follows = new(uint64(3)), true, new(false)
	r.Origin.Differs = []kvcfg.Change{{Field: "max_age", From: quoted("0"), To: quoted("60000000000"), Source: kvcfg.FromOrigin}}
	r.Warn("first")
	r.Warn("second\nline")
	written, _ := document(t, r)
	golden(t, "report.json", written)
}

func TestJSONOfFailure(t *testing.T) {
	written, doc := document(t, Report{
		Action: Failed, Bucket: "demo", Stream: "KV_demo",
		Error: &Failure{Kind: "not-found", Message: `bucket "demo" does not exist`, Hint: "list them"},
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
	r.Warn("keys under $KV.demo.> & <others>")
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

func TestSetStream(t *testing.T) {
	s := bucketStream(t, farMirror)
	s.Mirror = upstream(5, -1)
	s.Mirror.Error = &stream.APIError{Description: "oh"}
	r := Report{Action: Updated, Bucket: "old", Warnings: []string{"kept"}}
	r.SetStream(s)
	if r.Bucket != "demo" || r.Stream != "KV_demo" || r.PerKeyTTL == nil || !*r.PerKeyTTL || r.State.Msgs != 12345 {
		t.Errorf("report is %+v", r)
	}
	if r.Mirror == nil || *r.Mirror != (Mirror{Lag: 5, Active: -1, Error: "oh"}) {
		t.Errorf("mirror is %+v", r.Mirror)
	}
	if r.Action != Updated || len(r.Warnings) != 1 {
		t.Errorf("action or warnings were changed: %+v", r)
	}

	r.SetStream(bucketStream(t, localMirror))
	if r.Bucket != "copy" || *r.PerKeyTTL || r.Mirror != nil {
		t.Errorf("of the stream before, something stays: %+v, mirror %+v", r, r.Mirror)
	}
}

func TestClean(t *testing.T) {
	tests := map[string]string{
		"":                       "",
		"plain text":             "plain text",
		"über 日本 🙂 a\u00a0b":     "über 日本 🙂 a\u00a0b",
		`back\slash 'quote' "x"`: `back\slash 'quote' "x"`,
		"a\nb\r\tc\x00":          `a\nb\r\tc\x00`,
		"\x1b[31mred\x1b[0m":     `\x1b[31mred\x1b[0m`,
		"\u009b31m\u0085":        `\u009b31m\u0085`,
		"\x7f":                   `\x7f`,
		"a\u202eb\u2066c\u200fd": `a\u202eb\u2066c\u200fd`,
		"a\u2028b\u2029c":        `a\u2028b\u2029c`,
		"a\u200bb\ufeff\u00ad":   `a\u200bb\ufeff\u00ad`,
		"bad \xff utf-8":         `bad \ufffd utf-8`,
		"\U000e0041":             `\U000e0041`,
	}
	for in, want := range tests {
		if got := Clean(in); got != want {
			t.Errorf("%q becomes %s, want %s", in, got, want)
		}
	}
}

// unsafe finds what may do something to a terminal or to the text around it.
func unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "plain", "a\nb", "\x1b[31m", "\u202e", "\u2028", "\xff\xfe", "日本", "\U000e0041", "'", `\'`, "\u00a0\u3000", "\ufffd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := Clean(in)
		if strings.ContainsFunc(out, unsafe) || !utf8.ValidString(out) {
			t.Errorf("%q becomes %q", in, out)
		}
		if printable := !strings.ContainsFunc(in, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }); printable && out != in {
			t.Errorf("%q is all printable, and becomes %q", in, out)
		}
	})
}
