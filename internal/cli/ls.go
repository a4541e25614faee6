package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/render"
)

// lsOptions are the flags of ls.
type lsOptions struct {
	names, tree, dot      bool
	origin, domain, state *string
}

func addLs(app *fisk.Application, rt *runtime, selected func(command)) {
	o := &lsOptions{}
	cmd := app.Command("ls", "Lists all mirrors, those that need attention first").Alias("list")
	cmd.Tag("scope:user", "impact:ro")
	cmd.Flag("names", "Show the names alone").Short('n').UnNegatableBoolVar(&o.names)
	cmd.Flag("tree", "Draw the origins and the mirrors below them").UnNegatableBoolVar(&o.tree)
	cmd.Flag("dot", "Write the same for Graphviz").UnNegatableBoolVar(&o.dot)
	nameFlag(cmd.Flag("origin", "Only mirrors of this bucket"), "origin", &o.origin).PlaceHolder("BUCKET")
	nameFlag(cmd.Flag("origin-domain", "Only mirrors of buckets in this domain, or behind this prefix"), "origin-domain", &o.domain).PlaceHolder("DOMAIN")
	cmd.Flag("state", "Only mirrors in this state (ok, warning, critical, unknown)").PlaceHolder("STATE").HintOptions(severities()...).SetValue(optional[string]{"state", &o.state, parseSeverity})
	jsonFlag(cmd, rt)
	cmd.Action(reports(rt, selected, o.run, rt.finishFleet))
}

func severities() []string {
	return []string{string(check.OK), string(check.Warning), string(check.Critical), string(check.Unknown)}
}

func parseSeverity(s string) (string, error) {
	if !slices.Contains(severities(), s) {
		return "", fmt.Errorf("%q is none of %s", s, strings.Join(severities(), ", "))
	}
	return s, nil
}

func (o *lsOptions) run(ctx context.Context, rt *runtime) (render.Fleet, error) {
	r := render.Fleet{Action: render.Listed}
	if n := count(o.names, o.tree, o.dot, rt.json); n > 1 {
		return r, fail(kindUsage, "", "--names, --tree, --dot and --json exclude each other")
	}
	s, err := rt.connect(ctx)
	if err != nil {
		return r, err
	}
	defer s.conn.Close()
	read, err := rt.readFleet(ctx, s, nil)
	if err != nil {
		return r, fmt.Errorf("cannot list the mirrors: %w", err)
	}
	rt.noteProblems(&r, read)
	var shown []fleet.Mirror
	for _, m := range read.Mirrors {
		member := member(m, s.own.Prefix(), check.Findings(m.Facts, check.DefaultThresholds()))
		if o.wants(member) {
			r.Mirrors = append(r.Mirrors, member)
			shown = append(shown, m)
		}
	}
	if rt.json {
		return r, nil
	}
	return r, o.show(rt.Out, s, r.Mirrors, shown)
}

func count(flags ...bool) int {
	n := 0
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}

// wants says whether a mirror passes the filters.
func (o *lsOptions) wants(m render.Member) bool {
	switch {
	case o.origin != nil && m.Origin.Bucket != *o.origin,
		o.domain != nil && m.Origin.APIPrefix != *o.domain && m.Origin.APIPrefix != kvcfg.DomainPrefix(*o.domain),
		o.state != nil && string(m.State) != *o.state:
		return false
	}
	return true
}

func (o *lsOptions) show(w io.Writer, s *session, members []render.Member, mirrors []fleet.Mirror) error {
	switch {
	case o.names:
		for _, m := range members {
			if _, err := fmt.Fprintln(w, render.Clean(m.Bucket)); err != nil {
				return err
			}
		}
		return nil
	case o.tree:
		return render.Tree(w, topology(s.own.Prefix(), mirrors))
	case o.dot:
		return render.Dot(w, topology(s.own.Prefix(), mirrors))
	case len(members) == 0:
		_, err := fmt.Fprintln(w, "No mirrors found")
		return err
	}
	slices.SortStableFunc(members, func(a, b render.Member) int { return b.State.Compare(a.State) })
	return render.List(w, members, s.style)
}

// topology is who mirrors whom, as far as it was read.
func topology(own string, mirrors []fleet.Mirror) []render.Edge {
	var edges []render.Edge
	for _, m := range mirrors {
		below := render.Node{Bucket: m.Bucket, APIPrefix: own, PerKeyTTL: &m.Facts.Mirror.Config.AllowMsgTTL}
		above := render.Node{Bucket: m.Origin.Bucket, APIPrefix: m.Origin.Prefix(own)}
		if m.Facts.Origin != nil {
			above.PerKeyTTL = &m.Facts.Origin.Config.AllowMsgTTL
		}
		edges = append(edges, render.Edge{Mirror: below, Origin: above})
		for _, b := range m.Facts.Above {
			below = above
			bucket, _ := kvcfg.BucketName(b.Config.Name)
			above = render.Node{Bucket: bucket, APIPrefix: b.Prefix, PerKeyTTL: &b.Config.AllowMsgTTL}
			edges = append(edges, render.Edge{Mirror: below, Origin: above})
		}
	}
	return edges
}
