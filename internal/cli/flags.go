package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/kvcfg"
)

// optional is a flag's value that is nil until the user gives one.
type optional[T any] struct {
	flag   string
	target **T
	parse  func(string) (T, error)
}

// Set reads the value of the flag.
func (o optional[T]) Set(text string) error {
	v, err := o.parse(text)
	if err != nil {
		return invalidFlag(o.flag, err)
	}
	*o.target = &v
	return nil
}

// String is the value, "" when there is none.
func (o optional[T]) String() string {
	if o.target == nil || *o.target == nil {
		return ""
	}
	return fmt.Sprint(**o.target)
}

func invalidFlag(flag string, err error) error {
	return &failure{kind: kindUsage, err: fmt.Errorf("--%s: %w", flag, err)}
}

// optionalBool is optional for flags without a value.
type optionalBool struct{ optional[bool] }

// IsBoolFlag tells fisk that the flag takes no value.
func (optionalBool) IsBoolFlag() bool { return true }

// BoolFlagIsNegatable tells fisk that there is a --no- form.
func (optionalBool) BoolFlagIsNegatable() bool { return true }

func textFlag(f *fisk.FlagClause, name string, target **string) *fisk.FlagClause {
	f.SetValue(optional[string]{name, target, func(s string) (string, error) { return s, nil }})
	return f
}

// nameFlag is a text that must not be empty: a script's unset variable would
// otherwise silently mean something else.
func nameFlag(f *fisk.FlagClause, name string, target **string) *fisk.FlagClause {
	f.SetValue(optional[string]{name, target, func(s string) (string, error) {
		if s == "" {
			return "", fmt.Errorf("the value is empty")
		}
		return s, nil
	}})
	return f
}

// bucketArg is the name of a bucket that may be left out, and must not be empty:
// left out it means something else.
func bucketArg(a *fisk.ArgClause, target *string) {
	a.SetValue(argument{target})
}

type argument struct{ target *string }

// Set takes the name.
func (a argument) Set(name string) error {
	if err := kvcfg.ValidateBucket(name); err != nil {
		return err
	}
	*a.target = name
	return nil
}

// String is the name.
func (a argument) String() string { return *a.target }

func boolFlag(f *fisk.FlagClause, name string, target **bool) *fisk.FlagClause {
	f.SetValue(optionalBool{optional[bool]{name, target, strconv.ParseBool}})
	return f
}

func countFlag(f *fisk.FlagClause, name string, target **int64) *fisk.FlagClause {
	f.SetValue(optional[int64]{name, target, func(s string) (int64, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a whole number", s)
		}
		return n, nil
	}})
	return f
}

func sizeFlag(f *fisk.FlagClause, name string, limit int64, target **int64) *fisk.FlagClause {
	f.SetValue(optional[int64]{name, target, func(s string) (int64, error) { return parseBytes(s, limit) }})
	return f
}

const (
	maxValueSize  = math.MaxInt32
	maxBucketSize = math.MaxInt64
)

func durationFlag(f *fisk.FlagClause, name string, target **time.Duration) *fisk.FlagClause {
	f.SetValue(optional[time.Duration]{name, target, parseDuration})
	return f
}

// metadataValue collects repeated KEY=VALUE flags.
type metadataValue struct{ target *map[string]string }

// Set reads one pair.
func (m metadataValue) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" {
		return invalidFlag("metadata", fmt.Errorf("%q is not of the form key=value", text))
	}
	if *m.target == nil {
		*m.target = map[string]string{}
	}
	if _, twice := (*m.target)[key]; twice {
		return invalidFlag("metadata", fmt.Errorf("key %q is given twice", key))
	}
	(*m.target)[key] = value
	return nil
}

// String is "": there is no default to show.
func (metadataValue) String() string { return "" }

// IsCumulative tells fisk that the flag can be repeated.
func (metadataValue) IsCumulative() bool { return true }

// refusedValue is the value of a flag that `nats kv` has and a mirror cannot
// have; using it is answered with the reason.
type refusedValue struct {
	flag, reason, hint string
	boolean            bool
}

// Set refuses.
func (v refusedValue) Set(string) error {
	return &failure{kind: kindUsage, err: fmt.Errorf("--%s: %s", v.flag, v.reason), hint: v.hint}
}

// String is "".
func (refusedValue) String() string { return "" }

// IsBoolFlag tells fisk whether the refused flag takes a value.
func (v refusedValue) IsBoolFlag() bool { return v.boolean }

// BoolFlagIsNegatable tells fisk that there is no --no- form.
func (refusedValue) BoolFlagIsNegatable() bool { return false }

// IsCumulative lets the flag be repeated, so that the answer is the reason and
// not that it was.
func (v refusedValue) IsCumulative() bool { return !v.boolean }
