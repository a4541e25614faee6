package mirror

import (
	"errors"
	"fmt"
	"testing"

	"nats-kvmirror/internal/check"
)

// A direct get may be answered by a mirror in its origin's name: that it finds nothing says
// nothing of the origin.
func TestMirrorAnswersForItsOrigin(t *testing.T) {
	t.Parallel()
	l := newLostLab(t, 10)
	mirror := map[string]any{
		"name": "KV_near", "storage": "memory", "max_msgs_per_subject": 5, "discard": "new", "allow_direct": true, "mirror_direct": true,
		"allow_rollup_hdrs": true, "allow_msg_ttl": true, "mirror": map[string]any{"name": "KV_demo"},
	}
	api(t, l.hub, "STREAM.CREATE.KV_near", mirror, nil)
	c := l.connect(t, l.Hub.URL(), Observer{})
	for {
		f, err := c.Check(t.Context(), CheckRequest{Buckets: []string{"near"}, Thresholds: check.DefaultThresholds(), Content: &ContentOptions{}})
		if err == nil && f.Mirrors[0].Content.Compared == 10 {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(errors.Join(err, t.Context().Err()))
		}
	}
	api(t, l.hub, "STREAM.PURGE.KV_near", map[string]any{"filter": "$KV.demo.k5"}, nil)
	for i := range 10 {
		f, err := c.Check(t.Context(), CheckRequest{Buckets: []string{"near"}, Thresholds: check.DefaultThresholds(), Content: &ContentOptions{Quick: i%2 == 0}})
		if err != nil {
			t.Fatal(err)
		}
		if found := f.Mirrors[0].Content; found.MissingCount() != 1 {
			t.Fatal(fmt.Sprint("comparison ", i, ": "), found)
		}
	}
}
