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

func text(t *testing.T, r mirror.Report) string {
	t.Helper()
	var b strings.Builder
	if err := Text(&b, r, heading(r), Style{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// heading is the one that a report has instead of the usual; "" for that.
func heading(r mirror.Report) string {
	if r.Action == mirror.WouldCreate {
		return "Would create Key-Value Store Bucket " + r.Bucket
	}
	return ""
}

// bucketStream is a stream of this configuration, with something in it.
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
func shown(s *stream.Info) mirror.Report {
	r := mirror.Report{
		Action: mirror.Shown, Bucket: kvcfg.DisplayName(s.Config.Name), Stream: s.Config.Name, PerKeyTTL: &s.Config.AllowMsgTTL,
		Config: s.Config.Raw(), State: &s.State, Info: s,
	}
	if s.Mirror != nil {
		r.Link = &mirror.Link{Lag: s.Mirror.Lag, Active: new(mirror.Seconds(s.Mirror.Active))}
		if s.Mirror.Error != nil {
			r.Link.Error = s.Mirror.Error.Description
		}
	}
	return r
}

func upstream(lag uint64, active time.Duration) *stream.SourceInfo {
	return &stream.SourceInfo{Name: "KV_demo", Lag: lag, Active: active}
}

// following is an origin that was read and that the mirror follows.
func following() *mirror.Origin {
	return &mirror.Origin{
		Bucket: "demo", Stream: "KV_demo", APIPrefix: "$JS.API", Reachable: true, PerKeyTTL: new(true),
		LastSeq: new(uint64(20000)), Behind: new(uint64(0)), Follows: new(true),
	}
}

func quoted(s string) json.RawMessage { return json.RawMessage(s) }

// reports are the reports of the golden files. What of them `nats kv info` says
// as well, it says in the same lines and order (natscli, cli/kv_command.go).
func reports(t *testing.T) map[string]mirror.Report {
	all := map[string]mirror.Report{}
	healthyReports(t, all)
	unhealthyReports(t, all)
	otherReports(t, all)
	return all
}

// healthyReports are of mirrors whose origin was read.
func healthyReports(t *testing.T, all map[string]mirror.Report) {
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
}

// unhealthyReports are of mirrors with something wrong, or strange.
func unhealthyReports(t *testing.T, all map[string]mirror.Report) {
	s := bucketStream(t, farMirror)
	s.Mirror = upstream(0, -1)
	r := shown(s)
	r.Origin = &mirror.Origin{Bucket: "demo", Stream: "KV_demo", APIPrefix: "$JS.hub.API", Problem: `request to "$JS.hub.API.STREAM.INFO.KV_demo": no responders`}
	all["unreachable"] = r

	s = bucketStream(t, localMirror)
	s.Mirror = upstream(0, 20*time.Second)
	s.Mirror.Error = &stream.APIError{Description: "stream not found"}
	r = shown(s)
	r.Origin = &mirror.Origin{Bucket: "demo", Stream: "KV_demo", APIPrefix: "$JS.API", Problem: "stream not found"}
	all["mirror-error"] = r

	s = bucketStream(t, `{"name":"KV_evil","max_msgs_per_subject":1,"storage":"tape\u001b[0m","description":"two\nlines\t\u001b[31mred\u202etxt.exe\u0000",
		"republish":{"src":"a\u001b","dest":"b\r"},"mirror":{"name":"KV_x\u0007","external":{"api":"$JS.\u009b.API","deliver":""}},
		"metadata":{"key\u001b[2J":"value\r\nforged: yes","good":"über 日本"}}`)
	s.Mirror = upstream(0, time.Second)
	s.Mirror.Error = &stream.APIError{Description: "bad\u2028thing\x7f"}
	s.Cluster = &stream.ClusterInfo{Name: "C\n1", Leader: "n\x1b1", Replicas: []stream.PeerInfo{{Name: "n\u200b2", Current: true, Active: time.Second}}}
	r = shown(s)
	r.Origin = &mirror.Origin{Problem: "no\nanswer\xff"}
	all["control-characters"] = r

	s = bucketStream(t, `{"name":"KV_odd","max_msgs_per_subject":1,"storage":"file","retention":"workqueue","sealed":true,"mirror":{"name":"KV_demo","opt_start_seq":7,"opt_start_time":"2026-01-02T03:04:05Z",
		"subject_transforms":[{"src":"$KV.demo.a","dest":"$KV.odd.a"},{"src":"$KV.demo.b","dest":""}],"consumer":{"name":"pre","deliver_subject":"d"}}}`)
	s.Mirror = upstream(0, time.Second)
	all["odd"] = shown(s)

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
}

// otherReports are of clusters, of buckets that are no mirrors, and of a plan.
func otherReports(t *testing.T, all map[string]mirror.Report) {
	s := bucketStream(t, localMirror)
	s.Mirror = upstream(1, -1)
	s.Cluster = &stream.ClusterInfo{Name: "C1", Leader: "n1", Replicas: []stream.PeerInfo{
		{Name: "n2", Current: true, Active: 250 * time.Millisecond},
		{Name: "n3", Active: 90 * time.Second, Lag: 1},
		{Name: "n4", Offline: true, Active: 1<<63 - 1, Lag: 12345},
		{Name: "n5", Current: true, Offline: true},
	}}
	all["cluster"] = shown(s)

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
	s.Created, s.State = time.Time{}, stream.State{}
	r := mirror.Report{
		Action: mirror.WouldCreate, Bucket: "demo", Stream: "KV_demo", Info: s,
		Changes: []kvcfg.Change{
			{Field: "allow_msg_ttl", From: quoted("null"), To: quoted("true"), Source: kvcfg.FromOrigin},
			{Field: "max_msgs_per_subject", From: quoted("null"), To: quoted("1"), Source: kvcfg.FromOrigin},
			{Field: "max_age", From: quoted("null"), To: quoted("93784000000000"), Source: kvcfg.FromOrigin},
			{Field: "max_msg_size", From: quoted("null"), To: quoted("4096"), Source: kvcfg.FromFlag},
			{Field: "storage", From: quoted("null"), To: quoted(`"memory"`), Source: kvcfg.FromFlag},
		},
		Origin: &mirror.Origin{Bucket: "demo", Stream: "KV_demo", APIPrefix: "$JS.hub.API", Reachable: true, PerKeyTTL: new(true), LastSeq: new(uint64(7))},
	}
	all["dry-run"] = r
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

// TestTextIsSafe: no name from the network leaves its line.
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

// TestTextColor: only terminals get colors.
func TestTextColor(t *testing.T) {
	human(t)
	r := reports(t)["external"]
	var b strings.Builder
	if err := Text(&b, r, "", Style{ColorScheme: "red"}); err != nil {
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
	if err := Text(broken{}, reports(t)["local"], "", Style{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("to a broken pipe: %v", err)
	}
}

// What was chosen is shown with the origin, and not as metadata.
func TestTextChosen(t *testing.T) {
	config := strings.Replace(localMirror, `"_nats.ver"`, `"nats-kvmirror.chosen":"max_msgs_per_subject","_nats.ver"`, 1)
	info := bucketStream(t, config)
	chosen := []kvcfg.Change{{Field: "max_msgs_per_subject", From: stream.JSON(5), To: stream.JSON(7)}}
	for name, origin := range map[string]*mirror.Origin{
		"History: 5 here, 7 at the origin\n": {Bucket: "demo", Reachable: true, Chosen: chosen},
		"History\n":                          {Bucket: "demo", Problem: "no responders"},
	} {
		got := text(t, mirror.Report{Action: mirror.Shown, Bucket: "copy", Info: info, Origin: origin})
		if !strings.Contains(got, "Chosen: "+name) {
			t.Errorf("%q is not in %s", "Chosen: "+name, got)
		}
		if strings.Contains(got, "nats-kvmirror") || strings.Contains(got, "Metadata") {
			t.Errorf("the choice is shown as metadata in %s", got)
		}
	}
}
