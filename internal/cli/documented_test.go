package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nats-kvmirror/internal/mirror"

	"github.com/choria-io/fisk"
)

// What scripts rely on is documented: every kind of failure, every command and
// every flag that is not hidden.
func TestCommandsAreDocumented(t *testing.T) {
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	commands, documents := read(filepath.Join("docs", "commands.md")), read(filepath.Join("docs", "json.md"))
	for _, kind := range []mirror.Kind{
		kindUsage, kindContext, kindUnreachable, kindAuthorization, mirror.ErrNotFound, mirror.ErrNoResponders, mirror.ErrDenied, mirror.ErrTimeout,
		mirror.ErrNoJetStream, mirror.ErrOldServer, mirror.ErrRejected, mirror.ErrDisconnected, mirror.ErrMalformed, mirror.ErrExists, mirror.ErrNotMirror, mirror.ErrNotBucket,
		mirror.ErrOriginUnreadable, mirror.ErrRefused, mirror.ErrNotKept, mirror.ErrConflict, kindNoTerminal, mirror.ErrNotCaughtUp, mirror.ErrIncomplete, mirror.ErrDiffers, mirror.ErrInterrupted,
		mirror.ErrOutcomeUnknown, mirror.ErrInternal,
	} {
		if !strings.Contains(documents, "`"+string(kind)+"`") {
			t.Errorf("the kind of failure %q is not documented", kind)
		}
	}
	model := newApp(&runtime{}, func(command) {}).Model()
	flags := func(of string, group *fisk.FlagGroupModel) {
		for _, f := range group.Flags {
			name := f.Name
			if f.Negatable {
				name = "[no-]" + name
			}
			documented := strings.Contains(commands, "--"+f.Name) || strings.Contains(commands, "--"+name)
			if !f.Hidden && !documented && f.Name != "help" && f.Name != "version" {
				t.Errorf("the flag --%s of %s is not documented", f.Name, of)
			}
		}
	}
	flags("all commands", model.FlagGroupModel)
	for _, c := range model.Commands {
		if c.Hidden || c.Name == "help" {
			continue
		}
		if !strings.Contains(commands, "\n## "+c.Name+"\n") {
			t.Errorf("the command %s is not documented", c.Name)
		}
		flags(c.Name, c.FlagGroupModel)
	}
}
