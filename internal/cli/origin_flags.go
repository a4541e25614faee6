package cli

import (
	"strings"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/kvcfg"
)

// originFlags are the flags that name the origin of a mirror and what to take of
// it.
type originFlags struct {
	mirror, domain      *string
	apiPrefix, delivers *string
	filters             []string
}

// addTo declares the flags but for --mirror, whose help is the command's own.
// whose says in the helps what they need.
func (f *originFlags) addTo(cmd *fisk.CmdClause, whose string) {
	nameFlag(cmd.Flag("mirror-domain", whose+"JetStream domain of the origin"), "mirror-domain", &f.domain).PlaceHolder("DOMAIN")
	nameFlag(cmd.Flag("mirror-api-prefix", whose+"Subject prefix of the origin's JetStream API, for an origin in another account"), "mirror-api-prefix", &f.apiPrefix).PlaceHolder("PREFIX")
	nameFlag(cmd.Flag("mirror-deliver-prefix", whose+"Subject prefix on which the other account delivers"), "mirror-deliver-prefix", &f.delivers).PlaceHolder("PREFIX")
	cmd.Flag("filter", whose+"Mirror only these keys, wildcards allowed (can be repeated)").PlaceHolder("KEYS").StringsVar(&f.filters)
}

// given says whether any of the flags is.
func (f *originFlags) given() bool {
	return f.mirror != nil || f.domain != nil || f.apiPrefix != nil || f.delivers != nil || f.filters != nil
}

// origin is the origin that the flags name. What they leave open is that of
// before: the zero one where there was none.
func (f *originFlags) origin(before kvcfg.Origin) (kvcfg.Origin, error) {
	origin := before
	if f.mirror != nil {
		origin.Bucket = *f.mirror
	}
	if err := kvcfg.ValidateBucket(origin.Bucket); err != nil {
		return origin, err
	}
	switch {
	case f.domain != nil && (f.apiPrefix != nil || f.delivers != nil):
		return origin, fail(kindUsage, "a domain is the prefix $JS.<domain>.API; give one or the other", "--mirror-domain and a prefix exclude each other")
	case f.delivers != nil && f.apiPrefix == nil:
		return origin, fail(kindUsage, "", "--mirror-deliver-prefix needs --mirror-api-prefix")
	case f.domain != nil:
		if err := kvcfg.ValidateDomain(*f.domain); err != nil {
			return origin, err
		}
		origin.APIPrefix, origin.DeliverPrefix = kvcfg.DomainPrefix(*f.domain), ""
	case f.apiPrefix != nil:
		origin.APIPrefix, origin.DeliverPrefix = strings.TrimSuffix(*f.apiPrefix, "."), ""
		if err := kvcfg.ValidatePrefix(origin.APIPrefix); err != nil {
			return origin, err
		}
		if f.delivers != nil {
			origin.DeliverPrefix = strings.TrimSuffix(*f.delivers, ".")
			if err := kvcfg.ValidatePrefix(origin.DeliverPrefix); err != nil {
				return origin, err
			}
		}
	}
	for _, filter := range f.filters {
		if err := kvcfg.ValidateFilter(filter); err != nil {
			return origin, err
		}
	}
	return origin, nil
}
