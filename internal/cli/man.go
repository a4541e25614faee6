package cli

import (
	_ "embed"
	"io"
	"slices"
	"strings"
	"text/template"

	"github.com/choria-io/fisk"
)

// manTemplate is used with fisk's functions for templates. fisk's own man page
// (0.9.1) has neither exit codes, environment and examples nor long help, defaults,
// aliases and arguments, and escapes nothing, so that a minus is a hyphen in what is
// copied from it.
//
//go:embed man.tmpl
var manTemplate string

// wantsMan says whether a command line asks for the man page.
func wantsMan(args []string) bool {
	dashes := slices.Index(append(slices.Clone(args), "--"), "--")
	return slices.Contains(args[:dashes], "--help-man")
}

// writeMan writes the man page, in roff with the macros of man(7).
func writeMan(w io.Writer, app *fisk.Application, b build) error {
	app.UsageWriter(w)
	app.UsageFuncs(template.FuncMap{
		"roff":     roff,
		"sentence": sentence,
		// The footer has one line for the version, the date and the title.
		"version": func() string { return b.version },
		"date":    func() string { return b.date },
		"cheat":   func() string { return strings.TrimSpace(cheat) },
	})
	line, err := app.ParseContext(nil)
	if err != nil {
		return err
	}
	return app.UsageForContextWithTemplate(line, 2, manTemplate)
}

// roff makes text mean itself.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "\n.", "\n\\&.", "\n\n", "\n.PP\n").Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// sentence is roff of a text that becomes a sentence, without its full stop.
func sentence(text string) string {
	text = strings.TrimSuffix(text, ".")
	return roff(strings.ToUpper(text[:1]) + text[1:])
}
