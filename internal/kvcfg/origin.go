package kvcfg

import (
	"fmt"
	"slices"
	"strings"

	"nats-kvmirror/internal/stream"
)

// Origin names the bucket that a mirror reads and where it is found.
type Origin struct {
	// Bucket is the origin's name, without the prefix of its stream.
	Bucket string
	// APIPrefix is the prefix of the JetStream API through which the mirror
	// reads; empty when origin and mirror share one.
	APIPrefix string
	// DeliverPrefix is the prefix of the subjects on which messages from
	// another account arrive; empty when they are not mapped.
	DeliverPrefix string
}

// DomainPrefix is the prefix of the JetStream API of a domain.
func DomainPrefix(domain string) string { return "$JS." + domain + ".API" }

// DomainOf is the domain that a prefix of the JetStream API leads to; ok is false when
// it is no domain's.
func DomainOf(prefix string) (domain string, ok bool) {
	rest, begins := strings.CutPrefix(prefix, "$JS.")
	domain, ends := strings.CutSuffix(rest, ".API")
	if !begins || !ends || domain == "" {
		return "", false
	}
	return domain, true
}

// Domain is the domain whose prefix the origin is behind; ok is false where it is behind
// none, or another prefix, or messages arrive on one, which no domain needs.
func (o Origin) Domain() (domain string, ok bool) {
	if o.DeliverPrefix != "" {
		return "", false
	}
	return DomainOf(o.APIPrefix)
}

// External says whether the origin is behind another prefix than the mirror.
func (o Origin) External() bool { return o.APIPrefix != "" }

// Stream is the name of the origin's stream.
func (o Origin) Stream() string { return StreamName(o.Bucket) }

// Prefix is the prefix under which the origin is read by someone who reads the
// mirror under own.
func (o Origin) Prefix(own string) string {
	if o.External() {
		return o.APIPrefix
	}
	return own
}

// String names the origin for messages, as `bucket "demo" at "$JS.hub.API"`.
func (o Origin) String() string {
	if o.External() {
		return fmt.Sprintf("bucket %q at %q", o.Bucket, o.APIPrefix)
	}
	return fmt.Sprintf("bucket %q", o.Bucket)
}

// source is the origin as a stream configuration spells it.
func (o Origin) source(filters []string) stream.Source {
	s := stream.Source{Name: o.Stream()}
	if o.External() {
		s.External = &stream.External{APIPrefix: o.APIPrefix, DeliverPrefix: o.DeliverPrefix}
	}
	if slices.Contains(filters, ">") {
		filters = nil // it is none
	}
	for _, f := range filters {
		subject := "$KV." + o.Bucket + "." + f
		s.SubjectTransforms = append(s.SubjectTransforms, stream.SubjectTransform{Source: subject, Destination: stream.IdentityTransform(subject)})
	}
	return s
}

// OriginOf is the origin of a mirror. The error wraps [ErrNotBucket] or
// [ErrNotMirror].
func OriginOf(c stream.Config) (Origin, error) {
	if err := CheckMirror(c); err != nil {
		return Origin{}, err
	}
	o := Origin{Bucket: DisplayName(c.Mirror.Name)}
	if c.Mirror.External != nil {
		o.APIPrefix = c.Mirror.External.APIPrefix
		o.DeliverPrefix = c.Mirror.External.DeliverPrefix
	}
	return o, nil
}
