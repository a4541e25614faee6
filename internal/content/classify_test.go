package content

import (
	"testing"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// now is when both sides are read in these tests.
var now = time.Unix(1_700_000_000, 0)

// ago is a message that was stored so long ago, with a TTL if there is one.
func ago(age time.Duration, ttl string) *jsapi.MsgMeta {
	m := &jsapi.MsgMeta{Seq: 100, Time: now.Add(-age).UnixNano(), Size: 1, Subject: []byte("$KV.demo.key")}
	if ttl != "" {
		m.ControlHeaders = []byte("Nats-TTL: " + ttl + "\n")
	}
	return m
}

// clockAt is a clock that shows a time, measured exactly.
func clockAt(at time.Time) clock {
	read := time.Now()
	return clock{ahead: at.Sub(read), known: true, read: read}
}

// choose records that a setting of the mirror was chosen.
func choose(c *classifier, field string) {
	c.mirror.Metadata = map[string]string{"nats-kvmirror.chosen": "max_msg_size, " + field}
}

func TestClassify(t *testing.T) {
	type test struct {
		name           string
		mirror, origin *jsapi.MsgMeta
		change         func(*classifier)
		want           class
		kind           Kind
		reason         string
	}
	different := func(change func(*jsapi.MsgMeta)) *jsapi.MsgMeta {
		m := ago(time.Hour, "")
		m.Digest = []byte("a")
		change(m)
		return m
	}
	// older adds so many newer messages of the key on the side that keeps more.
	older := func(onMirror bool, here, there int64, newer int) func(*classifier) {
		return func(c *classifier) {
			c.mirror.MaxMsgsPerSubject, c.origin.MaxMsgsPerSubject = here, there
			c.kept = newHistory(onMirror, min(bound(here), bound(there)))
			l := &list{}
			for i := range newer + 1 {
				m := ago(0, "")
				m.Seq += uint64(i)
				l.messages = append(l.messages, m)
			}
			_ = c.kept.read(l)
		}
	}
	byChoice := func(change func(*classifier)) func(*classifier) {
		return func(c *classifier) { change(c); choose(c, fieldHistory) }
	}
	for _, test := range []test{
		{"the same", ago(time.Hour, ""), ago(time.Hour, ""), nil, same, "", ""},
		{"the same, expired on both", ago(time.Hour, "1s"), ago(time.Hour, "1s"), nil, same, "", ""},
		{"another subject", different(func(*jsapi.MsgMeta) {}), different(func(m *jsapi.MsgMeta) { m.Subject = []byte("$KV.demo.other") }), nil, wrong, Different, "subject"},
		{"another time", different(func(*jsapi.MsgMeta) {}), different(func(m *jsapi.MsgMeta) { m.Time++ }), nil, wrong, Different, "time"},
		{"another size", different(func(*jsapi.MsgMeta) {}), different(func(m *jsapi.MsgMeta) { m.Size++ }), nil, wrong, Different, "size"},
		{"other headers", different(func(*jsapi.MsgMeta) {}), different(func(m *jsapi.MsgMeta) { m.ControlHeaders = []byte("Nats-TTL: 9h\n") }), nil, wrong, Different, "headers"},
		{"another body", different(func(*jsapi.MsgMeta) {}), different(func(m *jsapi.MsgMeta) { m.Digest = []byte("b") }), nil, wrong, Different, "payload"},
		{"one digest", different(func(*jsapi.MsgMeta) {}), different(func(m *jsapi.MsgMeta) { m.Digest = nil }), nil, same, "", ""},
		{"renamed", different(func(m *jsapi.MsgMeta) { m.Subject = []byte("$KV.copy.key") }), different(func(*jsapi.MsgMeta) {}), func(c *classifier) {
			c.rename = func(string) string { return "$KV.copy.key" }
		}, same, "", ""},
		{"not renamed", different(func(*jsapi.MsgMeta) {}), different(func(*jsapi.MsgMeta) {}), func(c *classifier) {
			c.rename = func(string) string { return "$KV.copy.key" }
		}, wrong, Different, "subject"},

		{"headers that cannot be read", different(func(m *jsapi.MsgMeta) { m.Unreadable = true }), different(func(*jsapi.MsgMeta) {}), nil, unread, "", ""},
		{"missing, with headers that cannot be read", nil, different(func(m *jsapi.MsgMeta) { m.Unreadable = true }), nil, unread, "", ""},

		{"missing", nil, ago(time.Hour, ""), nil, wrong, Missing, Absent},
		{"missing, new", nil, ago(0, ""), nil, wrong, Missing, Absent},
		{"missing, to expire later", nil, ago(time.Minute, "1h"), nil, wrong, Missing, Absent},
		{"missing, to expire never", nil, ago(time.Hour, "never"), nil, wrong, Missing, Absent},
		{"missing, about to expire", nil, ago(time.Minute, "1m5s"), nil, wrong, Missing, Absent},
		{"missing, expired within the precision of the clocks", nil, ago(time.Minute, "1m0.5s"), nil, transient, "", ""},
		{"missing, expired just now, where nothing expires on the mirror", nil, ago(time.Minute, "59s"), func(c *classifier) { c.mirror.AllowMsgTTL = false }, transient, "", ""},
		{"missing, to expire soon, where nothing expires on the mirror", nil, ago(time.Minute, "1m5s"), func(c *classifier) { c.mirror.AllowMsgTTL = false }, wrong, Missing, Absent},
		{"about to expire at the origin, expired by the mirror's clock", nil, ago(time.Minute, "1m5s"), func(c *classifier) { c.mirrorClock = clockAt(now.Add(time.Minute)) }, transient, "", ""},
		{"expired on a mirror with TTLs below an origin without", nil, ago(time.Minute, "30s"), func(c *classifier) { c.origin.AllowMsgTTL = false }, wrong, Missing, Expired},
		{"the same by choice", nil, ago(time.Minute, "30s"), func(c *classifier) { c.origin.AllowMsgTTL = false; choose(c, fieldTTL) }, byDesign, "", ""},
		{"missing, of a short life and young", nil, ago(time.Second, "8s"), nil, wrong, Missing, Absent},
		{"missing, of a short life and old", nil, ago(5*time.Second, "8s"), nil, wrong, Missing, Absent},
		{"young where none is old", nil, ago(time.Second, ""), func(c *classifier) { c.mirror.MaxAge = 8 * time.Second }, wrong, Missing, Absent},
		{"old where none is old", nil, ago(5*time.Second, ""), func(c *classifier) { c.mirror.MaxAge = 8 * time.Second }, wrong, Missing, Absent},
		{"missing, expired just now", nil, ago(time.Minute, "55s"), nil, transient, "", ""},
		{"missing, expired long ago", nil, ago(time.Hour, "1m"), nil, wrong, Missing, Expired},
		{"missing, expired by the mirror's clock", nil, ago(time.Minute, "1m30s"), func(c *classifier) { c.mirrorClock = clockAt(now.Add(time.Minute)) }, wrong, Missing, Early},
		{"too old for the mirror", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxAge = 30 * time.Minute }, wrong, Missing, Unchosen},
		{"too old for the mirror by choice", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxAge = 30 * time.Minute; choose(c, fieldMaxAge) }, byDesign, "", ""},
		{"too old for both, and kept at the origin", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxAge, c.origin.MaxAge = time.Minute, time.Minute }, wrong, Missing, TooOld},
		{"too old for both just now", nil, ago(time.Minute, ""), func(c *classifier) { c.mirror.MaxAge, c.origin.MaxAge = 58*time.Second, 58*time.Second }, transient, "", ""},
		{"about to be too old for the mirror", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxAge = time.Hour + 5*time.Second }, wrong, Missing, Absent},
		{"not too old for the mirror", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxAge = 2 * time.Hour }, wrong, Missing, Absent},
		{"too old for the mirror, but to expire never", nil, ago(time.Hour, "never"), func(c *classifier) { c.mirror.MaxAge = time.Minute }, wrong, Missing, Absent},
		{"dropped by a full mirror", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxBytes, c.mirror.Discard, c.mirrorState.FirstSeq = 1, "old", 101 }, byDesign, "", ""},
		{"dropped by a mirror with enough messages", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxMsgs, c.mirrorState.FirstSeq = 1, 101 }, byDesign, "", ""},
		{"missing within a full mirror", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxBytes, c.mirror.Discard, c.mirrorState.FirstSeq = 1, "old", 99 }, wrong, Missing, Absent},
		{"before the first of a mirror that discards new", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxBytes, c.mirror.Discard, c.mirrorState.FirstSeq = 1, "new", 101 }, wrong, Missing, Absent},
		{"before the first of a mirror without limits", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.Discard, c.mirrorState.FirstSeq = "old", 101 }, wrong, Missing, Absent},
		{"before the first of a mirror with room", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxBytes, c.mirror.Discard, c.mirrorState.FirstSeq = 1<<20, "old", 101 }, uncertain, "", ""},
		{"before the first of a mirror with room for one", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxMsgs, c.mirrorState.FirstSeq = 2, 101 }, uncertain, "", ""},
		{"an empty mirror with room", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.MaxMsgs, c.mirrorState = 2, stream.State{} }, uncertain, "", ""},
		{"before a mirror begins", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.Mirror = &stream.Source{OptStartSeq: 101} }, byDesign, "", ""},
		{"where a mirror begins", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.Mirror = &stream.Source{OptStartSeq: 100} }, wrong, Missing, Absent},
		{"before the time from which a mirror begins", nil, ago(time.Hour, ""), func(c *classifier) { c.mirror.Mirror = &stream.Source{OptStartTime: &now} }, byDesign, "", ""},
		{"more history at the origin", nil, ago(time.Hour, ""), older(false, 2, 5, 2), wrong, Missing, Unchosen},
		{"more history at the origin by choice", nil, ago(time.Hour, ""), byChoice(older(false, 2, 5, 2)), byDesign, "", ""},
		{"within the mirror's history, by choice", nil, ago(time.Hour, ""), byChoice(older(false, 2, 5, 1)), uncertain, "", ""},
		{"within the mirror's history", nil, ago(time.Hour, ""), older(false, 2, 5, 1), wrong, Missing, Absent},
		{"the last value", nil, ago(time.Hour, ""), older(false, 1, 64, 0), wrong, Missing, Absent},
		{"unlimited history at the origin", nil, ago(time.Hour, ""), older(false, 1, -1, 1), wrong, Missing, Unchosen},

		{"gone", ago(time.Hour, ""), nil, nil, wrong, LeftOver, Gone},
		{"gone, not expired", ago(time.Minute, "1h"), nil, nil, wrong, LeftOver, Gone},
		{"gone, to expire never", ago(time.Hour, "never"), nil, nil, wrong, LeftOver, Gone},
		{"gone, while behind", ago(time.Hour, ""), nil, func(c *classifier) { c.behind = true }, pending, LeftOver, Gone},
		{"expired", ago(time.Hour, "1m"), nil, nil, wrong, LeftOver, Expired},
		{"expired, where the origin has no TTLs", ago(time.Hour, "1m"), nil, func(c *classifier) { c.origin.AllowMsgTTL = false }, wrong, LeftOver, Gone},
		{"expired, where the origin is not known", ago(time.Hour, "1m"), nil, func(c *classifier) { c.origin = stream.Config{} }, wrong, LeftOver, Expired},
		{"expired, kept by choice", ago(time.Hour, "1m"), nil, func(c *classifier) { c.mirror.AllowMsgTTL = false; choose(c, fieldTTL) }, byDesign, "", ""},
		{"expired, while behind", ago(time.Hour, "60"), nil, func(c *classifier) { c.behind = true }, wrong, LeftOver, Expired},
		{"expired just now", ago(time.Minute, "55s"), nil, nil, transient, "", ""},
		{"to expire soon, and gone", ago(time.Minute, "65s"), nil, nil, wrong, LeftOver, Gone},
		{"expired within the precision of the clocks", ago(time.Minute, "1m0.5s"), nil, nil, transient, "", ""},
		{"expired by the origin's clock alone", ago(time.Minute, "30m"), nil, func(c *classifier) { c.originClock = clockAt(now.Add(time.Hour)) }, wrong, LeftOver, Expired},
		{"too old", ago(time.Hour, ""), nil, func(c *classifier) { c.origin.MaxAge = time.Minute }, wrong, LeftOver, TooOld},
		{"too old and expired", ago(time.Hour, "1m"), nil, func(c *classifier) { c.origin.MaxAge = time.Minute }, wrong, LeftOver, Expired},
		{"too old, to expire later", ago(time.Hour, "2h"), nil, func(c *classifier) { c.origin.MaxAge = time.Minute }, wrong, LeftOver, TooOld},
		{"too old just now", ago(time.Minute, ""), nil, func(c *classifier) { c.origin.MaxAge = 55 * time.Second }, transient, "", ""},
		{"too old, kept by choice", ago(time.Hour, ""), nil, func(c *classifier) { c.origin.MaxAge = time.Minute; choose(c, fieldMaxAge) }, byDesign, "", ""},
		{"not too old, and gone", ago(time.Minute, ""), nil, func(c *classifier) { c.origin.MaxAge = time.Hour }, wrong, LeftOver, Gone},
		{"never too old", ago(time.Hour, "never"), nil, func(c *classifier) { c.origin.MaxAge = time.Minute }, wrong, LeftOver, Gone},
		{"more history on the mirror", ago(time.Hour, ""), nil, older(true, 5, 2, 2), wrong, LeftOver, Unchosen},
		{"more history on the mirror by choice", ago(time.Hour, ""), nil, byChoice(older(true, 5, 2, 2)), byDesign, "", ""},
		{"within the origin's history, by choice", ago(time.Hour, ""), nil, byChoice(older(true, 5, 2, 1)), uncertain, "", ""},
		{"within the origin's history", ago(time.Hour, ""), nil, older(true, 5, 2, 1), wrong, LeftOver, Gone},
		{"more history, but expired", ago(time.Hour, "1m"), nil, older(true, 5, 2, 2), wrong, LeftOver, Expired},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &classifier{
				mirror: stream.Config{AllowMsgTTL: true}, origin: stream.Config{Name: "KV_a", AllowMsgTTL: true},
				mirrorClock: clockAt(now), originClock: clockAt(now), mirrorState: stream.State{FirstSeq: 1, Msgs: 1},
			}
			if test.change != nil {
				test.change(c)
			}
			class, kind, reason := c.classify(pair{test.mirror, test.origin})
			if class != test.want || kind != test.kind || reason != test.reason {
				t.Errorf("%d, %q, %q; want %d, %q, %q", class, kind, reason, test.want, test.kind, test.reason)
			}
		})
	}
}

// TTLs are as servers read them (server/stream.go, parseMessageTTL).
func TestTTL(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "1h": time.Hour, "1m30s": 90 * time.Second, "never": Never, "Never": Never, "-1": Never, "0": 0,
		"-5": 0, "-5s": 0, "soon": 0, "9223372036854775807": 0, "9223372036": 9223372036 * time.Second, "92233720368547758079": 0,
	} {
		if got := TTL(ago(0, text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestHistoriesDiffer(t *testing.T) {
	for _, test := range []struct {
		mirror, origin   int64
		differ, onMirror bool
	}{{1, 1, false, false}, {1, 5, true, false}, {5, 1, true, true}, {-1, 64, true, true}, {64, 0, true, false}, {0, -1, false, false}} {
		differ, onMirror := historiesDiffer(stream.Config{MaxMsgsPerSubject: test.mirror}, stream.Config{MaxMsgsPerSubject: test.origin})
		if differ != test.differ || onMirror != test.onMirror {
			t.Errorf("%d and %d: %v, %v", test.mirror, test.origin, differ, onMirror)
		}
	}
}
