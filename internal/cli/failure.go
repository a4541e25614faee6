package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// Kinds of failures of the surface, beside those of internal/mirror.
const (
	kindUsage                     = mirror.ErrInvalid
	kindContext       mirror.Kind = "context"       // a context or a credential cannot be loaded
	kindUnreachable   mirror.Kind = "unreachable"   // no connection to the server
	kindAuthorization mirror.Kind = "authorization" // the server does not let the user in
	kindNoTerminal    mirror.Kind = "no-terminal"   // there is no terminal to ask on
)

// failure is an error of the surface, with its kind and, where there is one, its
// remedy.
type failure struct {
	kind  mirror.Kind
	err   error
	hint  string
	usage string // how the command is called, where the line was wrong
}

// Error is the message without the remedy.
func (f *failure) Error() string { return f.err.Error() }

// Unwrap is the message's error.
func (f *failure) Unwrap() error { return f.err }

// undecidedError is why a dry run does not know all that differs.
type undecidedError struct {
	error
	differs bool // it knows that something does
}

// Unwrap is the error.
func (e undecidedError) Unwrap() error { return e.error }

// undecided says of an error of a dry run that not all is known because of it; differs
// that something differs all the same.
func undecided(err error, differs bool) error {
	if err == nil {
		return nil
	}
	return undecidedError{err, differs}
}

// exitCode is the exit code of a failure.
func (rt *runtime) exitCode(err error, kind mirror.Kind) int {
	var u undecidedError
	switch {
	case errors.As(err, &u) && u.differs:
		return exitDifferences
	case errors.As(err, &u), kind == mirror.ErrOutcomeUnknown, kind == mirror.ErrOriginUnreadable && rt.comparing:
		return exitUnknown
	}
	return exitFailed
}

func fail(kind mirror.Kind, hint, format string, a ...any) error {
	return &failure{kind: kind, hint: hint, err: fmt.Errorf(format, a...)}
}

// explain makes any error a failure, with a hint in the words of this command line.
func (rt *runtime) explain(err error) *failure {
	if f := (*failure)(nil); errors.As(err, &f) {
		return f
	}
	e := mirror.AsError(err)
	if e.Kind == mirror.ErrInternal {
		for _, known := range []struct {
			err  error
			kind mirror.Kind
		}{{nats.ErrAuthorization, kindAuthorization}, {nats.ErrNoServers, kindUnreachable}, {fs.ErrNotExist, kindContext}} {
			if errors.Is(err, known.err) {
				return &failure{kind: known.kind, err: err}
			}
		}
	}
	f := &failure{kind: e.Kind, err: e, hint: rt.hints(e.Advice)}
	var fields []string
	for _, d := range e.Differs {
		fields = append(fields, fmt.Sprintf("%s is %s and not %s", d.Field, render.Value(d.Field, d.Have), render.Value(d.Field, d.Want)))
	}
	if len(fields) > 0 {
		f.err = fmt.Errorf("%w: %s", e, strings.Join(fields, ", "))
	}
	return f
}

// failed is an error as it stands in a document.
func (rt *runtime) failed(err error) *mirror.Failure {
	f := rt.explain(err)
	return &mirror.Failure{Kind: f.kind, Message: f.Error(), Hint: f.hint}
}
