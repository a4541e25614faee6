package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/choria-io/fisk"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the golden parts of the scripts")

func TestMain(m *testing.M) {
	// Most tests wait for servers: as many at once as there are cores would leave
	// these idle. What the command line says comes later and counts.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	if file := os.Getenv(schemaVariable); file != "" {
		schemaFile = file // in the processes of the tests
	} else if file, err := filepath.Abs(schemaFile); err == nil {
		_ = os.Setenv(schemaVariable, file)
	}
	testscript.Main(withCache{m}, map[string]func(){
		appName: main,
		"nats":  pluginHost,
	})
}

// schemaVariable names the file of the schema to the processes of the tests.
const schemaVariable = "KVMIRROR_SCHEMA"

// generousTimeout is the --timeout where a test says nothing of it.
const generousTimeout = "30s"

// withCache runs the tests with a cache directory of their own, in which saved
// configurations are left, and with a timeout that nothing is to reach.
type withCache struct{ m *testing.M }

func (w withCache) Run() int {
	// What go builds for the benchmarks stays in the cache of go: a new one takes
	// minutes.
	if cache, err := os.UserCacheDir(); err == nil && os.Getenv("GOCACHE") == "" {
		_ = os.Setenv("GOCACHE", filepath.Join(cache, "go-build"))
	}
	dir, err := os.MkdirTemp("", appName+"-cache-")
	if err == nil {
		err = os.Setenv("XDG_CACHE_HOME", dir)
	}
	if err == nil {
		// Nothing is to fail because a busy machine takes longer than is usual.
		err = os.Setenv("NATS_TIMEOUT", generousTimeout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return w.m.Run()
}

// TestScript plays testdata/script/*.txtar: the real command in a process of its
// own, against real servers in this one.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			// A home of its own: no context of the user's, no plugin.
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, ".config"))
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, ".data"))
			env.Setenv("LLMFORMAT", "")
			env.Setenv("TESTING", "")
			env.Setenv(schemaVariable, os.Getenv(schemaVariable))
			env.Setenv("NATS_TIMEOUT", generousTimeout)
			// Under the race detector each process would wait a second to end.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Values[wireKey{}] = &wire{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sites":      cmdSites,
			"accounts":   cmdAccounts,
			"restricted": cmdRestricted,
			"bucket":     cmdBucket,
			"stream":     cmdStream,
			"put":        cmdPut,
			"purge":      cmdPurge,
			"holds":      cmdHolds,
			"get":        cmdGet,
			"api":        cmdAPI,
			"consumers":  cmdConsumers,
			"config":     cmdConfig,
			"requests":   cmdRequests,
			"json":       cmdJSON,
			"code":       cmdCode,
			"doc":        cmdDoc,
			"down":       cmdDown,
			"up":         cmdUp,
			"another":    cmdAnother,
			"reaches":    cmdReaches,
		},
	})
}

// pluginHost is as much of `nats` as concerns plugins: some of its global flags,
// and a plugin described by what --fisk-introspect printed, as natscli
// 0.5.1 stores and loads it. The script says in $PLUGIN_MODEL where that is.
func pluginHost() {
	app := fisk.New("nats", "Stands for nats")
	app.UsageWriter(os.Stdout)
	app.Flag("server", "").Short('s').Envar("NATS_URL").String()
	app.Flag("js-domain", "").String()
	app.Flag("domain", "").Hidden().String()
	app.Flag("timeout", "").Default("5s").Envar("NATS_TIMEOUT").Duration()
	app.Flag("trace", "").UnNegatableBool()
	app.Flag("no-context", "").UnNegatableBool()
	app.Flag("tlsfirst", "").Bool()
	app.WithCheats()
	if err := addPlugin(app, os.Getenv("PLUGIN_MODEL")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	app.MustParseWithUsage(os.Args[1:])
}

func addPlugin(app *fisk.Application, file string) error {
	model, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	command, err := exec.LookPath(appName)
	if err != nil {
		return err
	}
	_, err = app.ExternalPluginCommand(command, model, "kvmirror", "")
	return err
}

// main is the program, for the processes of the tests. Their JSON documents are compared
// with the schema.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	EndWithHost(stop)
	var out io.Writer = os.Stdout
	var document bytes.Buffer
	wantsDocument := slices.ContainsFunc(os.Args, func(arg string) bool { return arg == "--json" || arg == "-j" })
	if wantsDocument && !isTerminal(os.Stdout) {
		out = io.MultiWriter(os.Stdout, &document)
	}
	code := Run(ctx, os.Args[1:], Streams{In: os.Stdin, Out: out, Err: os.Stderr})
	if document.Len() > 0 {
		if err := validate(document.Bytes()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 99
		}
	}
	os.Exit(code)
}
