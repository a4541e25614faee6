package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/choria-io/fisk"
)

func TestNormalizeArgs(t *testing.T) {
	model := newApp(&runtime{}, func(command) {}).Model()
	for _, c := range []struct{ args, want string }{
		{"--trace=true info b", "--trace info b"},
		{"--trace=false info b", "info b"},
		{"--tlsfirst=false info b", "--no-tlsfirst info b"},
		{"--no-tlsfirst=true info b", "--no-tlsfirst info b"},
		{"--no-tlsfirst=false info b", "info b"},
		{"edit b --compress=false --description=--trace=true", "edit b --no-compress --description=--trace=true"},
		{"info -- --trace=true", "info -- --trace=true"},
		{"info trace=true -trace=true", "info trace=true -trace=true"},
		{"--nosuch=true", "--nosuch=true"},
	} {
		got, err := normalizeArgs(model, strings.Fields(c.args))
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s becomes %q, %v; want %s", c.args, got, err, c.want)
		}
	}
	for _, wrong := range []string{"repair --force=no", "repair --dry-run=", "info --json=1 b", "edit b --no-compress=yes"} {
		if got, err := normalizeArgs(model, strings.Fields(wrong)); err == nil {
			t.Errorf("%s becomes %q; want an error", wrong, got)
		}
	}
}

// Boolean flags are known by their name alone, whatever the command.
func TestBooleanFlagsAreBooleanEverywhere(t *testing.T) {
	boolean := map[string]bool{}
	model := newApp(&runtime{}, func(command) {}).Model()
	eachFlag(model.FlagGroupModel, model.CmdGroupModel, func(f *fisk.FlagModel) {
		if before, ok := boolean[f.Name]; ok && before != f.Boolean {
			t.Errorf("--%s takes a value in one command and none in another", f.Name)
		}
		boolean[f.Name] = f.Boolean
	})
}

// FuzzArgs reads its input as a command line, a line an argument.
func FuzzArgs(f *testing.F) {
	for _, seed := range []string{
		"", "--", "-", "--=", "--no-", "--no-no-tlsfirst=true", "-j", "-sj", "-fsj",
		"--trace=true info demo",
		"--trace=false --no-tlsfirst kvmirror info demo --json=true",
		"--tlsfirst=false info demo -j", "--no-tlsfirst=true info demo", "--no-tlsfirst=false info demo",
		"info --json=maybe", "info --json=false demo", "info -j -- --json", "info -- -j", "ls -nj", "ls -nsj",
		"repair --force=no", "repair -f=no", "repair -fj a b --only ttl-off --only=history", "repair --all --dry-run=true --force=",
		"edit demo --compress=false --allow-msg-ttl=true --metadata a=b --metadata=c=d --description --trace=true",
		"edit demo --description=--json", "edit demo --description -j", "edit demo --no-mirror=true --marker-ttl 5s",
		"add --mirror demo -s nats://h -snats://j --js-domain=j", "check --lag-warn=-1 -1 \xff -\xffj --\xff=true",
	} {
		f.Add(strings.ReplaceAll(seed, " ", "\n"))
	}
	app := newApp(&runtime{}, func(command) {})
	model := app.Model()
	negatable := map[string]bool{}
	collectBooleans(model.FlagGroupModel, model.CmdGroupModel, negatable)

	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, "\n")
		if strings.Contains(text, "@") {
			return // fisk reads arguments from files
		}
		before := slices.Clone(args)
		out, err := normalizeArgs(model, args)
		if !slices.Equal(args, before) {
			t.Fatalf("%q was changed to %q in place", before, args)
		}
		if err != nil {
			return
		}
		if again, err := normalizeArgs(model, out); err != nil || !slices.Equal(again, out) {
			t.Errorf("%q becomes %q, and that %q, %v", args, out, again, err)
		}
		if got, want := afterDashes(out), afterDashes(args); !slices.Equal(got, want) {
			t.Errorf("%q becomes %q: what follows -- is changed", args, out)
		}
		if got, want := withoutBooleans(out, negatable), withoutBooleans(args, negatable); !slices.Equal(got, want) {
			t.Errorf("%q becomes %q: of what is no boolean flag remains %q, want %q", args, out, got, want)
		}
		parsed, err := app.ParseContext(out)
		if err != nil {
			return
		}
		for name, short := range map[string]rune{"json": 'j', "quiet": 'q'} {
			if got, want := asksFor(model, args, name, short), given(parsed, name); got != want {
				t.Errorf("%q: asksFor %s is %v, and the parser says %v", args, name, got, want)
			}
		}
	})
}

func afterDashes(args []string) []string {
	if i := slices.Index(args, "--"); i >= 0 {
		return args[i:]
	}
	return nil
}

// withoutBooleans is what remains of a command line when all forms of boolean
// flags are taken out.
func withoutBooleans(args []string, negatable map[string]bool) []string {
	var rest []string
	for _, arg := range args[:len(args)-len(afterDashes(args))] {
		name, isLong := strings.CutPrefix(arg, "--")
		name, _, _ = strings.Cut(name, "=")
		_, isBoolean := negatable[name]
		if !isLong || !isBoolean && !negatable[strings.TrimPrefix(name, "no-")] {
			rest = append(rest, arg)
		}
	}
	return rest
}

// given says whether the parser has seen a flag.
func given(parsed *fisk.ParseContext, flag string) bool {
	return slices.ContainsFunc(parsed.Elements, func(e *fisk.ParseElement) bool {
		f, ok := e.Clause.(*fisk.FlagClause)
		return ok && f.Model().Name == flag
	})
}
