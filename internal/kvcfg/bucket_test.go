package kvcfg

import (
	"errors"
	"strings"
	"testing"

	"nats-kvmirror/internal/stream"
	"nats-kvmirror/internal/stream/streamtest"
)

func TestValidateNames(t *testing.T) {
	tests := map[string]struct {
		validate func(string) error
		good     []string
		bad      []string
	}{
		"bucket": {
			ValidateBucket,
			[]string{"a", "demo", "Demo_1-x", "-", "_", "0", "KV_demo", strings.Repeat("a", 252)},
			[]string{"", "a.b", "a b", "a*", ">", "a/b", "ü", "a\n", "\na", "a\x00", "$KV", strings.Repeat("a", 253), strings.Repeat("ü", 200)},
		},
		"filter": {
			ValidateFilter,
			[]string{">", "*", "a", "a.b", "a.*", "*.a", "a.*.b", "a.>", "*.>", "*.*", "a/b=c_d-e", "A.0.>"},
			[]string{"", ".", "a.", ".a", "a..b", ">.a", "a.>.b", ">>", "a>", "a*", "*a", "**", "a.*b", "a b", "a\n", "ü", "$KV.demo.>", "a.>."},
		},
		"domain": {
			ValidateDomain,
			[]string{"hub", "HUB-1", "ü", "a_b", "$x"},
			[]string{"", "a.b", ".", "*", "a*", ">", "a>", "a b", " ", "a\tb", "a\n", "a\x00", "a\x7f"},
		},
		"prefix": {
			ValidatePrefix,
			[]string{"$JS.API", "$JS.hub.API", "JSC", "deliver.site-1"},
			[]string{"", ".", "$JS.", ".API", "a..b", "a.*", "a.>", "a b.c", "a.b\n"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, s := range test.good {
				if err := test.validate(s); err != nil {
					t.Errorf("%q: %v", s, err)
				}
			}
			for _, s := range test.bad {
				err := test.validate(s)
				if !errors.Is(err, ErrInvalidName) {
					t.Errorf("%q: error is %v, want one that is %v", s, err, ErrInvalidName)
				} else if strings.Contains(err.Error(), "\n") {
					t.Errorf("%q: the error has more than one line: %v", s, err)
				}
			}
		})
	}
}

func TestNames(t *testing.T) {
	if got := StreamName("demo"); got != "KV_demo" {
		t.Errorf("StreamName is %q", got)
	}
	if got := Subject("demo"); got != "$KV.demo.>" {
		t.Errorf("Subject is %q", got)
	}
	if bucket, ok := BucketName("KV_KV_x"); bucket != "KV_x" || !ok {
		t.Errorf("BucketName of KV_KV_x is %q, %v", bucket, ok)
	}
	if _, ok := BucketName("kv_demo"); ok {
		t.Error("kv_demo is no bucket's stream")
	}
}

