package mirror

// notCompared says that nothing is known of a mirror's messages.
func notCompared(m Member) bool {
	return m.Content == nil || m.Err != nil || m.Content.OriginUnreadable != ""
}

// unverified is the failure that some mirrors do not hold what their origins hold, or
// are not known to; nil when all do.
func (p *PrunePlan) unverified() error {
	var differ, gone int
	var messages uint64
	for _, m := range p.Mirrors {
		switch {
		case m.endedWithout() || notCompared(m) || m.Content.Verdict == Identical || m.Content.Verdict == SameSequences:
		case !p.gone && m.Purge != nil && m.Purge.Gone > 0:
			gone++
			messages += m.Purge.Gone
		default:
			differ++
		}
	}
	var errs []error
	if gone > 0 {
		errs = append(errs, fail(ErrIncomplete, "%s left alone on %s: gone at the origin without a trace, and maybe the last copies",
			count(messages, "message is", "messages are"), count(gone, "mirror")).advise(Advice{Code: PruneGone}))
	}
	if differ > 0 {
		errs = append(errs, fail(ErrIncomplete, "%s cannot be made to hold what the origin holds by purging", count(differ, "mirror")).advise(Advice{Code: SeeRemedies}))
	}
	return together(append(errs, p.notCompared())...)
}

// notCompared is the failure that some mirrors could not be compared; nil when all
// could.
func (p *PrunePlan) notCompared() error {
	unknown := 0
	for _, m := range p.Mirrors {
		if !m.endedWithout() && notCompared(m) {
			unknown++
		}
	}
	if unknown == 0 {
		return nil
	}
	return fail(ErrIncomplete, "%s could not be compared with the origin, so nothing is known", count(unknown, "mirror")).advise(Advice{Code: RunAgainLater})
}

// endedWithout says of a mirror that was to be pruned that it was not: the summary has
// it.
func (m *Member) endedWithout() bool {
	return m.Purge != nil && (m.Action == Failed || m.Action == Skipped || m.Action == Unknown)
}
