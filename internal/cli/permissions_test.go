package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// permission is a subject that a user may publish to. M and O stand for the prefixes of
// the mirror's and of the origin's JetStream API.
type permission struct {
	subject string
	only    place  // where it is needed
	without string // what the command says without it, in the same document or text; "" when it fails
	note    string // what is worse without it, where nothing is said
}

// place is where something holds: on which routes.
type place string

const (
	everywhere place = ""
	here       place = "a mirror on this side of leafnodes"
	over       place = "a mirror at the other end of a leafnode"
	apart      place = "an origin in another domain or account"
	originHere place = "an origin on this side of leafnodes"
	originOver place = "an origin at the other end of a leafnode"
)

// permissionRow is a command and what its user needs.
type permissionRow struct {
	args  []string
	title string // "" for the arguments
	state string // that the command finds, see permissionLab.prepare
	says  string // with exactly these permissions
	not   place  // where the command cannot be played
	// walks says that messages of the origin are read, which come on the deliver prefix
	// where it is in another account.
	walks   bool
	publish []permission
}

func need(subjects ...string) []permission {
	var all []permission
	for _, s := range subjects {
		all = append(all, permission{subject: s})
	}
	return all
}

// permissionRows is what docs/permissions.md says.
func permissionRows() []permissionRow {
	const (
		stays = "each consumer stays until the server removes it, a few seconds later"
		stall = "slower: a pause of a second for every few thousand messages"
	)
	originDenied := permission{subject: "O.STREAM.INFO.*", only: apart, without: "origin-denied"}
	lists := []permission{{subject: "M.STREAM.LIST", only: here}, {subject: "M.STREAM.NAMES", only: over}, {subject: "M.STREAM.INFO.*", only: over}}
	cleanUp := func(subject string) permission { return permission{subject: subject, note: stays} }
	flow := permission{subject: "$JS.FC.>", note: stall}
	walk := append(need("M.STREAM.INFO.KV_m", "O.STREAM.INFO.KV_demo", "M.CONSUMER.CREATE.KV_m.>", "O.CONSUMER.CREATE.KV_demo.>"),
		cleanUp("M.CONSUMER.DELETE.KV_m.>"), cleanUp("O.CONSUMER.DELETE.KV_demo.>"), flow)
	unknownOthers := "whether other mirrors answer reads of bucket "
	others := []permission{{subject: "M.STREAM.LIST", only: here, without: unknownOthers}, {subject: "M.STREAM.NAMES", only: over, without: unknownOthers}}
	supports := permission{subject: "M.INFO", without: "the mirror's server did not tell what it supports"}
	noSign := permission{subject: "O.STREAM.INFO.KV_demo", without: "the origin does not answer"}
	and := func(list []permission, more ...permission) []permission {
		return append(list[:len(list):len(list)], more...)
	}
	return []permissionRow{{
		args: []string{"info", "m"}, state: "plain",
		publish: and(need("M.STREAM.INFO.KV_m"), permission{subject: "O.STREAM.INFO.KV_demo", without: "Origin Reachable: false"}),
	}, {
		args: []string{"info", "m"}, title: "info m, of a mirror with a filter", state: "filtered",
		publish: and(need("M.STREAM.INFO.KV_m"), permission{subject: "O.STREAM.INFO.KV_demo", without: "Origin Reachable: false"},
			permission{subject: "O.STREAM.MSG.GET.KV_demo", only: originHere, without: "at most"},
			permission{subject: "O.CONSUMER.CREATE.KV_demo.>", only: originOver, without: "at most"}),
	}, {
		args: []string{"ls"}, state: "ttl", publish: and(lists, originDenied),
	}, {
		args: []string{"check"}, state: "ttl", publish: and(lists, permission{subject: "O.STREAM.INFO.*", only: apart}),
	}, {
		args: []string{"check", "m"}, state: "ttl", publish: need("M.STREAM.INFO.KV_m", "O.STREAM.INFO.KV_demo"),
	}, {
		args: []string{"check", "m", "--content"}, state: "full", walks: true, publish: walk,
	}, {
		args: []string{"add", "m", "--mirror", "demo"}, state: "none",
		publish: and(need("M.STREAM.INFO.KV_m", "O.STREAM.INFO.KV_demo", "M.STREAM.CREATE.KV_m"), supports),
	}, {
		args: []string{"add", "m", "--mirror", "demo", "--allow-msg-ttl"}, state: "none",
		publish: and(need("M.STREAM.INFO.KV_m", "M.STREAM.CREATE.KV_m"), permission{subject: "O.STREAM.INFO.KV_demo", without: "the origin was not read"}, supports),
	}, {
		args: []string{"edit", "m", "--force"}, state: "plain", publish: need("M.STREAM.INFO.KV_m", "O.STREAM.INFO.KV_demo", "M.STREAM.UPDATE.KV_m"),
	}, {
		args: []string{"repair", "m", "--force"}, state: "plain", publish: need("M.STREAM.INFO.KV_m", "O.STREAM.INFO.KV_demo", "M.STREAM.UPDATE.KV_m"),
	}, {
		args: []string{"repair", "--all", "--force"}, state: "plain",
		publish: and(lists, permission{subject: "M.STREAM.INFO.*", only: here}, permission{subject: "O.STREAM.INFO.*", only: apart}, permission{subject: "M.STREAM.UPDATE.*"}),
	}, {
		args: []string{"prune", "m", "--gone", "--force"}, state: "left over", walks: true, publish: and(walk, need("M.STREAM.PURGE.KV_m")...),
	}, {
		args: []string{"recreate", "m", "--force"}, state: "ttl", walks: true, says: "was not tried with a scratch mirror",
		publish: and(walk[:len(walk)-1], need("M.STREAM.CREATE.KV_m", "M.STREAM.DELETE.KV_m")...),
	}, {
		args: []string{"recreate", "m", "--force"}, title: "recreate m --force, tried with a scratch mirror", state: "ttl", walks: true,
		publish: and(and(need("M.STREAM.INFO.*"), append([]permission{{subject: "O.STREAM.INFO.KV_demo", only: apart}}, walk[2:len(walk)-1]...)...), need("M.STREAM.CREATE.*", "M.STREAM.DELETE.*")...),
	}, {
		args: []string{"promote", "demo", "--force"}, state: "lost", not: originHere,
		publish: and(need("M.STREAM.INFO.KV_demo", "M.STREAM.UPDATE.KV_demo"), and(others, noSign)...),
	}, {
		args: []string{"promote", "m", "--into", "copy"}, state: "lost", publish: and(and(need(
			"M.STREAM.INFO.KV_m", "M.STREAM.INFO.KV_copy", "M.STREAM.CREATE.KV_copy", "M.STREAM.UPDATE.KV_copy", "M.CONSUMER.CREATE.KV_m.>", "M.CONSUMER.CREATE.KV_copy.>"),
			permission{subject: "M.STREAM.MSG.GET.KV_m", only: here}, cleanUp("M.CONSUMER.DELETE.KV_m.>"), cleanUp("M.CONSUMER.DELETE.KV_copy.>"), flow), and(others, permission{subject: "O.STREAM.INFO.KV_demo", note: "2.5 s slower: the mirror's link is watched for a sign of life"})...),
	}}
}

