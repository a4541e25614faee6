package mirror

import (
	"testing"

	"nats-kvmirror/internal/stream"
)

func TestReportSet(t *testing.T) {
	info := func(config string) *stream.Info {
		raw, err := stream.ParseRaw([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		c, err := raw.Config()
		if err != nil {
			t.Fatal(err)
		}
		return &stream.Info{Config: c, State: stream.State{Msgs: 12345}}
	}
	s := info(`{"name":"KV_demo","allow_msg_ttl":true,"mirror":{"name":"KV_demo"}}`)
	s.Mirror = &stream.SourceInfo{Name: "KV_demo", Lag: 5, Active: -1, Error: &stream.APIError{Description: "oh"}}
	r := Report{Action: Updated, Bucket: "old", Warnings: Warnings{{Message: "kept"}}}
	r.set(s)
	if r.Bucket != "demo" || r.Stream != "KV_demo" || r.PerKeyTTL == nil || !*r.PerKeyTTL || r.State.Msgs != 12345 || r.Info != s {
		t.Errorf("report is %+v", r)
	}
	if r.Link == nil || *r.Link != (Link{Lag: 5, Error: "oh"}) {
		t.Errorf("link is %+v", r.Link)
	}
	if r.Action != Updated || len(r.Warnings) != 1 {
		t.Errorf("action or warnings were changed: %+v", r)
	}

	r.set(info(`{"name":"KV_copy","mirror":{"name":"KV_demo"}}`))
	if r.Bucket != "copy" || *r.PerKeyTTL || r.Link != nil {
		t.Errorf("something of the stream before is left: %+v, link %+v", r, r.Link)
	}
}
