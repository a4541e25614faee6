package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// domainsFlag declares the flag of commands on many mirrors that says in which domains
// these are.
func domainsFlag(cmd *fisk.CmdClause, rt *runtime) {
	cmd.Flag("domains", "Mirrors in these JetStream domains, with a comma between two (can be repeated)").PlaceHolder("DOMAIN,...").SetValue(domainsValue{&rt.domains})
}

// domainsValue collects the names of domains, each once.
type domainsValue struct{ target *[]string }

// Set reads names with a comma between two.
func (v domainsValue) Set(text string) error {
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if err := kvcfg.ValidateDomain(name); err != nil {
			return invalidFlag("domains", err)
		}
		if !slices.Contains(*v.target, name) {
			*v.target = append(*v.target, name)
		}
	}
	return nil
}

// String is the value as it can be given.
func (v domainsValue) String() string { return strings.Join(*v.target, ",") }

// IsCumulative tells fisk that the flag can be repeated.
func (domainsValue) IsCumulative() bool { return true }

// in is the run as if it were about some of the domains that --domains names, so that what
// it says to run names these; without --domains it is the run itself.
func (rt *runtime) in(domains ...string) *runtime {
	if len(rt.domains) == 0 {
		return rt
	}
	some := *rt
	some.domains = domains
	if len(domains) == 1 {
		some.domains, some.globals.domain = nil, domains[0]
	}
	return &some
}

// named are the domains that the flags and the context name, or one whose name is not
// known.
func (rt *runtime) named() []mirror.Domain {
	if len(rt.domains) == 0 {
		return []mirror.Domain{{Domain: rt.domain}}
	}
	var list []mirror.Domain
	for _, name := range rt.domains {
		list = append(list, mirror.Domain{Domain: name})
	}
	return list
}

// sayNone says that there are no mirrors, and how to name other domains; false where there
// are some, or some could not be read.
func (rt *runtime) sayNone(f mirror.Fleet) bool {
	if len(f.Mirrors) > 0 || len(f.Problems) > 0 {
		return false
	}
	for _, w := range f.Warnings {
		rt.say("%s%s", strings.ToUpper(w.Message[:1]), w.Message[1:])
	}
	if !rt.json {
		rt.showHints(rt.hintsOf(f.Warnings))
	}
	return true
}

// hintsOf are the hints of warnings, each once.
func (rt *runtime) hintsOf(all mirror.Warnings) string {
	var advice []mirror.Advice
	for _, w := range all {
		advice = append(advice, w.Advice...)
	}
	return rt.hints(advice)
}

// noteProblems says what could not be read.
func (rt *runtime) noteProblems(f mirror.Fleet) {
	if rt.json {
		return
	}
	for _, p := range f.Problems {
		fmt.Fprintf(rt.Err, "warning: not read: %s\n", render.Clean(p))
	}
}
