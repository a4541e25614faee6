package kvcfg

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// ErrRenames is returned for a mirror that renames keys, whose filters or origin
// cannot be changed without losing that.
var ErrRenames = errors.New("the mirror renames keys")

// Recreation is what a mirror that is deleted and created again is to have other
// than before.
type Recreation struct {
	Origin      Origin   // that it is to have, which may be the one that it has
	Filters     []string // keys to mirror; nil for those of before
	AllowMsgTTL *bool    // nil for what it had, or on if the origin has it
}

// Recreate plans the mirror that takes the place of current. All that the
// recreation does not name stays as it was, also fields that this program does
// not know. found is the configuration of the recreation's origin. The errors are
// those of [CheckMirror] and [ValidateFilter], [ErrRenames] and [ErrMalformed].
func Recreate(current Raw, r Recreation, found Config) (Plan, error) {
	have, err := current.Config()
	if err != nil {
		return Plan{}, err
	}
	was, err := OriginOf(have)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Config: maps.Clone(current)}
	put := p.changer(current)
	if r.Origin != was || r.Filters != nil {
		filters, err := filtersFor(have, was, r.Filters)
		if err != nil {
			return Plan{}, err
		}
		source := r.Origin.source(filters)
		if r.Origin == was {
			source.OptStartSeq, source.OptStartTime = have.Mirror.OptStartSeq, have.Mirror.OptStartTime
		}
		put("mirror", source, FromFlag)
		// Beside its origin, the server sees to it itself (server/stream.go).
		put("mirror_direct", r.Origin.External() || found.AllowDirect, FromDerived)
	}
	switch {
	case r.AllowMsgTTL != nil:
		put("allow_msg_ttl", *r.AllowMsgTTL, FromFlag)
	case found.AllowMsgTTL:
		put("allow_msg_ttl", true, FromOrigin)
	}
	return p, p.Config.forCreation()
}

// filtersFor are the keys that a mirror is to take: those that are wished for, or
// those that it takes.
func filtersFor(have Config, was Origin, wished []string) ([]string, error) {
	for _, f := range wished {
		if err := ValidateFilter(f); err != nil {
			return nil, err
		}
	}
	if rename, ok := have.Rename(); !ok || rename != nil {
		return nil, fmt.Errorf("bucket %q: %w", displayBucket(have.Name), ErrRenames)
	}
	if wished != nil {
		return wished, nil
	}
	var filters []string
	for _, subject := range have.Filters() {
		key, ok := strings.CutPrefix(subject, "$KV."+was.Bucket+".")
		if !ok {
			return nil, fmt.Errorf("bucket %q: %w: it takes %q", displayBucket(have.Name), ErrRenames, subject)
		}
		filters = append(filters, key)
	}
	return filters, nil
}

// forCreation takes away what a server says of a stream of its own and what it
// refuses or drops when a mirror is created.
func (r Raw) forCreation() error {
	delete(r, "duplicate_window")
	if isNull(r["metadata"]) {
		return nil
	}
	metadata, err := ParseRaw(r["metadata"])
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	maps.DeleteFunc(metadata, func(k string, _ json.RawMessage) bool { return strings.HasPrefix(k, ReservedMetadata) })
	if len(metadata) == 0 {
		delete(r, "metadata")
	} else {
		r.set("metadata", metadata)
	}
	return nil
}

// ForCreation is a configuration as it is sent to create the mirror anew. The
// error wraps [ErrMalformed].
func (r Raw) ForCreation() (Raw, error) {
	c := maps.Clone(r)
	return c, c.forCreation()
}
