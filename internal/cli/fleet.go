package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/jsapi"
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
		Findings:  findings,
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

// problemFinding is a problem of reading as a finding about the fleet: what is
// known not to be there is critical, and what is not known is unknown.
func problemFinding(p fleet.Problem) check.Finding {
	f := check.Finding{Code: "unread", Severity: check.Unknown, Message: p.Error(), Remedy: check.ByNothing, Mend: "see to the cause and look again"}
	switch {
	case errors.Is(p, jsapi.ErrNotFound):
		f.Code, f.Severity = "not-found", check.Critical
	case errors.Is(p, kvcfg.ErrNotMirror), errors.Is(p, kvcfg.ErrNotBucket):
		f.Code, f.Severity = "not-a-mirror", check.Critical
	}
	return f
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
