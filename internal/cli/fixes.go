package cli

import (
	"fmt"
	"slices"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

const (
	// fixedByName is how many mirrors a command that fixes something names.
	fixedByName = 10
	// fixesShown is how many commands are shown that fix the same of several mirrors.
	fixesShown = 3
)

// fixer says what fixes a finding that several mirrors have alike: a command in each
// domain, or, where these are many, one for all. named are the mirrors that the command
// line names; with none it means all.
func (rt *runtime) fixer(named []string) render.Fixer {
	return func(f check.Finding, of []mirror.Member) []string {
		var lines []string
		switch {
		case len(of) == 0:
		case len(of) > 1 && (f.Remedy == check.Repair || f.Remedy == check.Prune):
			lines = rt.fixTogether(f, of, len(named) == 0)
		default:
			lines = rt.fixEach(f, of)
		}
		if f.Advice != "" {
			lines = append(lines, f.Advice)
		}
		return lines
	}
}

// fixTogether are the commands that repair, or prune, several mirrors.
func (rt *runtime) fixTogether(f check.Finding, of []mirror.Member, all bool) []string {
	verb, only := string(f.Remedy), []string{}
	if f.Remedy == check.Repair {
		only = []string{"--only", f.Code}
	}
	var domains []string
	buckets := map[string][]string{}
	for _, m := range of {
		if buckets[m.Domain] == nil {
			domains = append(domains, m.Domain)
		}
		buckets[m.Domain] = append(buckets[m.Domain], m.Bucket)
	}
	if all && (len(of) > fixedByName || len(domains) > fixesShown) {
		return []string{rt.in(domains...).command(slices.Concat([]string{verb, "--all"}, only)...)}
	}
	var lines []string
	for _, domain := range domains {
		lines = append(lines, rt.in(domain).command(slices.Concat([]string{verb}, buckets[domain], only)...))
	}
	return lines
}

// fixEach are the commands that fix mirrors one by one, the first of them.
func (rt *runtime) fixEach(f check.Finding, of []mirror.Member) []string {
	var lines []string
	for i, m := range of {
		args := fixArgs(f, m.Bucket)
		switch {
		case args == nil:
			return nil
		case i == fixesShown:
			return append(lines, fmt.Sprintf("and so for %d more", len(of)-i))
		}
		lines = append(lines, rt.in(m.Domain).command(args...))
	}
	return lines
}

// fixArgs is the command that fixes a finding of a mirror; nil when none does.
func fixArgs(f check.Finding, bucket string) []string {
	switch {
	case f.Code == "discard-old" && f.Severity != check.OK:
		return []string{"edit", bucket, "--follow", "max-bucket-size"}
	case f.Remedy == check.None:
		return nil
	case f.Code == "ttl-origin-ignored":
		return []string{string(f.Remedy), bucket, "--no-allow-msg-ttl"}
	}
	return []string{string(f.Remedy), bucket}
}

// fix is the command that fixes a finding of a mirror; empty when none does.
func (rt *runtime) fix(f check.Finding, bucket string) []string {
	if args := fixArgs(f, bucket); args != nil {
		return rt.argv(args...)
	}
	return []string{}
}
