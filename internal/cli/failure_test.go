package cli

import (
	"testing"

	"nats-kvmirror/internal/mirror"
)

// What cannot be done to a mirror that renames keys is refused, with the reason
// as it stands for a mirror of its own and for one of many.
func TestRenamingRefused(t *testing.T) {
	slow(t)
	t.Parallel()
	sites := mirrored(t, 1)
	url := sites.Leaf.URL()
	request(t, connectTo(t, url), "$JS.API.STREAM.CREATE.KV_r", `{"name":"KV_r","retention":"limits","storage":"file","max_msgs_per_subject":1,"discard":"new","allow_msg_ttl":true,"allow_rollup_hdrs":true,
		"mirror":{"name":"KV_demo","external":{"api":"$JS.hub.API","deliver":""},"subject_transforms":[{"src":"$KV.demo.key.*","dest":"$KV.r.{{wildcard(1)}}"}]}}`)
	o := runJSON(t, t.Context(), "recreate", "r", "--force", "--filter", "a.>", "--server", url)
	o.mustBe(t, 1, mirror.Failed, mirror.ErrRefused)
	if o.report.Error != nil && o.report.Error.Hint == "" {
		t.Error("what can be done is not said")
	}
	pruned := runFleet(t, t.Context(), "prune", "r", "--force", "--server", url)
	pruned.mustBe(t, 1, mirror.Failed, mirror.ErrIncomplete)
	if f := pruned.fleet.Mirrors[0].Failure; f == nil || f.Kind != mirror.ErrRefused {
		t.Errorf("the mirror's failure is %+v", f)
	}
}
