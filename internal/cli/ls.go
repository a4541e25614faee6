package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
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
	domainsFlag(cmd, rt)
	outputFlags(cmd, rt)
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

func (o *lsOptions) run(ctx context.Context, rt *runtime) (mirror.Fleet, error) {
	r := mirror.Fleet{Action: mirror.Listed}
	if n := count(o.names, o.tree, o.dot, rt.json); n > 1 {
		return r, fail(kindUsage, "", "--names, --tree, --dot and --json exclude each other")
	}
	c, err := rt.connect(ctx)
	if err != nil {
		return r, err
	}
	defer c.Close()
	f, err := c.List(ctx)
	if err != nil && len(f.Problems) == 0 {
		return *f, err
	}
	rt.noteProblems(*f)
	none := !o.names && !o.tree && !o.dot && rt.sayNone(*f)
	f.Mirrors = slices.DeleteFunc(f.Mirrors, func(m mirror.Member) bool { return !o.wants(m) })
	if rt.json || none {
		return *f, err
	}
	rt.warn(f.Warnings, 0)
	return *f, errors.Join(o.show(rt, *f), err)
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
func (o *lsOptions) wants(m mirror.Member) bool {
	switch {
	case o.origin != nil && m.Origin.Bucket != *o.origin,
		o.domain != nil && m.Origin.Domain != *o.domain && m.Origin.APIPrefix != *o.domain,
		o.state != nil && string(m.State) != *o.state:
		return false
	}
	return true
}

func (o *lsOptions) show(rt *runtime, f mirror.Fleet) error {
	switch {
	case o.names:
		for _, m := range f.Mirrors {
			name := render.Clean(m.Bucket)
			if m.Several {
				name = render.Clean(m.Domain) + "\t" + name
			}
			if _, err := fmt.Fprintln(rt.Out, name); err != nil {
				return err
			}
		}
		return nil
	case o.tree:
		return render.Tree(rt.Out, f.Mirrors, rt.style)
	case o.dot:
		return render.Dot(rt.Out, f.Mirrors)
	case len(f.Mirrors) == 0:
		found := "No mirrors found\n"
		if len(f.Problems) > 0 {
			found = "No mirrors could be read\n"
		}
		_, err := io.WriteString(rt.Out, found)
		return err
	}
	slices.SortStableFunc(f.Mirrors, func(a, b mirror.Member) int { return b.State.Compare(a.State) })
	return render.List(rt.Out, f.Mirrors, rt.style)
}
