package check

import (
	"slices"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// Mend plans the update that mends the findings with these codes; those that no
// update mends are left out. Only the fields that have to change are touched.
// The errors are those of [kvcfg.CheckMirror] and [stream.ErrMalformed].
func Mend(current stream.Raw, origin stream.Config, codes []string) (kvcfg.Plan, error) {
	have, err := current.Config()
	if err != nil {
		return kvcfg.Plan{}, err
	}
	if err := kvcfg.CheckMirror(have); err != nil {
		return kvcfg.Plan{}, err
	}
	p := kvcfg.Update(current)
	for _, m := range []struct {
		code, field string
		value       any
		source      string
	}{
		{"ttl-off", "allow_msg_ttl", true, kvcfg.FromOrigin},
		{"max-age", "max_age", origin.MaxAge, kvcfg.FromOrigin},
		{"max-age", "duplicate_window", kvcfg.DuplicateWindow(origin.MaxAge, have.DuplicateWindow), kvcfg.FromDerived},
		{"history", "max_msgs_per_subject", stream.Limit(origin.MaxMsgsPerSubject), kvcfg.FromOrigin},
		{"max-value-size", "max_msg_size", stream.Limit(origin.MaxMsgSize), kvcfg.FromOrigin},
		{"rollup-off", "allow_rollup_hdrs", true, kvcfg.FromDerived},
		{"deny-delete-off", "deny_delete", true, kvcfg.FromDerived},
		{"direct-off", "allow_direct", true, kvcfg.FromDerived},
		{"mirror-direct-off", "mirror_direct", true, kvcfg.FromDerived},
	} {
		if slices.Contains(codes, m.code) {
			p.Set(m.field, m.value, m.source)
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
