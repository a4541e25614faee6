package kvcfg

import (
	"maps"
	"slices"
	"testing"
	"time"

	"nats-kvmirror/internal/stream"
	"nats-kvmirror/internal/stream/streamtest"
)

// FuzzNew: a new mirror has what its origin has, but for what was wished; it is a
// mirror, and the same command again finds nothing to do.
func FuzzNew(f *testing.F) {
	for _, data := range streamtest.Seeds(f) {
		f.Add(data, true, "new", "demo", "$JS.hub.API", "a.*.>", uint16(0), "", int64(0), false)
		f.Add(data, false, "new", "demo", "", "", uint16(0x10_00), "", int64(0), true)
		for i := range 13 { // each alone
			f.Add(data, true, "new", "demo", "", "", uint16(1<<i), "file", int64(3), true)
		}
		f.Add(data, true, "new", "demo", "", ">", uint16(0x1f_f7), "memory", int64(5), false)
		f.Add(data, true, "new", "demo", "x", "", uint16(0x08), "", int64(time.Second), false)
	}
	f.Add([]byte(`{}`), false, "", "a b", "", " ", uint16(0), "\xff", int64(-1), true)
	known := []error{ErrInvalidName, ErrInvalidSetting, ErrUnread, ErrRetention}

	f.Fuzz(func(t *testing.T, data []byte, read bool, bucket, origin, prefix, filter string, mask uint16, text string, n int64, yes bool) {
		var found *stream.Config
		if read {
			raw, err := stream.ParseRaw(data)
			if err != nil {
				return
			}
			c, err := raw.Config()
			if err != nil {
				return
			}
			found = &c
		}
		s, about := settingsOf(mask, text, n, yes)
		m := NewMirror{Bucket: bucket, Origin: Origin{Bucket: origin, APIPrefix: prefix}, Settings: s}
		if filter != "" {
			m.Filters = []string{filter}
		}
		p, err := New(m, found)
		if err != nil {
			wantKnown(t, err, known)
			return
		}
		c := streamtest.Typed(t, p.Config)
		if err := CheckMirror(c); err != nil || c.Name != StreamName(bucket) || c.Mirror.Name != StreamName(origin) {
			t.Errorf("it is called %q, mirrors %q: %v", c.Name, c.Mirror.Name, err)
		}
		for _, change := range p.Changes {
			wantValue(t, p.Config, change.Field, string(change.To))
		}

		m.Settings = Settings{AllowMsgTTL: s.AllowMsgTTL} // which stands in for an origin that was not read
		plain, err := New(m, found)
		if err != nil {
			t.Fatalf("without the settings: %v", err)
		}
		if len(s.followed()) > 0 {
			about = append(about, "metadata") // what is chosen
		}
		if s.MaxBucketSize != nil {
			about = append(about, limitFields()...)
		}
		for _, field := range touched(plain.Config, p.Config) {
			if !slices.Contains(about, field) {
				t.Errorf("%s is %s and not %s, which nobody asked for", field, p.Config[field], plain.Config[field])
			}
		}
		wantChanges(t, p.Unchangeable(p.Config))
		again, err := Edit(p.Config, found, Edits{Settings: s})
		if err != nil {
			t.Fatalf("editing what was made: %v", err)
		}
		wantChanges(t, again.Changes)
	})
}

// FuzzPlans: whatever a mirror and its origin are, to update, to recreate and to
// promote it changes what each is about and no more; to recreate it twice
// changes nothing the second time.
func FuzzPlans(f *testing.F) {
	for i, data := range streamtest.Seeds(f) {
		for _, origin := range streamtest.Seeds(f) {
			f.Add(data, origin, "", i%2 == 0, false, int64(0))
		}
		f.Add(data, data, "b.*", true, false, int64(time.Second))
		f.Add(data, data, "a.>", false, true, int64(time.Minute))
	}
	f.Add([]byte(streamtest.Unfit), []byte(`{"max_age":-1,"max_msgs_per_subject":-5,"allow_direct":true}`), "", false, false, int64(-1))

	f.Fuzz(func(t *testing.T, data, origin []byte, filter string, elsewhere, ttl bool, marker int64) {
		current, err := stream.ParseRaw(data)
		if err != nil {
			return
		}
		other, err := stream.ParseRaw(origin)
		if err != nil {
			return
		}
		found, err := other.Config()
		if err != nil {
			return
		}
		before := maps.Clone(current)
		defer func() { wantTouched(t, before, current) }()

		have, err := current.Config()
		if err != nil {
			return
		}
		was, err := OriginOf(have)
		if err != nil {
			return
		}
		r, about := Recreation{Origin: was}, []string{"allow_msg_ttl"}
		if elsewhere {
			r.Origin = Origin{Bucket: "other", APIPrefix: "$JS.other.API"}
			about = append(about, "mirror", "mirror_direct")
		}
		if filter != "" {
			r.Filters = []string{filter}
			about = append(about, "mirror", "mirror_direct")
		}
		if ttl {
			r.Settings.AllowMsgTTL = &elsewhere
			about = append(about, "metadata") // what is chosen
		}
		p, err := Recreate(current, r, found)
		if err != nil {
			wantKnown(t, err, []error{ErrInvalidName, ErrRenames, stream.ErrMalformed})
		} else {
			// The server's own metadata is dropped, and what it refuses of a new mirror.
			wantPlanned(t, current, p, about, "duplicate_window", "metadata")
			for _, field := range current.NotIn(p.Config) {
				if !slices.Contains(about, field) {
					t.Errorf("%s is lost: %s and not %s", field, p.Config[field], current[field])
				}
			}
			r.Filters = nil // they are its own now
			again, err := Recreate(p.Config, r, found)
			if err != nil {
				t.Fatalf("recreating again: %v", err)
			}
			wantChanges(t, again.Changes)
			wantTouched(t, p.Config, again.Config)
		}

		bucket := DisplayName(have.Name)
		p, err = Promote(current, bucket, new(time.Duration(marker)))
		if marker == 0 {
			p, err = Promote(current, bucket, nil)
		}
		if err != nil {
			wantKnown(t, err, []error{ErrNoHistory, ErrMarkerNeedsTTL, ErrInvalidSetting})
			return
		}
		wantPlanned(t, current, p, []string{"mirror", "subjects", "mirror_direct", "duplicate_window", "subject_delete_marker_ttl", "metadata"}, "duplicate_window")
		wantValue(t, p.Config, "mirror", "null")
		wantValue(t, p.Config, "subjects", string(stream.JSON([]string{Subject(bucket)})))
	})
}
