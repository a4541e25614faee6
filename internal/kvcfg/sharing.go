package kvcfg

import (
	"fmt"
	"strings"
)

// The names that stand for those of the accounts, which no client knows.
const (
	OriginAccount = "ORIGIN-ACCOUNT"
	MirrorAccount = "MIRROR-ACCOUNT"
)

// OtherAccount says whether the origin can only be in another account: its prefix is none
// that a domain has, as $JS.hub.API, or messages arrive on a prefix as well, which no
// domain needs.
func (o Origin) OtherAccount() bool {
	_, isDomain := o.Domain()
	return o.External() && !isDomain
}

// Sharing is what the accounts of an origin and of its mirror have to share, as
// the configuration of a server (measured on 2.15.2): so that the mirror
// works and its origin can be read, and compared message by message. Names of
// accounts are [OriginAccount] and [MirrorAccount]. An origin without a deliver
// prefix gets one, since what is delivered to inboxes cannot be shared.
func (o Origin) Sharing() string {
	stream := o.Stream()
	services := []struct{ subject, why string }{
		{"$JS.API.STREAM.INFO." + stream, "reads the origin"},
		{"$JS.API.CONSUMER.CREATE." + stream, "lets the mirror copy"},
		{"$JS.API.CONSUMER.CREATE." + stream + ".>", "lets the mirror copy"},
		{"$JS.API.CONSUMER.DELETE." + stream + ".>", "cleans up after a comparison"},
		{"$JS.API.STREAM.MSG.GET." + stream, "finds what is still to come"},
	}
	deliver := o.deliverTo() + ".>"
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	line("# in the account of the origin, %s", OriginAccount)
	line("exports: [")
	for _, s := range services {
		line("  { service: %q, accounts: [%s] } # %s", s.subject, MirrorAccount, s.why)
	}
	line("  { service: %q, accounts: [%s] } # without it, the mirror stalls", flowControl, MirrorAccount)
	line("  { stream: %q, accounts: [%s] }", deliver, MirrorAccount)
	line("]")
	line("# in the account of the mirror, %s", MirrorAccount)
	line("imports: [")
	for _, s := range services {
		to := o.APIPrefix + strings.TrimPrefix(s.subject, "$JS.API")
		line("  { service: { account: %s, subject: %q }, to: %q }", OriginAccount, s.subject, to)
	}
	line("  { service: { account: %s, subject: %q } }", OriginAccount, flowControl)
	line("  { stream: { account: %s, subject: %q } }", OriginAccount, deliver)
	line("]")
	return b.String()
}

// flowControl is where consumers are told that what they sent was read.
const flowControl = "$JS.FC.>"

// deliverTo is the prefix on which messages from the other account arrive.
func (o Origin) deliverTo() string {
	if o.DeliverPrefix == "" {
		return "deliver." + MirrorAccount
	}
	return o.DeliverPrefix
}
