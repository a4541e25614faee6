package cli

import (
	"strings"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
)

// originFlags are the flags that name the origin of a mirror and what to take of
// it.
type originFlags struct {
	mirror, domain      *string
	apiPrefix, delivers *string
	filters             []string
}

// addTo declares the flags, of which the first is --mirror, with the command's own help.
func (f *originFlags) addTo(cmd *fisk.CmdClause, mirrorHelp string) []*fisk.FlagClause {
	filter := cmd.Flag("filter", "Mirror only these keys, wildcards allowed (can be repeated)").PlaceHolder("KEYS")
	filter.StringsVar(&f.filters)
	return []*fisk.FlagClause{
		nameFlag(cmd.Flag("mirror", mirrorHelp), "mirror", &f.mirror).PlaceHolder("ORIGIN"),
		nameFlag(cmd.Flag("mirror-domain", "JetStream domain of the origin"), "mirror-domain", &f.domain).PlaceHolder("DOMAIN"),
		nameFlag(cmd.Flag("mirror-api-prefix", "Subject prefix of the origin's JetStream API, for an origin in another account"), "mirror-api-prefix", &f.apiPrefix).PlaceHolder("PREFIX"),
		nameFlag(cmd.Flag("mirror-deliver-prefix", "Subject prefix on which the other account delivers"), "mirror-deliver-prefix", &f.delivers).PlaceHolder("PREFIX"),
		filter,
	}
}

// refuse declares the flags for a command that does nothing of the kind; see
// [originFlags.refused].
func (f *originFlags) refuse(cmd *fisk.CmdClause) {
	for _, flag := range f.addTo(cmd, "Not possible on a mirror") {
		flag.Hidden()
	}
}

// refused is the failure that no server does what the flags say to a mirror that exists,
// with what does; nil where none is given.
func (f *originFlags) refused(rt *runtime, bucket string) error {
	if !f.given() {
		return nil
	}
	change, err := f.change()
	if err != nil {
		return err
	}
	what := "the origin of a mirror"
	if f.mirror == nil && f.domain == nil && f.apiPrefix == nil && f.delivers == nil {
		what = "which keys a mirror takes"
	}
	return fail(kindUsage, "to delete it and create it again, "+rt.recreateAs(bucket, change.Apply(kvcfg.Origin{}), f.filters), "no server changes %s", what)
}

// recreateAs says to recreate a mirror with so much of an origin, and with these filters.
func (rt *runtime) recreateAs(bucket string, o kvcfg.Origin, filters []string) string {
	args := []string{"recreate", bucket}
	domain, isDomain := o.Domain()
	if isDomain {
		o.APIPrefix = "" // the domain says it
	}
	for _, flag := range []struct{ name, value string }{
		{"--mirror", o.Bucket}, {"--mirror-domain", domain}, {"--mirror-api-prefix", o.APIPrefix}, {"--mirror-deliver-prefix", o.DeliverPrefix},
	} {
		if flag.value != "" {
			args = append(args, flag.name, flag.value)
		}
	}
	for _, filter := range filters {
		args = append(args, "--filter", filter)
	}
	return rt.run(args...)
}

// given says whether any of the flags is.
func (f *originFlags) given() bool {
	return f.mirror != nil || f.domain != nil || f.apiPrefix != nil || f.delivers != nil || f.filters != nil
}

// change is what the flags say of an origin.
func (f *originFlags) change() (mirror.OriginChange, error) {
	c := mirror.OriginChange{Bucket: f.mirror}
	if f.mirror != nil {
		if err := kvcfg.ValidateBucket(*f.mirror); err != nil {
			return c, err
		}
	}
	for _, filter := range f.filters {
		if err := kvcfg.ValidateFilter(filter); err != nil {
			return c, err
		}
	}
	switch {
	case f.domain != nil && (f.apiPrefix != nil || f.delivers != nil):
		return c, fail(kindUsage, "a domain is the prefix $JS.<domain>.API; give one or the other", "--mirror-domain and a prefix exclude each other")
	case f.domain != nil:
		c.APIPrefix, c.DeliverPrefix = new(kvcfg.DomainPrefix(*f.domain)), new("")
		return c, kvcfg.ValidateDomain(*f.domain)
	}
	var err error
	if c.APIPrefix, err = prefix(f.apiPrefix); err == nil {
		c.DeliverPrefix, err = prefix(f.delivers)
	}
	return c, err
}

// prefix is a subject prefix, without a dot at its end; nil when none is given.
func prefix(given *string) (*string, error) {
	if given == nil {
		return nil, nil
	}
	p := strings.TrimSuffix(*given, ".")
	return &p, kvcfg.ValidatePrefix(p)
}
