package check

import (
	"testing"
	"time"

	"nats-kvmirror/internal/stream"
)

// counts are messages and last sequence here and at the origin.
type counts struct{ mirrorMsgs, mirrorSeq, originMsgs, originSeq uint64 }

// readings makes facts of two readings; empty earlier counts are one reading alone.
func readings(earlier, now counts) Facts {
	f := healthy()
	f.Mirror.State = stream.State{Msgs: now.mirrorMsgs, FirstSeq: 1, LastSeq: now.mirrorSeq}
	f.Origin.State = stream.State{Msgs: now.originMsgs, FirstSeq: 1, LastSeq: now.originSeq}
	if earlier != (counts{}) {
		f.Earlier = &States{
			Mirror: stream.State{Msgs: earlier.mirrorMsgs, FirstSeq: 1, LastSeq: earlier.mirrorSeq},
			Origin: stream.State{Msgs: earlier.originMsgs, FirstSeq: 1, LastSeq: earlier.originSeq},
		}
	}
	return f
}

// What comes and goes between two readings is no finding; what stays is.
func TestLeftOverAndMissing(t *testing.T) {
	for _, test := range []struct {
		name              string
		earlier, now      counts
		change            func(*Facts)
		leftOver, missing uint64
	}{
		{"the same", counts{10, 10, 10, 10}, counts{10, 10, 10, 10}, nil, 0, 0},
		{"left over", counts{13, 10, 10, 10}, counts{13, 10, 10, 10}, nil, 3, 0},
		{"left over, one reading", counts{}, counts{13, 10, 10, 10}, nil, 0, 0},
		{"expired there first", counts{10, 10, 6, 10}, counts{6, 10, 6, 10}, nil, 0, 0},
		{"some expired here, some stay", counts{10, 10, 6, 10}, counts{8, 10, 6, 10}, nil, 2, 0},
		{"expires at the second reading", counts{10, 10, 10, 10}, counts{10, 10, 4, 10}, nil, 0, 0},
		{"expires at both readings", counts{10, 10, 8, 10}, counts{8, 10, 6, 10}, nil, 0, 0},
		{"left over while more comes", counts{13, 10, 10, 10}, counts{18, 15, 15, 15}, nil, 3, 0},
		{"purged at the origin between the readings", counts{10, 10, 10, 10}, counts{10, 10, 0, 10}, nil, 0, 0},
		{"missing", counts{7, 10, 10, 10}, counts{7, 10, 10, 10}, nil, 0, 3},
		{"missing, one reading", counts{}, counts{7, 10, 10, 10}, nil, 0, 0},
		{"missing while more comes", counts{7, 10, 10, 10}, counts{12, 15, 15, 15}, nil, 0, 3},
		{"expired here first", counts{7, 10, 10, 10}, counts{7, 10, 7, 10}, nil, 0, 0},
		{"was on its way", counts{7, 7, 10, 10}, counts{10, 10, 10, 10}, nil, 0, 0},
		{"behind twice", counts{7, 7, 10, 10}, counts{7, 7, 10, 10}, nil, 0, 0},
		{"behind and then missing", counts{5, 7, 10, 10}, counts{8, 10, 10, 10}, nil, 0, 2},
		{"smaller history", counts{7, 10, 10, 10}, counts{7, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject = 1 }, 0, 0},
		{"filtered", counts{7, 10, 10, 10}, counts{7, 10, 10, 10}, filtered, 0, 0},
		{"shorter maximum age", counts{7, 10, 10, 10}, counts{7, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxAge = time.Minute }, 0, 3},
		{"chosen maximum age", counts{7, 10, 10, 10}, counts{7, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxAge = time.Minute; chosen("max_age")(f) }, 0, 0},
		{"chosen maximum age, left over", counts{13, 10, 10, 10}, counts{13, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxAge = 0; chosen("max_age")(f) }, 0, 0},
		{"chosen shorter age, left over", counts{13, 10, 10, 10}, counts{13, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxAge = time.Minute; chosen("max_age")(f) }, 3, 0},
		{"chosen history, left over", counts{13, 10, 10, 10}, counts{13, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject = 2; chosen("max_msgs_per_subject")(f) }, 3, 0},
		{"chosen limits", counts{13, 10, 10, 10}, counts{13, 10, 10, 10}, func(f *Facts) {
			f.Origin.Config.MaxMsgs, f.Origin.Config.Discard = 10, "old"
			chosen("max_bytes")(f)
		}, 0, 0},
		{"another storage counts otherwise", counts{13, 10, 10, 10}, counts{13, 10, 10, 10}, func(f *Facts) {
			f.Origin.Config.MaxBytes, f.Origin.Config.Discard, f.Origin.Config.Storage = 1000, "old", "memory"
			f.Mirror.Config.MaxBytes, f.Mirror.Config.Discard = 2000, "old"
		}, 0, 0},
		{"a maximum age of its own", counts{7, 10, 10, 10}, counts{7, 10, 10, 10}, func(f *Facts) { f.Origin.Config.MaxAge = 0 }, 0, 3},
		{"drops the oldest", counts{7, 10, 10, 10}, counts{7, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.Discard, f.Mirror.Config.MaxMsgs = "old", 7 }, 0, 0},
		{"stops when full", counts{7, 10, 10, 10}, counts{7, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxMsgs = 7 }, 0, 3},
		{"left over, shorter maximum age", counts{13, 10, 10, 10}, counts{13, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxAge = time.Minute }, 3, 0},
		{"as many, older", counts{10, 10, 10, 10}, counts{10, 10, 10, 10}, func(f *Facts) { f.Earlier.Origin.FirstSeq, f.Origin.State.FirstSeq = 3, 3 }, 1, 0},
		{"left over, and the last has expired", counts{13, 10, 10, 12}, counts{13, 10, 10, 12}, func(f *Facts) { f.NextPending = new(uint64(0)) }, 3, 0},
		{"left over, and the next is pending", counts{13, 10, 10, 12}, counts{13, 10, 10, 12}, func(f *Facts) { f.NextPending = new(uint64(12)) }, 0, 0},
		{"filtered, more than the whole origin", counts{13, 10, 10, 10}, counts{13, 10, 10, 10}, filtered, 3, 0},
		{"origin unreadable", counts{13, 10, 10, 10}, counts{13, 10, 10, 10}, unreadableBecause(ReasonUnreachable), 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := readings(test.earlier, test.now)
			if test.change != nil {
				test.change(&f)
			}
			if leftOver, missing := f.LeftOver(), f.Missing(); leftOver != test.leftOver || missing != test.missing {
				t.Errorf("left over %d, missing %d; want %d, %d", leftOver, missing, test.leftOver, test.missing)
			}
		})
	}
}

