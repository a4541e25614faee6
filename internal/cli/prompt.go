package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/AlecAivazis/survey/v2"
	"github.com/AlecAivazis/survey/v2/terminal"
	"golang.org/x/term"

	"nats-kvmirror/internal/mirror"
)

// prompter asks at the terminal. Its methods fail with kind no-terminal when there is
// none, and interrupted on Ctrl-C.
type prompter interface {
	// Available says whether there is a terminal to ask on.
	Available() bool
	// Confirm asks a yes-or-no question; the default answer is no.
	Confirm(ctx context.Context, question, color string) (bool, error)
	// Select offers a list.
	Select(ctx context.Context, question string, options []string, color string) (string, error)
}

// terminalPrompter asks with survey, on stdout, or on stderr where stdout takes no
// text.
type terminalPrompter struct{ rt *runtime }

func newTerminal(rt *runtime) prompter { return terminalPrompter{rt} }

func (p terminalPrompter) files() (in, out *os.File, ok bool) {
	var w any = p.rt.Out
	if p.rt.json || p.rt.quiet {
		w = p.rt.Err
	}
	if !isTerminal(p.rt.In) || !isTerminal(w) {
		return nil, nil, false
	}
	return p.rt.In.(*os.File), w.(*os.File), true
}

// Available says whether input and output are terminals.
func (p terminalPrompter) Available() bool {
	_, _, ok := p.files()
	return ok
}

// Confirm asks a yes-or-no question.
func (p terminalPrompter) Confirm(ctx context.Context, question, color string) (bool, error) {
	in, out, ok := p.files()
	if !ok {
		return false, fail(kindNoTerminal, "add --force to go on without a question", "there is no terminal to ask on")
	}
	return ask[bool](ctx, &survey.Confirm{Message: question}, in, out, p.rt.Err, color)
}

// Select offers a list.
func (p terminalPrompter) Select(ctx context.Context, question string, options []string, color string) (string, error) {
	in, out, ok := p.files()
	if !ok {
		return "", fail(kindNoTerminal, "name the bucket", "there is no terminal to ask on")
	}
	page := len(options)
	if _, height, err := term.GetSize(int(out.Fd())); err == nil {
		page = max(min(page, height-4), 1)
	}
	return ask[string](ctx, &survey.Select{Message: question, Options: options, PageSize: page}, in, out, p.rt.Err, color)
}

// ask asks until it is answered or ctx ends. survey knows no context and holds
// the terminal in raw mode, so when ctx ends the terminal is put back here.
func ask[T any](ctx context.Context, prompt survey.Prompt, in, out *os.File, errOut io.Writer, color string) (T, error) {
	type result struct {
		answer T
		err    error
	}
	var none T
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return none, fail(kindNoTerminal, "", "cannot use the terminal: %w", err)
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = survey.AskOne(prompt, &r.answer, survey.WithStdio(in, out, errOut), survey.WithIcons(icons(color)))
		done <- r
	}()
	interrupted := fail(mirror.ErrInterrupted, "", "interrupted, nothing was changed")
	select {
	case <-ctx.Done():
		if err := term.Restore(int(in.Fd()), before); err != nil {
			return none, errors.Join(interrupted, err)
		}
		return none, interrupted
	case r := <-done:
		if errors.Is(r.err, terminal.InterruptErr) {
			return none, interrupted
		}
		return r.answer, r.err
	}
}

// icons are survey's in the user's colors, as `nats` shows them.
func icons(color string) func(*survey.IconSet) {
	format := "white"
	switch color {
	case "yellow", "blue", "green", "cyan", "magenta", "red":
		format = color + "+hb"
	}
	return func(set *survey.IconSet) {
		set.Question.Format = format
		set.SelectFocus.Format = format
	}
}
