package cli

import (
	"slices"
	"strings"

	"github.com/choria-io/fisk"
)

// normalizeArgs rewrites boolean flags with a value, as --trace=true, to the
// form that fisk reads: `nats` passes its own global flags to a plugin in that
// form (fisk 0.9.1, app_plugin.go). Nothing after -- is touched.
//
// A boolean flag with any other value is an error. fisk would take the flag for
// given and the value for an argument (flags.go), so that --force=no forced.
func normalizeArgs(model *fisk.ApplicationModel, args []string) ([]string, error) {
	negatable := map[string]bool{}
	collectBooleans(model.FlagGroupModel, model.CmdGroupModel, negatable)

	out := make([]string, 0, len(args))
	for i, arg := range args {
		if arg == "--" {
			return append(out, args[i:]...), nil
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		canNegate, isBoolean := negatable[name]
		if positive, ok := strings.CutPrefix(name, "no-"); ok && !isBoolean && negatable[positive] {
			isBoolean = true
		}
		switch {
		case !strings.HasPrefix(arg, "--") || !hasValue || !isBoolean:
			out = append(out, arg)
		case value == "true":
			out = append(out, "--"+name)
		case value == "false" && canNegate:
			out = append(out, "--no-"+name)
		case value == "false":
			// A flag that cannot be negated is off when it is absent.
		default:
			return nil, fail(kindUsage, "", "--%s: %q is neither true nor false", name, value)
		}
	}
	return out, nil
}

// collectBooleans fills in, by name, whether a boolean flag can be negated.
func collectBooleans(flags *fisk.FlagGroupModel, commands *fisk.CmdGroupModel, negatable map[string]bool) {
	eachFlag(flags, commands, func(f *fisk.FlagModel) {
		if f.Boolean {
			negatable[f.Name] = f.Negatable
		}
	})
}

// eachFlag calls do with every flag of an application or a command and of the
// commands below it.
func eachFlag(flags *fisk.FlagGroupModel, commands *fisk.CmdGroupModel, do func(*fisk.FlagModel)) {
	if flags != nil {
		for _, f := range flags.Flags {
			do(f)
		}
	}
	if commands != nil {
		for _, c := range commands.Commands {
			eachFlag(c.FlagGroupModel, c.CmdGroupModel, do)
		}
	}
}

// asksFor says whether the arguments hold a boolean flag, by its name or its letter. It
// is for a command line that cannot be parsed, which is answered in JSON, or quietly, as
// well.
func asksFor(model *fisk.ApplicationModel, args []string, name string, short rune) bool {
	takesValue := map[rune]bool{}
	eachFlag(model.FlagGroupModel, model.CmdGroupModel, func(f *fisk.FlagModel) {
		if f.Short != 0 && !f.Boolean {
			takesValue[f.Short] = true
		}
	})
	for _, arg := range args {
		switch {
		case arg == "--":
			return false
		case arg == "--"+name, arg == "--"+name+"=true":
			return true
		case strings.HasPrefix(arg, "--") || !strings.HasPrefix(arg, "-"):
			continue
		}
		// One-letter flags; what follows one that takes a value is the value.
		for _, letter := range arg[1:] {
			if letter == short {
				return true
			}
			if takesValue[letter] {
				break
			}
		}
	}
	return false
}

// wantsJSON says whether the arguments of such a command line ask for a JSON document.
func wantsJSON(model *fisk.ApplicationModel, args []string) bool {
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if arg == "--format=json" || arg == "--format" && slices.Contains(args[i+1:min(i+2, len(args))], "json") {
			return true
		}
	}
	return asksFor(model, args, "json", 'j')
}