func TestSuspicious(t *testing.T) {
	for _, test := range []struct {
		name   string
		now    counts
		change func(*Facts)
		want   bool
	}{
		{"the same", counts{10, 10, 10, 10}, nil, false},
		{"behind", counts{9, 9, 10, 10}, nil, true},
		{"more", counts{11, 10, 10, 10}, nil, true},
		{"less", counts{9, 10, 10, 10}, nil, true},
		{"ahead", counts{11, 11, 10, 10}, nil, true},
		{"never connected", counts{10, 10, 10, 10}, func(f *Facts) { f.Mirror.Mirror.Active = -1 }, true},
		{"origin unreadable", counts{9, 9, 10, 10}, unreadableBecause(ReasonMissing), false},
		{"never connected, origin unreadable", counts{9, 9, 10, 10}, func(f *Facts) { f.Mirror.Mirror.Active = -1; unreadableBecause(ReasonMissing)(f) }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := readings(counts{}, test.now)
			if test.change != nil {
				test.change(&f)
			}
			if got := f.Suspicious(); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// A filtered mirror is behind by what is pending for it and by nothing else.
func TestCompareFiltered(t *testing.T) {
	for _, test := range []struct {
		name string
		next *uint64
		want uint64
	}{
		{"not asked", nil, 5},
		{"none", new(uint64(0)), 0},
		{"one", new(uint64(12)), 4},
		{"one that came since", new(uint64(16)), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := from(func(f *Facts) { filtered(f); behindBy(f, 5); f.NextPending = test.next })
			if c, ok := f.Compare(); !ok || c.Behind != test.want || c.Counted {
				t.Errorf("got %+v, %t; want %d behind", c, ok, test.want)
			}
		})
	}
	if _, ok := from(unreadableBecause(ReasonMissing)).Compare(); ok {
		t.Error("an origin that was not read was compared")
	}
}
