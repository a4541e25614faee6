package cli

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/kvcfg"
)

// wrongWord is the word that an error of fisk is about.
var wrongWord = regexp.MustCompile(`['"]([^'"]+)['"]$`)

// usageFailure makes an error of the command line a failure. line is as much of it as
// could be parsed, and may be nil.
func (rt *runtime) usageFailure(app *fisk.ApplicationModel, line *fisk.ParseContext, err error) error {
	if f := (*failure)(nil); errors.As(err, &f) {
		return f
	}
	if errors.Is(err, kvcfg.ErrInvalidName) {
		return err
	}
	if !slices.ContainsFunc(mistyped(), func(known error) bool { return errors.Is(err, known) }) {
		return &failure{kind: kindUsage, err: err}
	}
	var words []string
	switch {
	case errors.Is(err, fisk.ErrExpectedKnownCommand):
		words = commandWords(app)
	case errors.Is(err, fisk.ErrUnknownLongFlag) && line != nil:
		words = texts(flagNames(app, line))
	}
	hint := "see `" + rt.helpLine(line) + "`"
	if m := wrongWord.FindStringSubmatch(err.Error()); m != nil {
		if word := nearest(m[1], words); word != "" {
			hint = "did you mean " + word + "?"
		}
	}
	return &failure{kind: kindUsage, err: err, hint: hint, usage: rt.usageLine(line)}
}

// mistyped are the errors of a line that is no command of this program.
func mistyped() []error {
	return []error{
		fisk.ErrUnknownLongFlag, fisk.ErrUnknownShortFlag, fisk.ErrExpectedFlagArgument, fisk.ErrExpectedKnownCommand,
		fisk.ErrRequiredArgument, fisk.ErrRequiredFlag, fisk.ErrFlagCannotRepeat, fisk.ErrUnexpectedArgument,
	}
}

// usageLine is how the command that a line names is called, or this program.
func (rt *runtime) usageLine(line *fisk.ParseContext) string {
	words := []string{"usage:", rt.self}
	if line == nil || line.SelectedCommand == nil {
		return strings.Join(append(words, "[<flags>]", "<command>", "[<args> ...]"), " ")
	}
	c := line.SelectedCommand.Model()
	words = append(words, c.Name)
	for _, flag := range c.Flags {
		if flag.Required {
			words = append(words, "--"+flag.Name+"="+flag.PlaceHolder)
		}
	}
	words = append(words, "[<flags>]")
	for _, arg := range c.Args {
		word := "<" + arg.Name + ">"
		if arg.Cumulative {
			word += " ..."
		}
		if !arg.Required {
			word = "[" + word + "]"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// helpLine is the command line that shows the help of the command that a line names.
func (rt *runtime) helpLine(line *fisk.ParseContext) string {
	if line == nil || line.SelectedCommand == nil {
		return rt.self + " --help"
	}
	return rt.self + " " + line.SelectedCommand.Model().Name + " --help"
}

// commandWords are the names and the other names of all commands.
func commandWords(app *fisk.ApplicationModel) []string {
	words := texts(commandNames(app))
	for _, c := range app.Commands {
		words = append(words, c.Aliases...)
	}
	return words
}

func texts(all []suggestion) []string {
	var list []string
	for _, s := range all {
		list = append(list, s.text)
	}
	return list
}

// nearest is the word that is the most like one that was mistyped; "" when none is.
func nearest(typed string, words []string) string {
	best, least := "", 3 // mistakes, which are too many
	for _, word := range words {
		if d := mistakes(typed, word); d < least && d < len([]rune(strings.TrimLeft(typed, "-")))-1 {
			best, least = word, d
		}
	}
	return best
}

// mistakes is how many letters are to be put in, left out, changed or swapped to make b
// of a.
func mistakes(a, b string) int {
	from, to := []rune(a), []rune(b)
	d := make([][]int, len(from)+1)
	for i := range d {
		d[i] = make([]int, len(to)+1)
		d[i][0] = i
	}
	for j := range to {
		d[0][j+1] = j + 1
	}
	for i := range from {
		for j := range to {
			change := 1
			if from[i] == to[j] {
				change = 0
			}
			d[i+1][j+1] = min(d[i][j+1]+1, d[i+1][j]+1, d[i][j]+change)
			if i > 0 && j > 0 && from[i] == to[j-1] && from[i-1] == to[j] {
				d[i+1][j+1] = min(d[i+1][j+1], d[i-1][j-1]+1)
			}
		}
	}
	return d[len(from)][len(to)]
}
