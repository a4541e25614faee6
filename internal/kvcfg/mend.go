package kvcfg

import (
	"maps"
	"slices"
)

// Mend plans the update that mends the findings with these codes; those that no
// update mends are left out. Only the fields that have to change are touched.
// The errors are those of [CheckMirror] and [ErrMalformed].
func Mend(current Raw, origin Config, codes []string) (Plan, error) {
	have, err := current.Config()
	if err != nil {
		return Plan{}, err
	}
	if err := CheckMirror(have); err != nil {
		return Plan{}, err
	}
	p := Plan{Config: maps.Clone(current)}
	put := p.changer(current)
	for _, m := range []struct {
		code, field string
		value       any
		source      string
	}{
		{"ttl-off", "allow_msg_ttl", true, FromOrigin},
		{"max-age", "max_age", origin.MaxAge, FromOrigin},
		{"max-age", "duplicate_window", duplicateWindow(origin.MaxAge, have.DuplicateWindow), FromDerived},
		{"history", "max_msgs_per_subject", limit(origin.MaxMsgsPerSubject), FromOrigin},
		{"max-value-size", "max_msg_size", limit(origin.MaxMsgSize), FromOrigin},
		{"rollup-off", "allow_rollup_hdrs", true, FromDerived},
		{"deny-delete-off", "deny_delete", true, FromDerived},
		{"direct-off", "allow_direct", true, FromDerived},
		{"mirror-direct-off", "mirror_direct", true, FromDerived},
	} {
		if slices.Contains(codes, m.code) {
			put(m.field, m.value, m.source)
		}
	}
	return p, nil
}

// Mendable are the codes of the findings that an update mends and that are worth
// it, or that are named.
func Mendable(findings []Finding, named []string) []string {
	var codes []string
	for _, f := range findings {
		if f.Remedy == ByUpdate && (f.Severity != OK || slices.Contains(named, f.Code)) {
			codes = append(codes, f.Code)
		}
	}
	return codes
}

// RawOf spells a configuration that was decoded. What [Config] does not know is
// not in it, so it is fit for showing a plan and never for sending one.
func RawOf(c Config) Raw {
	raw, err := ParseRaw(mustJSON(c))
	if err != nil {
		panic("kvcfg: a Config is not an object: " + err.Error())
	}
	return raw
}
