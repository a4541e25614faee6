package check

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want one that is %v", err, want)
	}
}

// touched lists the fields whose bytes, or whose presence, are not the same.
func touched(before, after stream.Raw) []string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(field string) bool {
		was, wasThere := before[field]
		is, isThere := after[field]
		return wasThere == isThere && bytes.Equal(was, is)
	})
}

func wantTouched(t testing.TB, before, after stream.Raw, fields ...string) {
	t.Helper()
	if got := touched(before, after); !slices.Equal(got, fields) {
		t.Errorf("fields touched: %q, want %q", got, fields)
	}
}

// change is a [kvcfg.Change] that is easy to write down and to compare.
type change struct{ field, from, to, source string }

func readable(changes []kvcfg.Change) []change {
	var r []change
	for _, c := range changes {
		r = append(r, change{c.Field, string(c.From), string(c.To), c.Source})
	}
	return r
}

func wantChanges(t testing.TB, got []kvcfg.Change, want ...change) {
	t.Helper()
	if !slices.Equal(readable(got), want) {
		t.Errorf("changes:\n got %q\nwant %q", readable(got), want)
	}
}

func wantValue(t testing.TB, raw stream.Raw, field, want string) {
	t.Helper()
	if got := string(raw[field]); got != want {
		t.Errorf("%s is %s, want %s", field, got, want)
	}
}

// wantKnown asserts that an error is one of those that are promised.
func wantKnown(t testing.TB, err error, known []error) {
	t.Helper()
	if !slices.ContainsFunc(known, func(e error) bool { return errors.Is(err, e) }) {
		t.Errorf("an error of no kind: %v", err)
	}
}

// wantPlanned asserts that a plan changes nothing but the fields that it is about, and
// lists each change; unlisted are fields that it may drop without that.
func wantPlanned(t testing.TB, current stream.Raw, p kvcfg.Plan, about []string, unlisted ...string) {
	t.Helper()
	want, have := maps.Clone(current), maps.Clone(p.Config)
	for _, c := range p.Changes {
		if got := cmp.Or(string(current[c.Field]), "null"); string(c.From) != got {
			t.Errorf("%s changes from %s, but it is %s", c.Field, c.From, got)
		}
		if !slices.Contains(about, c.Field) {
			t.Errorf("%s changes to %s, which was not asked for", c.Field, c.To)
		}
		want[c.Field] = c.To
	}
	for _, field := range unlisted {
		delete(want, field)
		delete(have, field)
	}
	wantTouched(t, want, have)
}

// healthy are the facts of a mirror in which nothing is to be found.
func healthy() Facts {
	state := stream.State{Msgs: 10, Bytes: 1000, FirstSeq: 1, LastSeq: 10, FirstTime: time.Unix(2000, 0)}
	origin := stream.Config{
		Name: "KV_demo", Subjects: []string{"$KV.demo.>"}, Storage: "file", Discard: "new", AllowMsgTTL: true, AllowDirect: true, AllowRollup: true, DenyDelete: true,
		MaxMsgsPerSubject: 5, MaxAge: time.Hour, MaxMsgSize: 1024, MaxBytes: -1, MaxMsgs: -1, Metadata: map[string]string{"_nats.ver": "2.15.2"},
	}
	mirror := origin
	mirror.Subjects, mirror.MirrorDirect = nil, true
	mirror.Mirror = &stream.Source{Name: "KV_demo", External: &stream.External{APIPrefix: "$JS.hub.API"}}
	return Facts{
		Mirror: &stream.Info{Config: mirror, State: state, Created: time.Unix(3000, 0), Prefix: "$JS.API", Mirror: &stream.SourceInfo{Name: "KV_demo", Active: time.Second}},
		Origin: &stream.Info{Config: origin, State: state, Created: time.Unix(1000, 0), Prefix: "$JS.hub.API"},
		Level:  new(4),
	}
}

// from is healthy but for what change does.
func from(change func(f *Facts)) Facts {
	f := healthy()
	change(&f)
	return f
}

// chosen says that a flag set these settings of the mirror.
func chosen(settings string) func(*Facts) {
	return func(f *Facts) {
		f.Mirror.Config.Metadata = map[string]string{"_nats.ver": "2.15.2", kvcfg.ChosenKey: settings}
	}
}

// readTwice makes the states, as they are, those of the earlier reading as well.
func readTwice(f *Facts) {
	f.Earlier = &States{Mirror: f.Mirror.State, Origin: f.Origin.State}
}

// unreadableBecause takes the origin away.
func unreadableBecause(reason Reason) func(*Facts) {
	return func(f *Facts) {
		f.Origin, f.OriginUnread = nil, Unreadable{Reason: reason, Detail: unread[reason]}
	}
}

// runsOn sets the version and storage of the mirror's stream.
func runsOn(f *Facts, version, storage string, ttl bool) {
	f.Mirror.Config.Metadata = map[string]string{"_nats.ver": version}
	f.Mirror.Config.Storage, f.Mirror.Config.AllowMsgTTL = storage, ttl
}

// aboveWith is an origin's origin.
func aboveWith(name string, ttl bool) *stream.Info {
	return &stream.Info{Config: stream.Config{Name: "KV_" + name, AllowMsgTTL: ttl}, Prefix: "$JS.top.API"}
}

func filtered(f *Facts) {
	f.Mirror.Config.Mirror.FilterSubject = "$KV.demo.a.>"
}

// youngOrigin makes the origin, with all that it holds, younger than the mirror's
// messages.
func youngOrigin(f *Facts) {
	f.Origin.Created, f.Origin.State.FirstTime = time.Unix(2500, 0), time.Unix(2600, 0)
}

// raisesTTL makes the origin one that keeps messages longer than their TTL.
func raisesTTL(f *Facts) {
	f.Origin.Config.Metadata = map[string]string{"_nats.ver": "2.11.6"}
	f.Origin.Config.SubjectDeleteMarkerTTL = time.Hour
}

// stalledBecause makes a mirror stall, with a cause.
func stalledBecause(cause func(*Facts)) func(*Facts) {
	return func(f *Facts) {
		behindBy(f, 1)
		readTwice(f)
		cause(f)
	}
}

// otherAccount makes the origin one in another account.
func otherAccount(f *Facts) {
	f.Mirror.Config.Mirror.External = &stream.External{APIPrefix: "JS.A.API", DeliverPrefix: "deliver.B"}
}

// behindBy takes the origin ahead.
func behindBy(f *Facts, n uint64) { f.Origin.State.LastSeq = f.Mirror.State.LastSeq + n }
