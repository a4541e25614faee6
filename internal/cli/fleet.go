package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
)

// readFleet reads the named mirrors, or all when none is named, with a progress
// bar when it takes long.
func (rt *runtime) readFleet(ctx context.Context, s *session, buckets []string) (fleet.Fleet, error) {
	for _, bucket := range buckets {
		if err := kvcfg.ValidateBucket(bucket); err != nil {
			return fleet.Fleet{}, err
		}
	}
	bar := newSlowBar(rt, s.style, "Reading mirrors")
	defer bar.stop()
	r := &fleet.Reader{Conn: s.conn, Own: s.own, Progress: func(done, known int) { bar.at(uint64(done), uint64(known)) }}
	read := r.All
	if len(buckets) > 0 {
		read = func(ctx context.Context) (fleet.Fleet, error) {
			return r.Named(ctx, slices.Compact(slices.Sorted(slices.Values(buckets))))
		}
	}
	f, err := read(ctx)
	bar.done = err == nil
	return f, err
}

// noteProblems says what could not be read.
func (rt *runtime) noteProblems(r *render.Fleet, read fleet.Fleet) {
	for _, p := range read.Problems {
		r.Problems = append(r.Problems, p.Error())
		if !rt.json {
			fmt.Fprintf(rt.Err, "warning: not read: %s\n", render.Clean(p.Error()))
		}
	}
}

// member says of a mirror what was read and found.
func member(m fleet.Mirror, own string, findings []check.Finding) render.Member {
	f := m.Facts
	member := render.Member{
		Bucket:    m.Bucket,
		Stream:    f.Mirror.Config.Name,
		Origin:    render.MemberOrigin{Bucket: m.Origin.Bucket, Stream: m.Origin.Stream(), APIPrefix: m.Origin.Prefix(own)},
		PerKeyTTL: f.Mirror.Config.AllowMsgTTL,
		Values:    f.Mirror.State.Msgs,
		Bytes:     f.Mirror.State.Bytes,
		LastSeq:   f.Mirror.State.LastSeq,
		State:     check.Worst(findings),
		Findings:  withFixes(findings),
	}
	if f.Mirror.Mirror != nil {
		member.Active = &f.Mirror.Mirror.Active
	}
	if c, ok := f.Compare(); ok {
		member.Behind = &c.Behind
		member.Origin.Reachable = true
		member.Origin.PerKeyTTL = &f.Origin.Config.AllowMsgTTL
		member.Origin.LastSeq = &f.Origin.State.LastSeq
	}
	return member
}

// withFixes says in each finding what to do about it.
func withFixes(findings []check.Finding) []check.Finding {
	for i := range findings {
		findings[i].Fix = fix(findings[i])
	}
	return findings
}

// fix is the command that fixes a finding, and the advice.
func fix(f check.Finding) string {
	var parts []string
	switch f.Remedy {
	case check.Repair:
		parts = append(parts, "run `sync`")
	case check.Prune:
		parts = append(parts, "run `sync --content`")
	case check.Recreate:
		command := "run `sync --recreate`"
		if f.Code == "ttl-origin-ignored" {
			command = "run `sync --recreate --no-allow-msg-ttl`"
		}
		parts = append(parts, command)
	}
	if f.Advice != "" {
		parts = append(parts, f.Advice)
	}
	return strings.Join(parts, "; ")
}

// finishFleet shows what a command on many mirrors did and returns the exit
// code: like finish.
func (rt *runtime) finishFleet(r render.Fleet, err error) int {
	var code int
	r.Action, r.Error, code = rt.outcome(r.Action, err)
	return rt.document(r, r.Action, code)
}

// plural is a count with its word, or with the one for many.
func plural(n int, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return fmt.Sprintf("%d %s", n, many[0])
	}
	return fmt.Sprintf("%d %ss", n, one)
}
