package cli

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/choria-io/fisk"
	"github.com/nats-io/jsm.go/natscontext"
)

// namesWait is how long a completion waits for the names of mirrors.
const namesWait = time.Second

// shellScripts are what bash, zsh and fish read to complete command lines. They
// hand the words to this program, which does the work.
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
	var err error
	switch args[0] {
	case "--completion-script-bash", "--completion-script-zsh", "--completion-script-fish":
		var script []byte
		script, err = shellScripts.ReadFile("shell/" + strings.TrimPrefix(args[0], "--completion-script-"))
		if err == nil {
			_, err = rt.Out.Write(script)
		}
	case "--completion-bash":
		for _, s := range suggest(ctx, args[1:]) {
			_, err = fmt.Fprintln(rt.Out, s.text)
		}
	case "--completion-fish":
		for _, s := range suggest(ctx, args[1:]) {
			_, err = fmt.Fprintf(rt.Out, "%s\t%s\n", s.text, s.help)
		}
	default:
		return exitOK, false
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
	last := words[len(words)-1]
	l := readLine(newApp(&runtime{}, func(command) {}).Model(), words[:len(words)-1])

	var found []suggestion
	name, _, hasValue := strings.Cut(last, "=")
	switch {
	case l.pending != nil:
		found = flagValues(l.pending, "")
	case !l.argsOnly && hasValue && strings.HasPrefix(name, "--"):
		if f := l.flag(name); f != nil && !f.Boolean {
			found = flagValues(f, name+"=")
		}
	case !l.argsOnly && strings.HasPrefix(last, "-"):
		found = l.suggestFlags()
	case l.command == nil:
		for _, c := range l.app.Commands {
			if !c.Hidden {
				found = append(found, suggestion{c.Name, firstLine(c.Help)})
			}
		}
	case l.takesMirror():
		for _, bucket := range mirrorNames(ctx, l.globals) {
			if !slices.Contains(l.args, bucket) {
				found = append(found, suggestion{bucket, "mirror"})
			}
		}
	}
	return slices.DeleteFunc(found, func(s suggestion) bool { return !strings.HasPrefix(s.text, last) })
}

// line is what is known of a command line that is not finished.
type line struct {
	app      *fisk.ApplicationModel
	command  *fisk.CmdModel  // nil as long as none is named
	given    map[string]bool // the names of the flags
	globals  []string        // the flags of all commands, with their values
	args     []string        // what is neither command nor flag
	pending  *fisk.FlagModel // the last word's, if its value comes next
	argsOnly bool            // -- was said
}

func readLine(app *fisk.ApplicationModel, words []string) *line {
	l := &line{app: app, given: map[string]bool{}}
	for _, word := range words {
		switch {
		case l.pending != nil:
			l.give(l.pending, word)
			l.pending = nil
		case l.argsOnly || !strings.HasPrefix(word, "-") || word == "-":
			l.addWord(word)
		case word == "--":
			l.argsOnly = true
		case strings.HasPrefix(word, "--"):
			name, value, hasValue := strings.Cut(word, "=")
			switch f := l.flag(name); {
			case f == nil:
			case f.Boolean || hasValue:
				l.give(f, value)
			default:
				l.pending = f
			}
		default:
			l.addLetters(word[1:])
		}
	}
	return l
}

func (l *line) addWord(word string) {
	if l.command != nil {
		l.args = append(l.args, word)
		return
	}
	for _, c := range l.app.Commands {
		if c.Name == word || slices.Contains(c.Aliases, word) {
			l.command = c
		}
	}
}

// addLetters takes one-letter flags; what follows one with a value is the value.
func (l *line) addLetters(letters string) {
	for i, letter := range letters {
		f := l.find(func(f *fisk.FlagModel) bool { return f.Short == letter })
		rest := letters[i+len(string(letter)):]
		switch {
		case f == nil:
			return
		case f.Boolean:
			l.give(f, "")
		case rest != "":
			l.give(f, rest)
			return
		default:
			l.pending = f
			return
		}
	}
}

// give notes that a flag is given.
func (l *line) give(f *fisk.FlagModel, value string) {
	l.given[f.Name] = true
	switch {
	case !slices.Contains(l.app.Flags, f):
	case f.Boolean:
		l.globals = append(l.globals, "--"+f.Name)
	default:
		l.globals = append(l.globals, "--"+f.Name+"="+value)
	}
}

// flags are those that can be given here.
func (l *line) flags() []*fisk.FlagModel {
	if l.command == nil {
		return l.app.Flags
	}
	return slices.Concat(l.command.Flags, l.app.Flags)
}

func (l *line) find(is func(*fisk.FlagModel) bool) *fisk.FlagModel {
	if i := slices.IndexFunc(l.flags(), is); i >= 0 {
		return l.flags()[i]
	}
	return nil
}

// flag is the flag of a word that begins with --; nil when there is none.
func (l *line) flag(word string) *fisk.FlagModel {
	return l.find(func(f *fisk.FlagModel) bool {
		return word == "--"+f.Name || f.Negatable && word == "--no-"+f.Name
	})
}

func (l *line) suggestFlags() []suggestion {
	var found []suggestion
	for _, f := range l.flags() {
		if f.Hidden || l.given[f.Name] && !f.Cumulative {
			continue
		}
		found = append(found, suggestion{"--" + f.Name, firstLine(f.Help)})
		if f.Negatable {
			found = append(found, suggestion{"--no-" + f.Name, "not: " + firstLine(f.Help)})
		}
	}
	return found
}

// takesMirror says whether the next argument is the name of a mirror that
// exists. That of add is one which does not.
func (l *line) takesMirror() bool {
	if l.command.Name == "add" || len(l.command.Args) == 0 {
		return false
	}
	next := l.command.Args[min(len(l.args), len(l.command.Args)-1)]
	return next.Name == "bucket" && (len(l.args) < len(l.command.Args) || next.Cumulative)
}

func flagValues(f *fisk.FlagModel, prefix string) []suggestion {
	values := f.Completions
	if f.Name == "context" {
		values = natscontext.KnownContexts()
	}
	var found []suggestion
	for _, v := range values {
		if safeWord(v) {
			found = append(found, suggestion{prefix + v, firstLine(f.Help)})
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
	case <-ctx.Done(): // whatever it is that does not heed it
		return nil
	}
}

func readNames(ctx context.Context, globals []string) []string {
	rt := &runtime{Streams: Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}}
	// The settings are those of any command that is run with these flags.
	if cmd, _ := parse(rt, append(globals, "ls")); cmd == nil {
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

// safeWord says whether a word means nothing special to any shell.
func safeWord(word string) bool {
	return word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("-_./=@:+,", r) && (r > 'z' || r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a')
	})
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return cmp.Or(line, " ")
}
