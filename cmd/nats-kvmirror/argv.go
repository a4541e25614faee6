package main

import (
	"strings"

	"github.com/choria-io/fisk"
)

// normalizeArgs rewrites boolean flags with a value, as --trace=true, to the
// form that fisk reads: `nats` passes its own global flags to a plugin in that
// form (fisk 0.9.1, app_plugin.go). Nothing after -- is touched.
func normalizeArgs(model *fisk.ApplicationModel, args []string) []string {
	negatable := map[string]bool{}
	collectBooleans(model.FlagGroupModel, model.CmdGroupModel, negatable)

	out := make([]string, 0, len(args))
	for i, arg := range args {
		if arg == "--" {
			return append(out, args[i:]...)
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		canNegate, isBoolean := negatable[name]
		switch {
		case !strings.HasPrefix(arg, "--") || !ok || !isBoolean:
			out = append(out, arg)
		case value == "true":
			out = append(out, "--"+name)
		case value == "false" && canNegate:
			out = append(out, "--no-"+name)
		case value == "false":
			// A flag that cannot be negated is off when it is absent.
		default:
			out = append(out, arg) // fisk says what is wrong with it
		}
	}
	return out
}

// collectBooleans fills in, by name, whether a boolean flag can be negated.
func collectBooleans(flags *fisk.FlagGroupModel, commands *fisk.CmdGroupModel, negatable map[string]bool) {
	if flags != nil {
		for _, f := range flags.Flags {
			if f.Boolean {
				negatable[f.Name] = f.Negatable
			}
		}
	}
	if commands != nil {
		for _, c := range commands.Commands {
			collectBooleans(c.FlagGroupModel, c.CmdGroupModel, negatable)
		}
	}
}

// wantsJSON says whether the arguments ask for JSON. It is needed before they
// are parsed, because a command line that cannot be parsed is answered in JSON
// as well.
func wantsJSON(args []string) bool {
	for _, arg := range args {
		switch {
		case arg == "--":
			return false
		case arg == "--json", arg == "--json=true":
			return true
		case len(arg) > 1 && arg[0] == '-' && arg[1] != '-' && arg[1] != 's' && strings.Contains(arg, "j"):
			// -j, alone or with other one-letter flags; -s takes a value.
			return true
		}
	}
	return false
}
