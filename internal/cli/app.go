package cli

import (
	_ "embed"
	"time"

	"github.com/choria-io/fisk"
)

const (
	appName    = "nats-kvmirror"
	hostName   = "nats"     // of which this program can be a plugin
	pluginName = "kvmirror" // its name there
	appHelp    = `Key-Value mirrors that follow their origin

A mirror made by this program lets keys and delete markers expire when
they expire at the origin, which no mirror made by 'nats kv' does.

See 'nats-kvmirror cheat' for examples.`
	appLLM = `
Set LLMFORMAT=1 for every run: help, tables and blocks are Markdown then. With
--help-llm the help alone is.

Commands carry tags:

 - scope:user - needs no system credentials
 - impact:ro - changes nothing
 - impact:rw - changes mirrors

Add --json to get exactly one JSON document on stdout, also on failure, --force to
be asked nothing and --dry-run to see what would be changed. Exit codes: 0 done,
1 failed, 2 --dry-run found differences, 3 the outcome of a write is unknown. Those
of check: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
`
)

//go:embed cheat.md
var cheat string

// globals are the flags of `nats` that all commands share.
type globals struct {
	servers, user, password, token       string
	creds, nkey, jwt, seed               string
	tlsCert, tlsKey, tlsCA               string
	tlsFirst                             bool
	timeout                              time.Duration
	socksProxy, apiPrefix, domain, inbox string
	colors, context                      string
	noContext, trace                     bool
	connectionName                       string
}

// colorSchemes are the values of --colors.
func colorSchemes() []string {
	return []string{"blue", "cyan", "double", "green", "magenta", "red", "rounded", "yellow"}
}

// newApp describes the command line. selected is called with the command that
// was parsed.
func newApp(rt *runtime, selected func(command)) *fisk.Application {
	app := fisk.New(appName, appHelp)
	app.Author("nats-kvmirror authors")
	app.Version(thisBuild().versionLine())
	app.UsageWriter(rt.Out)
	app.ErrorWriter(rt.Err)
	app.HelpFlag.Short('h')
	app.LLMExtraInformation(appLLM)
	app.Cheat(pluginName, cheat)
	app.CheatCommand.Hidden()

	addAdd(app, rt, selected)
	addEdit(app, rt, selected)
	addInfo(app, rt, selected)
	addLs(app, rt, selected)
	addCheck(app, rt, selected)
	addRepair(app, rt, selected)
	addPrune(app, rt, selected)
	addRecreate(app, rt, selected)
	addPromote(app, rt, selected)
	addDemo(app, rt, selected)
	addGlobals(app, &rt.globals)
	addCompletion(app)
	return app
}

func addGlobals(app *fisk.Application, g *globals) {
	app.Flag("server", "Servers to connect to").Short('s').Envar("NATS_URL").PlaceHolder("URL").StringVar(&g.servers)
	app.Flag("user", "Name of the user, or a token").Envar("NATS_USER").PlaceHolder("USER").StringVar(&g.user)
	app.Flag("password", "The user's password").Envar("NATS_PASSWORD").PlaceHolder("PASSWORD").StringVar(&g.password)
	app.Flag("token", "Token to log in with").Envar("NATS_TOKEN").PlaceHolder("TOKEN").StringVar(&g.token)
	app.Flag("connection-name", "Name of the connection in the server's reports").PlaceHolder("NAME").StringVar(&g.connectionName)
	app.Flag("creds", "File with the user's credentials").Envar("NATS_CREDS").PlaceHolder("LOCATION").StringVar(&g.creds)
	app.Flag("nkey", "File with the user's NKEY").Envar("NATS_NKEY").PlaceHolder("LOCATION").StringVar(&g.nkey)
	app.Flag("jwt", "The user's JWT").Envar("NATS_JWT").PlaceHolder("LOCATION").StringVar(&g.jwt)
	app.Flag("seed", "The user's seed").Envar("NATS_SEED").PlaceHolder("LOCATION").StringVar(&g.seed)
	app.Flag("tlscert", "File with the client's TLS certificate").Envar("NATS_CERT").PlaceHolder("FILE").StringVar(&g.tlsCert)
	app.Flag("tlskey", "File with the client's TLS key").Envar("NATS_KEY").PlaceHolder("FILE").StringVar(&g.tlsKey)
	app.Flag("tlsca", "File with the certificates to trust").Envar("NATS_CA").PlaceHolder("FILE").StringVar(&g.tlsCA)
	app.Flag("tlsfirst", "Begin with the TLS handshake, before the server's greeting").BoolVar(&g.tlsFirst)
	app.Flag("tls-first", "The same as --tlsfirst").Hidden().BoolVar(&g.tlsFirst)
	app.Flag("timeout", "How long to wait for the server").Default("5s").Envar("NATS_TIMEOUT").PlaceHolder("DURATION").SetValue(&timeoutValue{&g.timeout})
	app.Flag("socks-proxy", "SOCKS5 proxy to connect through").Envar("NATS_SOCKS_PROXY").PlaceHolder("PROXY").StringVar(&g.socksProxy)
	app.Flag("js-api-prefix", "Subject prefix of the mirror's JetStream API").PlaceHolder("PREFIX").StringVar(&g.apiPrefix)
	app.Flag("js-domain", "JetStream domain of the mirror").PlaceHolder("DOMAIN").StringVar(&g.domain)
	app.Flag("inbox-prefix", "Subject prefix of the inboxes for answers").PlaceHolder("PREFIX").StringVar(&g.inbox)
	app.Flag("colors", "Colors of tables and prompts").PlaceHolder("SCHEME").Envar("NATS_COLOR").EnumVar(&g.colors, colorSchemes()...)
	app.Flag("context", "Settings to use, by the name of their context").Envar("NATS_CONTEXT").PlaceHolder("NAME").StringVar(&g.context)
	app.Flag("trace", "Show the requests to the JetStream API and their answers").UnNegatableBoolVar(&g.trace)
	app.Flag("no-context", "Leave the selected context out").UnNegatableBoolVar(&g.noContext)
}

// timeoutValue is a duration above zero.
type timeoutValue struct{ target *time.Duration }

// Set reads the duration.
func (v *timeoutValue) Set(text string) error {
	d, err := parseDuration(text)
	if err == nil && d == 0 {
		return fail(kindUsage, "", "--timeout: it must be longer than 0")
	}
	if err != nil {
		return invalidFlag("timeout", err)
	}
	*v.target = d
	return nil
}

// String is the duration.
func (v *timeoutValue) String() string { return v.target.String() }

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
