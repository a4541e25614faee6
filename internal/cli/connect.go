package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// connect loads the context and connects. The caller closes the client.
func (rt *runtime) connect(ctx context.Context) (*mirror.Client, error) {
	g := rt.globals
	if len(rt.domains) > 0 && (g.domain != "" || g.apiPrefix != "") {
		return nil, fail(kindUsage, "leave --js-domain and --js-api-prefix out", "--domains says where the mirrors are, and so does another flag")
	}
	config, err := g.load()
	if err != nil {
		return nil, err
	}
	opts, err := config.NATSOptions(nats.Name(orDefault(strings.TrimSpace(g.connectionName), appName+" "+version())))
	if err != nil {
		return nil, fail(kindContext, "", "cannot use the context's settings: %w", err)
	}
	redact := redactor(config.ServerURL())
	o := mirror.Options{Domains: rt.domains, Timeout: g.timeout, Observer: rt.observer()}
	switch {
	case config.JSDomain() != "":
		o.Prefix = kvcfg.DomainPrefix(config.JSDomain())
	case config.JSAPIPrefix() != "":
		o.Prefix = strings.TrimSuffix(config.JSAPIPrefix(), ".")
	}
	rt.domain, _ = kvcfg.DomainOf(o.Prefix)
	if g.trace {
		o.Trace = func(format string, a ...any) { rt.log.Print(cleanLines(redact.Replace(fmt.Sprintf(format, a...)))) }
	}
	rt.style = rt.newStyle(config.ColorScheme())
	c, err := mirror.Connect(ctx, config.ServerURL(), o, opts...)
	if err != nil {
		return nil, connectFailure(config, redact, err)
	}
	return c, nil
}

// cleanLines makes what would harm a terminal visible, line by line.
func cleanLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = render.Clean(line)
	}
	return strings.Join(lines, "\n")
}

// load reads the selected context and lays the flags over it, as `nats` does.
func (g globals) load() (*natscontext.Context, error) {
	opts := []natscontext.Option{
		natscontext.WithServerURL(g.servers),
		natscontext.WithCreds(g.creds),
		natscontext.WithNKey(g.nkey),
		natscontext.WithUserJWT(g.jwt),
		natscontext.WithUserSeed(g.seed),
		natscontext.WithCertificate(g.tlsCert),
		natscontext.WithKey(g.tlsKey),
		natscontext.WithCA(g.tlsCA),
		natscontext.WithSocksProxy(g.socksProxy),
		natscontext.WithJSAPIPrefix(g.apiPrefix),
		natscontext.WithJSDomain(g.domain),
		natscontext.WithInboxPrefix(g.inbox),
		natscontext.WithColorScheme(g.colors),
		natscontext.WithToken(g.token),
	}
	if g.tlsFirst {
		opts = append(opts, natscontext.WithTLSHandshakeFirst())
	}
	if g.user != "" && g.password == "" {
		// As `nats` has it, a user without a password is a token.
		opts = append(opts, natscontext.WithToken(g.user))
	} else {
		opts = append(opts, natscontext.WithUser(g.user), natscontext.WithPassword(g.password))
	}

	if g.noContext {
		return natscontext.New("", false, opts...)
	}
	if strings.HasSuffix(g.context, ".json") {
		if _, err := os.Stat(g.context); err == nil {
			return loaded(natscontext.NewFromFile(g.context, opts...))
		}
	}
	config, err := natscontext.New(g.context, true, opts...)
	if errors.Is(err, natscontext.ErrNotFound) {
		name := orDefault(g.context, natscontext.SelectedContext())
		return nil, fail(kindContext, "list the contexts with `nats context ls`, or add --no-context", "there is no context %q", name)
	}
	return loaded(config, err)
}

func loaded(config *natscontext.Context, err error) (*natscontext.Context, error) {
	if err != nil {
		return nil, fail(kindContext, "", "cannot load the context: %w", err)
	}
	return config, nil
}

// redactor hides what stands before the @ of each server's address.
func redactor(servers string) *strings.Replacer {
	var pairs []string
	for server := range strings.SplitSeq(servers, ",") {
		_, rest, ok := strings.Cut(server, "://")
		if !ok {
			rest = server
		}
		if i := strings.LastIndex(rest, "@"); i >= 0 {
			pairs = append(pairs, rest[:i+1], "xxxxx@")
		}
	}
	return strings.NewReplacer(pairs...)
}
