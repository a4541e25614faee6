package check

import (
	"slices"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// setting is a field of a configuration, what it is to be, and why: a source of
// [kvcfg.Change].
type setting struct {
	field  string
	value  any
	source string
}

// turnsOn is the fix of a finding that a switch is off which every mirror needs.
func turnsOn(field string) func(mirror, origin stream.Config) []setting {
	return func(stream.Config, stream.Config) []setting {
		return []setting{{field, true, kvcfg.FromDerived}}
	}
}

// follows is the fix of a finding that the mirror does not follow its origin in these
// fields. What was chosen stays.
func follows(fields ...string) func(mirror, origin stream.Config) []setting {
	return func(mirror, origin stream.Config) []setting {
		differs, _ := kvcfg.Followed(mirror, origin)
		var asked []string
		for _, c := range differs {
			if slices.Contains(fields, c.Field) {
				asked = append(asked, c.Field)
			}
		}
		var settings []setting
		for _, c := range kvcfg.Follow(mirror, origin, asked...) {
			settings = append(settings, setting{c.Field, c.To, c.Source})
		}
		return settings
	}
}

// Fix plans the update that fixes the findings with these codes; those that no
// update fixes are left out. Only the fields that have to change are touched.
// The errors are those of [kvcfg.CheckMirror] and [stream.ErrMalformed].
func Fix(current stream.Raw, origin stream.Config, codes []string) (kvcfg.Plan, error) {
	mirror, err := current.Config()
	if err != nil {
		return kvcfg.Plan{}, err
	}
	if err := kvcfg.CheckMirror(mirror); err != nil {
		return kvcfg.Plan{}, err
	}
	p := kvcfg.Update(current)
	for _, r := range rows() {
		if r.fix == nil || !slices.Contains(codes, r.Code) {
			continue
		}
		for _, s := range r.fix(mirror, origin) {
			p.Set(s.field, s.value, s.source)
		}
	}
	return p, nil
}

// FixableCodes are the codes of the findings that an update can fix.
func FixableCodes() []string {
	var codes []string
	for _, r := range rows() {
		if r.Remedy == Repair {
			codes = append(codes, r.Code)
		}
	}
	return codes
}

// Fixable are the codes of the findings that an update fixes and that matter, or
// that are named.
func Fixable(findings []Finding, named []string) []string {
	var codes []string
	for _, f := range findings {
		if f.Remedy == Repair && (f.Severity != OK || slices.Contains(named, f.Code)) {
			codes = append(codes, f.Code)
		}
	}
	return codes
}
