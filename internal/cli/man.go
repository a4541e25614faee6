package cli

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"

	"github.com/choria-io/fisk"
)

//go:embed man.tmpl
var manTemplate string

// wantsMan says whether a command line asks for the man page. fisk has one, with
// neither the exit codes nor the environment, and nothing in it is escaped.
func wantsMan(args []string) bool {
	dashes := slices.Index(append(slices.Clone(args), "--"), "--")
	return slices.Contains(args[:dashes], "--help-man")
}

// example is one of the cheat sheet: what for, and the commands.
type example struct {
	For      string
	Commands []string
}

// examples reads a cheat sheet: comments, each followed by commands.
func examples(cheat string) []example {
	var all []example
	for line := range strings.Lines(cheat) {
		line = strings.TrimSpace(line)
		if what, ok := strings.CutPrefix(line, "# "); ok {
			all = append(all, example{For: what})
		} else if line != "" && len(all) > 0 {
			last := &all[len(all)-1]
			last.Commands = append(last.Commands, line)
		}
	}
	return all
}

// writeMan writes the man page, in roff with the macros of man(7).
func writeMan(w io.Writer, app *fisk.ApplicationModel, b build) error {
	t, err := template.New("man").Funcs(template.FuncMap{"roff": roff, "sentence": sentence, "flag": manFlag, "arg": manArg}).Parse(manTemplate)
	if err != nil {
		return err
	}
	// The footer has one line for the version, the date and the title.
	visible := slices.DeleteFunc(slices.Clone(app.Commands), func(c *fisk.CmdModel) bool { return c.Hidden })
	return t.Execute(w, struct {
		Commands      []*fisk.CmdModel
		Flags         []*fisk.FlagModel
		Version, Date string
		Examples      []example
	}{visible, app.Flags, b.version, b.date, examples(cheat)})
}

// roff makes text mean itself.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
		if line == "" {
			lines[i] = ".PP"
		}
	}
	return strings.Join(lines, "\n")
}

// sentence is roff of a text that becomes a sentence, without its full stop.
func sentence(text string) string {
	text = strings.TrimSuffix(text, ".")
	return roff(strings.ToUpper(text[:1]) + text[1:])
}

// manFlag is a flag in all its forms.
func manFlag(f *fisk.FlagModel) string {
	var b strings.Builder
	if f.Short != 0 {
		fmt.Fprintf(&b, `\fB\-%s\fR, `, roff(string(f.Short)))
	}
	name := f.Name
	if f.Negatable {
		name = "[no-]" + name
	}
	fmt.Fprintf(&b, `\fB\-\-%s\fR`, roff(name))
	if !f.Boolean {
		fmt.Fprintf(&b, ` \fI%s\fR`, roff(strings.Trim(f.FormatPlaceHolder(), `"`)))
	}
	return b.String()
}

// manArg is an argument in the synopsis.
func manArg(a *fisk.ArgModel) string {
	text := `\fI` + roff(a.Name) + `\fR`
	if a.Cumulative || a.IsCumulative() {
		text += " ..."
	}
	if !a.Required {
		text = "[" + text + "]"
	}
	return text
}
