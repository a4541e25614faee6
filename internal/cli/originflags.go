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

// addTo declares the flags but for --mirror, whose help is the command's own.
func (f *originFlags) addTo(cmd *fisk.CmdClause) {
	nameFlag(cmd.Flag("mirror-domain", "JetStream domain of the origin"), "mirror-domain", &f.domain).PlaceHolder("DOMAIN")
	nameFlag(cmd.Flag("mirror-api-prefix", "Subject prefix of the origin's JetStream API, for an origin in another account"), "mirror-api-prefix", &f.apiPrefix).PlaceHolder("PREFIX")
	nameFlag(cmd.Flag("mirror-deliver-prefix", "Subject prefix on which the other account delivers"), "mirror-deliver-prefix", &f.delivers).PlaceHolder("PREFIX")
	cmd.Flag("filter", "Mirror only these keys, wildcards allowed (can be repeated)").PlaceHolder("KEYS").StringsVar(&f.filters)
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
	case f.delivers != nil && f.apiPrefix == nil:
		return c, fail(kindUsage, "", "--mirror-deliver-prefix needs --mirror-api-prefix")
	case f.domain != nil:
		c.APIPrefix, c.DeliverPrefix = new(kvcfg.DomainPrefix(*f.domain)), new("")
		return c, kvcfg.ValidateDomain(*f.domain)
	case f.apiPrefix != nil:
		c.APIPrefix, c.DeliverPrefix = new(strings.TrimSuffix(*f.apiPrefix, ".")), new("")
		if err := kvcfg.ValidatePrefix(*c.APIPrefix); err != nil {
			return c, err
		}
		if f.delivers != nil {
			c.DeliverPrefix = new(strings.TrimSuffix(*f.delivers, "."))
			return c, kvcfg.ValidatePrefix(*c.DeliverPrefix)
		}
	}
	return c, nil
}
