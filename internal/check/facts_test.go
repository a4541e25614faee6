package check

import (
	"testing"
	"time"

	"nats-kvmirror/internal/stream"
)

// look is a moment's counts: messages and last sequence here and at the origin.
type look struct{ mirrorMsgs, mirrorSeq, originMsgs, originSeq uint64 }

// looks makes facts of two looks; none at all is one look alone.
func looks(earlier, now look) Facts {
	f := healthy()
	f.Mirror.State = stream.State{Msgs: now.mirrorMsgs, FirstSeq: 1, LastSeq: now.mirrorSeq}
	f.Origin.State = stream.State{Msgs: now.originMsgs, FirstSeq: 1, LastSeq: now.originSeq}
	if earlier != (look{}) {
		f.Earlier = &Look{
			Mirror: stream.State{Msgs: earlier.mirrorMsgs, FirstSeq: 1, LastSeq: earlier.mirrorSeq},
			Origin: stream.State{Msgs: earlier.originMsgs, FirstSeq: 1, LastSeq: earlier.originSeq},
		}
	}
	return f
}

// What comes and goes between two reads is no accusation; what stays is.
func TestLeftOverAndMissing(t *testing.T) {
	for _, test := range []struct {
		name              string
		earlier, now      look
		change            func(*Facts)
		leftOver, missing uint64
	}{
		{"the same", look{10, 10, 10, 10}, look{10, 10, 10, 10}, nil, 0, 0},
		{"left over", look{13, 10, 10, 10}, look{13, 10, 10, 10}, nil, 3, 0},
		{"left over, one look", look{}, look{13, 10, 10, 10}, nil, 0, 0},
		{"expired there first", look{10, 10, 6, 10}, look{6, 10, 6, 10}, nil, 0, 0},
		{"some expired here, some stay", look{10, 10, 6, 10}, look{8, 10, 6, 10}, nil, 2, 0},
		{"expires at the second look", look{10, 10, 10, 10}, look{10, 10, 4, 10}, nil, 0, 0},
		{"expires at both looks", look{10, 10, 8, 10}, look{8, 10, 6, 10}, nil, 0, 0},
		{"left over while more comes", look{13, 10, 10, 10}, look{18, 15, 15, 15}, nil, 3, 0},
		{"purged at the origin between the looks", look{10, 10, 10, 10}, look{10, 10, 0, 10}, nil, 0, 0},
		{"missing", look{7, 10, 10, 10}, look{7, 10, 10, 10}, nil, 0, 3},
		{"missing, one look", look{}, look{7, 10, 10, 10}, nil, 0, 0},
		{"missing while more comes", look{7, 10, 10, 10}, look{12, 15, 15, 15}, nil, 0, 3},
		{"expired here first", look{7, 10, 10, 10}, look{7, 10, 7, 10}, nil, 0, 0},
		{"was on its way", look{7, 7, 10, 10}, look{10, 10, 10, 10}, nil, 0, 0},
		{"still behind", look{7, 7, 10, 10}, look{7, 7, 10, 10}, nil, 0, 0},
		{"behind and then missing", look{5, 7, 10, 10}, look{8, 10, 10, 10}, nil, 0, 2},
		{"smaller history", look{7, 10, 10, 10}, look{7, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxMsgsPerSubject = 1 }, 0, 0},
		{"filtered", look{7, 10, 10, 10}, look{7, 10, 10, 10}, filtered, 0, 0},
		{"shorter maximum age", look{7, 10, 10, 10}, look{7, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxAge = time.Minute }, 0, 0},
		{"a maximum age of its own", look{7, 10, 10, 10}, look{7, 10, 10, 10}, func(f *Facts) { f.Origin.Config.MaxAge = 0 }, 0, 0},
		{"drops the oldest", look{7, 10, 10, 10}, look{7, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.Discard, f.Mirror.Config.MaxMsgs = "old", 7 }, 0, 0},
		{"stops when full", look{7, 10, 10, 10}, look{7, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxMsgs = 7 }, 0, 3},
		{"left over, shorter maximum age", look{13, 10, 10, 10}, look{13, 10, 10, 10}, func(f *Facts) { f.Mirror.Config.MaxAge = time.Minute }, 3, 0},
		{"as many, older", look{10, 10, 10, 10}, look{10, 10, 10, 10}, func(f *Facts) { f.Earlier.Origin.FirstSeq, f.Origin.State.FirstSeq = 3, 3 }, 1, 0},
		{"origin unread", look{13, 10, 10, 10}, look{13, 10, 10, 10}, unreadBecause(Unreachable), 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := looks(test.earlier, test.now)
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
		now    look
		change func(*Facts)
		want   bool
	}{
		{"the same", look{10, 10, 10, 10}, nil, false},
		{"behind", look{9, 9, 10, 10}, nil, true},
		{"more", look{11, 10, 10, 10}, nil, true},
		{"less", look{9, 10, 10, 10}, nil, true},
		{"ahead", look{11, 11, 10, 10}, nil, true},
		{"never heard of its origin", look{10, 10, 10, 10}, func(f *Facts) { f.Mirror.Mirror.Active = -1 }, true},
		{"origin unread", look{9, 9, 10, 10}, unreadBecause(Missing), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := looks(look{}, test.now)
			if test.change != nil {
				test.change(&f)
			}
			if got := f.Suspicious(); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// A filtered mirror is behind by what it has to take and by nothing else.
func TestCompareFiltered(t *testing.T) {
	for _, test := range []struct {
		name string
		left *uint64
		want uint64
	}{
		{"nobody asked", nil, 5},
		{"none", new(uint64(0)), 0},
		{"one", new(uint64(12)), 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := from(func(f *Facts) { filtered(f); behindBy(f, 5); f.Left = test.left })
			if c, ok := f.Compare(); !ok || c.Behind != test.want || c.Counted {
				t.Errorf("got %+v, %t; want %d behind", c, ok, test.want)
			}
		})
	}
	if _, ok := from(unreadBecause(Missing)).Compare(); ok {
		t.Error("an origin that was not read was compared")
	}
}
