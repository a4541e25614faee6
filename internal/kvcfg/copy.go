package kvcfg

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"

	"nats-kvmirror/internal/stream"
)

// Metadata keys of a bucket that was made from a mirror; their value is the
// mirror's name.
const (
	// CopyOf stands on a copy that is not finished.
	CopyOf = "nats-kvmirror.copy-of"
	// CopiedFrom stands on one that is.
	CopiedFrom = "nats-kvmirror.copied-from"
)

// sourceHeaderSize is more than what sourcing adds to a message of a key that is
// not very long: a header with the stream, the sequence, both sides of the
// transform and the subject (server/stream.go, genSourceHeader).
const sourceHeaderSize = 512

// maxSourceHeaderSize is more than what it adds to any message: the names are
// 255 bytes at the most (server/stream.go, JSMaxNameLen), and subjects what a
// line of the protocol takes, by default 4096 (server/const.go,
// MAX_CONTROL_LINE_SIZE).
const maxSourceHeaderSize = 8 << 10

// Copy is a bucket that is made of what a mirror holds.
type Copy struct {
	Into      string // its name
	StoredAs  string // the bucket as whose keys the mirror's messages are stored
	Sourced   bool   // it sources the mirror; otherwise it mirrors the mirror
	MarkerTTL *time.Duration
}

// Plan is the configuration with which the copy begins: the mirror's, but for
// its name, its mark, and where its messages come from. The keys get the copy's
// own subject on the way. It republishes nothing, since all that is copied would
// be republished, and what the mirror goes on to take twice. One that sources may
// hold larger messages until [Copy.Finish], since servers count the header that
// sourcing adds: a value of the largest size would stop it. unlimited says that
// the limits of the whole bucket were left out, because what the mirror holds
// would not fit with the names of the copy, which would then stand still.
//
// Errors wrap [ErrInvalidName], [ErrNotBucket], [ErrNotMirror], [ErrNoHistory],
// [ErrMarkerNeedsTTL], [ErrInvalidSetting] or [stream.ErrMalformed].
func (c Copy) Plan(mirror stream.Raw, holds stream.State) (config stream.Raw, unlimited bool, err error) {
	have, err := mirror.Config()
	if err != nil {
		return nil, false, err
	}
	if err := CheckMirror(have); err != nil {
		return nil, false, err
	}
	if err := ValidateBucket(c.Into); err != nil {
		return nil, false, err
	}
	if have.MaxMsgsPerSubject < 1 {
		return nil, false, fmt.Errorf("bucket %q: %w", DisplayName(have.Name), ErrNoHistory)
	}
	if err := checkMarkerTTL(have, c.MarkerTTL); err != nil {
		return nil, false, err
	}
	config = maps.Clone(mirror)
	for _, field := range []string{"subjects", "mirror", "sources", "republish", "mirror_direct", "duplicate_window"} {
		delete(config, field)
	}
	config.Set("name", StreamName(c.Into))
	source := stream.Source{Name: have.Name, SubjectTransforms: []stream.SubjectTransform{{Source: Subject(c.StoredAs), Destination: Subject(c.Into)}}}
	if c.Sourced {
		config.Set("sources", []stream.Source{source})
		if have.MaxMsgSize > 0 {
			config.Set("max_msg_size", min(have.MaxMsgSize+maxSourceHeaderSize, math.MaxInt32))
		}
	} else {
		config.Set("mirror", source)
	}
	if c.fits(have, holds) {
		return config, false, c.mark(config, have)
	}
	config.Set("max_bytes", -1)
	return config, true, c.mark(config, have)
}

// fits says whether what the mirror holds fits into a copy with its limits.
func (c Copy) fits(have stream.Config, holds stream.State) bool {
	more := uint64(max(len(c.Into)-len(c.StoredAs), 0))
	if c.Sourced {
		more += sourceHeaderSize
	}
	return have.MaxBytes <= 0 || holds.Bytes+holds.Msgs*more <= uint64(have.MaxBytes)
}

func (c Copy) mark(config stream.Raw, mirror stream.Config) error {
	for key := range mirror.Metadata {
		if strings.HasPrefix(key, stream.ReservedMetadata) || key == CopiedFrom || key == ChosenKey {
			if err := config.SetIn("metadata", key, nil); err != nil {
				return err
			}
		}
	}
	return config.SetIn("metadata", CopyOf, DisplayName(mirror.Name))
}

// Unfinished says whether a stream is an unfinished copy of this mirror.
func Unfinished(c stream.Config, mirror string) bool {
	return c.Metadata[CopyOf] == mirror
}

// Filling says whether an unfinished copy still takes messages.
func Filling(c stream.Config) bool { return c.Mirror != nil || len(c.Sources) > 0 }

// Detach plans that a copy takes no more. It gets a subject that no client of a
// bucket uses, so that nothing comes into it before it is proved.
func Detach(current stream.Raw) (Plan, error) {
	have, err := current.Config()
	if err != nil {
		return Plan{}, err
	}
	p := Update(current)
	p.Set("subjects", []string{have.Name}, FromDerived)
	p.Set("mirror_direct", false, FromDerived)
	p.fitDuplicateWindow(have)
	for _, field := range []string{"mirror", "sources"} {
		p.Set(field, nil, FromDerived)
		p.Config[field] = json.RawMessage("null")
	}
	return p, nil
}

// Finish plans that a copy that was detached becomes a bucket, with values no
// larger than its mirror's.
func (c Copy) Finish(current stream.Raw, mirror stream.Config) (Plan, error) {
	have, err := current.Config()
	if err != nil {
		return Plan{}, err
	}
	p := Update(current)
	p.Set("subjects", []string{Subject(c.Into)}, FromDerived)
	if mirror.MaxMsgSize > 0 {
		p.Set("max_msg_size", mirror.MaxMsgSize, FromDerived)
	}
	if c.MarkerTTL != nil {
		p.Set("subject_delete_marker_ttl", *c.MarkerTTL, FromFlag)
	}
	metadata := maps.Clone(have.Metadata)
	metadata[CopiedFrom] = metadata[CopyOf]
	delete(metadata, CopyOf)
	p.Set("metadata", metadata, FromDerived)
	return p, nil
}
