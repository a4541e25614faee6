package cli

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/choria-io/fisk"
	"github.com/nats-io/jsm.go/natscontext"

	"nats-kvmirror/internal/render"
)

// namesWait is how long a completion waits for the names of mirrors.
const namesWait = time.Second

// shellScripts are what bash, zsh and fish read to complete command lines. They
// hand the words to this program, which does the work.
//
// fisk parses the line and knows the flags and their values. Its own completion
// (0.9.1) is not used: it offers arguments where a flag's value or a file is meant,
// knows neither --flag=value nor --no-flag, says its errors in the middle of the
// line, and has no fish. Its script for bash takes the words as bash splits them, at
// each : of a server's address; that for zsh completes no arguments.
//
//go:embed shell
var shellScripts embed.FS

// addCompletion declares the flag for fish that fisk has for bash and zsh; all
// three are answered by [completion].
func addCompletion(app *fisk.Application) {
	app.Flag("completion-script-fish", "Generate completion script for fish.").Hidden().UnNegatableBool()
}

// completion answers a command line that begins with a flag for completion: the
// scripts, and the words that complete a line. It is asked before the line is
// parsed because that line is not finished. Nothing goes to stderr: the user is
// in the middle of typing.
func (rt *runtime) completion(ctx context.Context, args []string) (code int, done bool) {
	if len(args) == 0 {
		return exitOK, false
	}
	var text []byte
	var err error
	switch args[0] {
	case "--completion-script-bash", "--completion-script-zsh", "--completion-script-fish":
		text, err = shellScripts.ReadFile("shell/" + strings.TrimPrefix(args[0], "--completion-script-"))
	case "--completion-bash", "--completion-fish":
		for _, s := range suggest(ctx, args[1:]) {
			if text = append(text, s.text...); args[0] == "--completion-fish" {
				text = append(text, "\t"+s.help...)
			}
			text = append(text, '\n')
		}
	default:
		return exitOK, false
	}
	if err == nil {
		_, err = rt.Out.Write(text)
	}
	if err != nil {
		return exitFailed, true
	}
	return exitOK, true
}

// suggestion is a word that the last one of a command line can become, and what
// it is for.
type suggestion struct{ text, help string }

// suggest completes the last of words, which are those of a command line after
// the program's name. Where it suggests nothing, files may be meant.
func suggest(ctx context.Context, words []string) []suggestion {
	if len(words) == 0 {
		words = []string{""}
	}
	last, before := words[len(words)-1], words[:len(words)-1]
	isFlag := strings.HasPrefix(last, "-") && !strings.Contains(last, "=") && !slices.Contains(before, "--")
	if isFlag {
		words = before
	}
	app := newApp(&runtime{}, func(command) {})
	model := app.Model() // without the help command, which fisk adds when it parses
	words, err := normalizeArgs(model, words)
	if err != nil {
		return nil
	}
	// fisk understands a line that is not finished as far as it goes.
	line, err := app.ParseContext(words)
	var found []suggestion
	switch {
	case isFlag:
		found = flagNames(model, line)
	case errors.Is(err, fisk.ErrExpectedKnownCommand):
		found = commandNames(model)
	case err == nil && len(line.Elements) > 0:
		end := line.Elements[len(line.Elements)-1]
		switch clause := end.Clause.(type) {
		case *fisk.CmdClause: // its whole name
			found = commandNames(model)
		case *fisk.FlagClause:
			found = flagValues(clause.Model(), strings.TrimSuffix(last, *end.Value))
		case *fisk.ArgClause:
			// The mirror that add names does not exist.
			if clause.Model().Name == "bucket" && line.SelectedCommand.Model().Name != "add" {
				found = otherMirrors(ctx, app, line)
			}
		}
	}
	return slices.DeleteFunc(found, func(s suggestion) bool { return !strings.HasPrefix(s.text, last) })
}

func commandNames(app *fisk.ApplicationModel) []suggestion {
	var found []suggestion
	for _, c := range app.Commands {
		if !c.Hidden {
			found = append(found, suggestion{c.Name, firstLine(c.Help)})
		}
	}
	return found
}

// flagNames are the flags that can be given after line.
func flagNames(app *fisk.ApplicationModel, line *fisk.ParseContext) []suggestion {
	given := map[string]bool{}
	for _, e := range line.Elements {
		if f, ok := e.Clause.(*fisk.FlagClause); ok {
			given[f.Model().Name] = true
		}
	}
	flags := app.Flags
	if line.SelectedCommand != nil {
		flags = slices.Concat(line.SelectedCommand.Model().Flags, flags)
	}
	var found []suggestion
	for _, f := range flags {
		if f.Hidden || given[f.Name] && !f.Cumulative {
			continue
		}
		found = append(found, suggestion{"--" + f.Name, firstLine(f.Help)})
		if f.Negatable {
			found = append(found, suggestion{"--no-" + f.Name, "not: " + firstLine(f.Help)})
		}
	}
	return found
}

func flagValues(f *fisk.FlagModel, prefix string) []suggestion {
	values := f.Completions
	if f.Name == "context" {
		values = natscontext.KnownContexts()
	}
	var found []suggestion
	for _, v := range values {
		if render.SafeWord(v) {
			found = append(found, suggestion{prefix + v, firstLine(f.Help)})
		}
	}
	return found
}

// otherMirrors are the mirrors that line does not name; its last argument is the one
// that is completed.
func otherMirrors(ctx context.Context, app *fisk.Application, line *fisk.ParseContext) []suggestion {
	var globals, named []string
	for _, e := range line.Elements[:len(line.Elements)-1] {
		switch clause := e.Clause.(type) {
		case *fisk.FlagClause:
			if name := clause.Model().Name; app.GetFlag(name) != nil || name == "domains" {
				globals = append(globals, "--"+name+"="+*e.Value)
			}
		case *fisk.ArgClause:
			named = append(named, *e.Value)
		}
	}
	var found []suggestion
	for _, bucket := range mirrorNames(ctx, globals) {
		if !slices.Contains(named, bucket) {
			found = append(found, suggestion{bucket, "mirror"})
		}
	}
	return found
}

// mirrorNames are the names of the mirrors, read with the flags that the line
// has; none when they cannot be read in time.
func mirrorNames(ctx context.Context, globals []string) []string {
	ctx, cancel := context.WithTimeout(ctx, namesWait)
	defer cancel()
	names := make(chan []string, 1)
	go func() { names <- readNames(ctx, globals) }()
	select {
	case list := <-names:
		return list
	case <-ctx.Done(): // also when connecting ignores it
		return nil
	}
}

func readNames(ctx context.Context, globals []string) []string {
	rt := &runtime{Streams: Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}}
	// The settings are those of any command that is run with these flags.
	if cmd, _ := parse(rt, append([]string{"ls"}, globals...)); cmd == nil {
		return nil
	}
	rt.globals.timeout, rt.globals.trace = min(rt.globals.timeout, namesWait), false
	c, err := rt.connect(ctx)
	if err != nil {
		return nil
	}
	defer c.Close()
	names, err := c.Names(ctx)
	if err != nil {
		return nil
	}
	return names
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return cmp.Or(line, " ")
}