func TestCheck(t *testing.T) {
	tests := map[string]struct {
		config stream.Config
		bucket error // of CheckBucket
		mirror error // of CheckMirror
	}{
		"bucket":               {stream.Config{Name: "KV_a", MaxMsgsPerSubject: 1, Subjects: []string{"$KV.a.>"}}, nil, ErrNotMirror},
		"more subjects":        {stream.Config{Name: "KV_a", MaxMsgsPerSubject: 64, Subjects: []string{"x", "$KV.a.>"}}, nil, ErrNotMirror},
		"mirror":               {stream.Config{Name: "KV_a", MaxMsgsPerSubject: 1, Mirror: &stream.Source{Name: "KV_b"}}, nil, nil},
		"mirror without bound": {stream.Config{Name: "KV_a", MaxMsgsPerSubject: -1, Mirror: &stream.Source{Name: "KV_b"}}, nil, nil},
		"another stream":       {stream.Config{Name: "ORDERS", MaxMsgsPerSubject: 1, Subjects: []string{"$KV.a.>"}}, ErrNotBucket, ErrNotBucket},
		"no name":              {stream.Config{}, ErrNotBucket, ErrNotBucket},
		"prefix alone":         {stream.Config{Name: "KV_", MaxMsgsPerSubject: 1, Subjects: []string{"$KV..>"}}, ErrNotBucket, ErrNotBucket},
		"impossible name":      {stream.Config{Name: "KV_a b", MaxMsgsPerSubject: 1, Subjects: []string{"$KV.a b.>"}}, ErrNotBucket, ErrNotBucket},
		"no bound":             {stream.Config{Name: "KV_a", MaxMsgsPerSubject: -1, Subjects: []string{"$KV.a.>"}}, ErrNotBucket, ErrNotBucket},
		"zero bound":           {stream.Config{Name: "KV_a", Subjects: []string{"$KV.a.>"}}, ErrNotBucket, ErrNotBucket},
		"other subjects":       {stream.Config{Name: "KV_a", MaxMsgsPerSubject: 1, Subjects: []string{"$KV.b.>", "$KV.a.*"}}, ErrNotBucket, ErrNotBucket},
		"promoted":             {stream.Config{Name: "KV_a", MaxMsgsPerSubject: 1, Subjects: []string{"KV_a"}}, ErrNotBucket, ErrNotBucket},
		"mirror of a stream":   {stream.Config{Name: "KV_a", MaxMsgsPerSubject: 1, Mirror: &stream.Source{Name: "ORDERS"}}, ErrNotBucket, ErrNotBucket},
		"mirror of no name":    {stream.Config{Name: "KV_a", MaxMsgsPerSubject: 1, Mirror: &stream.Source{}}, ErrNotBucket, ErrNotBucket},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			wantErr(t, CheckBucket(test.config), test.bucket)
			wantErr(t, CheckMirror(test.config), test.mirror)
		})
	}
}

func TestOriginOf(t *testing.T) {
	tests := map[string]struct {
		file string
		want Origin
	}{
		"2.10":   {"mirror-2.10.29.json", Origin{"demo", "$JS.hub.API", ""}},
		"2.11":   {"mirror-2.11.6.json", Origin{"demo", "$JS.hub.API", ""}},
		"2.15":   {"mirror-2.15.2.json", Origin{"demo", "$JS.hub.API", ""}},
		"future": {"mirror-odd.json", Origin{"demo", "$JS.hub.API", ""}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := OriginOf(streamtest.Typed(t, streamtest.Recorded(t, test.file)))
			if err != nil || got != test.want {
				t.Errorf("origin is %+v, %v; want %+v", got, err, test.want)
			}
		})
	}

	local := stream.Config{Name: "KV_b", Mirror: &stream.Source{Name: "KV_a"}}
	if got, err := OriginOf(local); err != nil || got != (Origin{Bucket: "a"}) {
		t.Errorf("origin beside its mirror is %+v, %v", got, err)
	}
	account := stream.Config{Name: "KV_b", Mirror: &stream.Source{Name: "KV_a", External: &stream.External{APIPrefix: "JSC", DeliverPrefix: "deliver.b"}}}
	if got, err := OriginOf(account); err != nil || got != (Origin{"a", "JSC", "deliver.b"}) {
		t.Errorf("origin in another account is %+v, %v", got, err)
	}

	_, err := OriginOf(stream.Config{Name: "KV_a", MaxMsgsPerSubject: 1, Subjects: []string{"$KV.a.>"}})
	wantErr(t, err, ErrNotMirror)
	_, err = OriginOf(stream.Config{Name: "x"})
	wantErr(t, err, ErrNotBucket)
}

func TestOrigin(t *testing.T) {
	local, far := Origin{Bucket: "a"}, Origin{Bucket: "a", APIPrefix: DomainPrefix("hub")}
	if local.External() || !far.External() {
		t.Errorf("External is %v beside the mirror and %v in a domain", local.External(), far.External())
	}
	if got := local.Prefix("$JS.site.API"); got != "$JS.site.API" {
		t.Errorf("prefix beside the mirror is %q", got)
	}
	if got := far.Prefix("$JS.site.API"); got != "$JS.hub.API" {
		t.Errorf("prefix in a domain is %q", got)
	}
	if got := local.String(); got != `bucket "a"` {
		t.Errorf("local origin is called %s", got)
	}
	if got := far.String(); got != `bucket "a" at "$JS.hub.API"` {
		t.Errorf("far origin is called %s", got)
	}
	if got := far.Stream(); got != "KV_a" {
		t.Errorf("stream is %q", got)
	}
}
