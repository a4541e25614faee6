package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// full takes so many writes, as a disk does that runs full.
type full struct{ left int }

var errFull = errors.New("no space left on device")

func (f *full) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// What was written to the server and cannot be shown is said to be written.
func TestOutputFails(t *testing.T) {
	t.Parallel()
	sites := plainSites(t)
	at := []string{"--server", sites.Leaf.URL(), "--no-context"}
	for _, test := range []struct {
		name   string
		args   []string
		writes int // to stdout, that go well
		says   string
		bucket string // of which TTL is on afterwards
	}{
		{"add", []string{"add", "text", "--mirror", "demo", "--mirror-domain", "hub"}, 0, `bucket "text" was created, and cannot be shown: no space`, "text"},
		{"add --json", []string{"add", "json", "--mirror", "demo", "--mirror-domain", "hub", "--json"}, 0, "what was created cannot be shown: no space", "json"},
		{"edit", []string{"edit", "m1", "--force"}, 2, `bucket "m1" was updated, and cannot be shown: no space`, "m1"},
		{"edit --json", []string{"edit", "m2", "--force", "--json"}, 0, "what was updated cannot be shown: no space", "m2"},
		{"repair --json", []string{"repair", "m3", "--force", "--json"}, 0, "what was updated cannot be shown: no space", "m3"},
		{"info", []string{"info", "plain"}, 0, "no space left on device", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if strings.HasPrefix(test.bucket, "m") {
				keyValue(t, sites.Leaf.URL(), jetstream.KeyValueConfig{Bucket: test.bucket, Mirror: &jetstream.StreamSource{Name: "demo", Domain: "hub"}})
			}
			var errs bytes.Buffer
			if code := Run(t.Context(), append(test.args, at...), Streams{In: strings.NewReader(""), Out: &full{test.writes}, Err: &errs}); code != exitFailed {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(errs.String(), test.says) {
				t.Errorf("%q is not said in:\n%s", test.says, &errs)
			}
			if test.bucket != "" && !hasTTL(t, sites.Leaf.URL(), test.bucket) {
				t.Error("nothing was written")
			}
		})
	}
}

// What the network sends reaches no terminal by way of --trace either.
func TestTraceIsClean(t *testing.T) {
	t.Parallel()
	st := newTestSites(t)
	bucket := st.name()
	st.mirror(t, bucket, "demo")
	runJSON(t, t.Context(), "edit", bucket, "--description", "a\u009b31mred\u202e", "--force", "--server", st.Leaf.URL()).mustBe(t, 0, mirror.Updated, "")
	for _, answer := range []func([]byte) []byte{
		func(a []byte) []byte { return a },
		func([]byte) []byte { return []byte("\x1b[31m\x07") },
	} {
		prefix := "FAKE." + st.name()
		(&fakeAPI{prefix: prefix, api: "$JS.API", kind: "STREAM.INFO", change: answer, active: true}).answers(t, st)
		var errs bytes.Buffer
		Run(t.Context(), []string{"info", bucket, "--trace", "--js-api-prefix", prefix, "--server", st.Leaf.URL(), "--no-context"}, Streams{In: strings.NewReader(""), Out: io.Discard, Err: &errs})
		if !strings.Contains(errs.String(), ">>> "+prefix+".STREAM.INFO.KV_"+bucket) {
			t.Errorf("the request is not shown in:\n%s", &errs)
		}
		if i := strings.IndexFunc(errs.String(), func(r rune) bool { return r != '\n' && render.Clean(string(r)) != string(r) }); i >= 0 {
			t.Errorf("a control character is shown in %q", errs.String())
		}
	}
}
