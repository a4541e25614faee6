package check

import (
	"slices"
	"testing"

	"nats-kvmirror/internal/stream"
)

func TestCompare(t *testing.T) {
	plain := stream.Config{MaxMsgsPerSubject: 5}
	mirrorOf := func(c stream.Config, s stream.Source) stream.Config { c.Mirror = &s; return c }
	state := func(msgs, first, last uint64) stream.State {
		return stream.State{Msgs: msgs, FirstSeq: first, LastSeq: last}
	}
	both, none := Comparison{Bounded: true, Counted: true}, new(uint64(0))
	tests := map[string]struct {
		mirror, origin     stream.Config
		mirrored, original stream.State
		pending            *uint64
		want               Comparison
		leftOver           uint64
		same               bool
	}{
		"same":                    {plain, plain, state(10, 1, 10), state(10, 1, 10), nil, both, 0, true},
		"both empty":              {plain, plain, stream.State{}, stream.State{}, nil, both, 0, true},
		"both emptied":            {plain, plain, state(0, 11, 10), state(0, 11, 10), nil, both, 0, true},
		"left over":               {plain, plain, state(10, 1, 10), state(4, 1, 10), nil, Comparison{Surplus: 6, Bounded: true, Counted: true}, 6, false},
		"left over, all expired":  {plain, plain, state(3, 8, 10), state(0, 11, 10), nil, Comparison{Surplus: 3, Older: true, Bounded: true, Counted: true}, 3, false},
		"as many, older":          {plain, plain, state(4, 1, 10), state(4, 3, 10), nil, Comparison{Older: true, Bounded: true, Counted: true}, 1, false},
		"missing":                 {plain, plain, state(3, 5, 10), state(5, 5, 10), nil, Comparison{Missing: 2, Bounded: true, Counted: true}, 0, false},
		"missing and older":       {plain, plain, state(3, 1, 10), state(5, 5, 10), nil, Comparison{Missing: 2, Older: true, Bounded: true, Counted: true}, 1, false},
		"emptied and yet empty":   {plain, plain, state(0, 0, 10), state(0, 11, 10), nil, both, 0, true},
		"behind":                  {plain, plain, state(8, 1, 8), state(10, 1, 10), nil, Comparison{Behind: 2}, 0, false},
		"never connected":         {plain, plain, stream.State{}, state(10, 1, 10), nil, Comparison{Behind: 10}, 0, false},
		"ahead":                   {plain, plain, state(12, 1, 12), state(10, 1, 10), nil, both, 0, true},
		"ahead with left over":    {plain, plain, state(12, 1, 12), state(5, 1, 10), nil, Comparison{Surplus: 5, Bounded: true, Counted: true}, 5, false},
		"ahead and fewer":         {plain, plain, state(3, 1, 12), state(5, 1, 10), nil, both, 0, true},
		"smaller history":         {stream.Config{MaxMsgsPerSubject: 1}, plain, state(2, 1, 10), state(10, 1, 10), nil, Comparison{Bounded: true}, 0, false},
		"smaller history, behind": {stream.Config{MaxMsgsPerSubject: 1}, plain, state(2, 1, 7), state(10, 1, 10), nil, Comparison{Behind: 3}, 0, false},
		"history both unlimited":  {stream.Config{MaxMsgsPerSubject: -1}, stream.Config{}, state(9, 1, 10), state(10, 1, 10), nil, Comparison{Missing: 1, Bounded: true, Counted: true}, 0, false},
		"filtered by transforms": {
			mirrorOf(plain, stream.Source{SubjectTransforms: []stream.SubjectTransform{{Source: "$KV.a.x.>", Destination: "$KV.a.x.>"}}}), plain,
			state(2, 4, 8), state(10, 1, 10), nil, Comparison{Behind: 2}, 0, false,
		},
		"filtered by subject, at the end": {
			mirrorOf(plain, stream.Source{FilterSubject: "$KV.a.x.>"}), plain,
			state(2, 4, 10), state(10, 1, 10), nil, Comparison{Bounded: true}, 0, false,
		},
		"filtered, more than the whole origin": {
			mirrorOf(plain, stream.Source{FilterSubject: "$KV.a.x"}), plain,
			state(9, 1, 10), state(7, 1, 10), nil, Comparison{Surplus: 2, Bounded: true}, 2, false,
		},
		"filtered, from before the origin's first": {
			mirrorOf(plain, stream.Source{FilterSubject: "$KV.a.x"}), plain,
			state(2, 3, 8), state(7, 4, 10), none, Comparison{Older: true, Bounded: true}, 1, false,
		},
		"filtered, and something is pending": {
			mirrorOf(plain, stream.Source{FilterSubject: "$KV.a.x"}), plain,
			state(9, 1, 8), state(7, 4, 10), new(uint64(10)), Comparison{Behind: 1}, 0, false,
		},
		"begins later, more than the whole origin": {
			mirrorOf(plain, stream.Source{OptStartSeq: 3}), plain,
			state(7, 3, 10), state(6, 1, 10), nil, Comparison{Surplus: 1, Bounded: true}, 1, false,
		},
		"larger history":                                            {stream.Config{MaxMsgsPerSubject: 9}, plain, state(10, 1, 10), state(7, 2, 10), nil, Comparison{}, 0, false},
		"the last has expired":                                      {plain, plain, state(5000, 1, 5000), state(11, 4000, 5002), none, Comparison{Surplus: 4989, Older: true, Bounded: true, Counted: true}, 4989, false},
		"the last has expired, the same":                            {plain, plain, state(5, 1, 10), state(5, 1, 12), none, both, 0, true},
		"the last has expired, missing":                             {plain, plain, state(3, 1, 10), state(8, 1, 12), none, Comparison{Missing: 3, Bounded: true, Counted: true}, 0, false},
		"the last has expired, and the one that is pending has not": {plain, plain, state(10, 1, 10), state(10, 1, 20), new(uint64(19)), Comparison{Behind: 2}, 0, false},
		"one came since the states were read":                       {plain, plain, state(10, 1, 10), state(10, 1, 20), new(uint64(21)), Comparison{Behind: 1}, 0, false},
		"unfiltered mirror": {
			mirrorOf(plain, stream.Source{Name: "KV_a"}), plain,
			state(10, 1, 10), state(10, 1, 10), nil, both, 0, true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Compare(test.mirror, test.origin, test.mirrored, test.original, test.pending)
			if got != test.want {
				t.Errorf("comparison is %+v, want %+v", got, test.want)
			}
			if got.LeftOver() != test.leftOver || got.Same() != test.same {
				t.Errorf("left over %d, same %v; want %d, %v", got.LeftOver(), got.Same(), test.leftOver, test.same)
			}
		})
	}
}

func TestFilters(t *testing.T) {
	tests := map[string]struct {
		mirror *stream.Source
		want   []string
	}{
		"no mirror":  {nil, nil},
		"everything": {&stream.Source{Name: "KV_a"}, nil},
		"subject":    {&stream.Source{FilterSubject: "$KV.a.x"}, []string{"$KV.a.x"}},
		"transforms": {&stream.Source{SubjectTransforms: []stream.SubjectTransform{{Source: "$KV.a.x", Destination: "$KV.a.y"}, {Source: "$KV.a.z", Destination: "$KV.a.z"}}}, []string{"$KV.a.x", "$KV.a.z"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := stream.Config{Mirror: test.mirror}
			got := c.Filters()
			if !slices.Equal(got, test.want) || c.Filtered() != (test.want != nil) {
				t.Errorf("filters are %q (filtered: %v), want %q", got, c.Filtered(), test.want)
			}
		})
	}
}

func TestCompressed(t *testing.T) {
	for text, want := range map[string]bool{"": false, "none": false, "s2": true, "zstd": true} {
		if got := (stream.Config{Compression: text}).Compressed(); got != want {
			t.Errorf("compression %q: %v, want %v", text, got, want)
		}
	}
}