func (r permissionRow) name() string {
	if r.title != "" {
		return r.title
	}
	return strings.Join(r.args, " ")
}

// The tables of docs/permissions.md are made from the rows.
func TestPermissionsPage(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "permissions.md")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- go test ./internal/cli -run TestPermissionsPage -update -->\n", "<!-- end -->"
	before, rest, _ := strings.Cut(string(data), begin)
	_, after, found := strings.Cut(rest, end)
	if !found {
		t.Fatal("there is no place for the tables")
	}
	want := before + begin + permissionTables() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(data) != want {
		t.Error("docs/permissions.md is out of date; -update writes it")
	}
}

func permissionTables() string {
	var b strings.Builder
	for _, r := range permissionRows() {
		name, more, _ := strings.Cut(r.name(), ", ")
		fmt.Fprintf(&b, "\n### %s\n\n| publish to | for | without it |\n|---|---|---|\n", strings.TrimSuffix("`"+name+"`, "+more, ", "))
		for _, p := range r.publish {
			without := "fails"
			switch {
			case p.note != "":
				without = p.note
			case p.without != "":
				without = "goes on: “" + strings.TrimSpace(p.without) + " …”"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.subject, p.only, without)
		}
		if r.walks {
			b.WriteString("| subscribe to `deliver.B.>` | an origin in another account, by its deliver prefix | fails |\n")
		}
		if r.says != "" {
			fmt.Fprintf(&b, "\nWith exactly these it says: “… %s …”\n", r.says)
		}
	}
	b.WriteString("\n")
	return b.String()
}
