package cli

import (
	"fmt"
	"slices"
	"strings"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/render"
)

// argv is a command line of this program, with the flags of this run that say which
// mirrors are meant.
func (rt *runtime) argv(args ...string) []string {
	if len(rt.domains) > 0 {
		args = append(args, "--domains", strings.Join(rt.domains, ","))
	}
	return rt.globals.words(rt.self, args...)
}

// command is such a command line to be pasted.
func (rt *runtime) command(args ...string) string { return render.CommandLine(rt.argv(args...)) }

// nats is a command line of `nats` to be pasted, with the same flags.
func (rt *runtime) nats(args ...string) string {
	return render.CommandLine(rt.globals.words(hostName, args...))
}

// words are a command line with the flags that say which API is meant.
func (g globals) words(program string, args ...string) []string {
	words := append(strings.Fields(program), args...)
	for _, flag := range []struct{ name, value string }{{"--context", g.context}, {"--js-domain", g.domain}, {"--js-api-prefix", g.apiPrefix}} {
		if flag.value != "" {
			words = append(words, flag.name, flag.value)
		}
	}
	return words
}

// run says to run a command.
func (rt *runtime) run(args ...string) string { return "run `" + rt.command(args...) + "`" }

// removeFirst says to remove a stream and to run the command again.
func (rt *runtime) removeFirst(stream string) string {
	return "run `" + rt.nats("stream", "rm", stream) + "`, and then the command again"
}

// thereWith lists the buckets where an origin is.
func (rt *runtime) thereWith(o kvcfg.Origin) string {
	g := rt.globals
	if domain, ok := o.Domain(); ok {
		g.domain, g.apiPrefix = domain, ""
	} else if o.External() {
		g.domain, g.apiPrefix = "", o.APIPrefix
	}
	return render.CommandLine(g.words(hostName, "kv", "ls"))
}

// hints are lines of advice in the words of this command line.
func (rt *runtime) hints(advice []mirror.Advice) string {
	var lines []string
	for _, a := range advice {
		if hint := rt.hint(a); hint != "" && !slices.Contains(lines, hint) {
			lines = append(lines, hint)
		}
	}
	return strings.Join(lines, "\n")
}

// orBucket is the bucket of an advice, or what stands for one that is not known.
func orBucket(a mirror.Advice) string { return orDefault(a.Bucket, "BUCKET") }

// hint is one piece of advice.
func (rt *runtime) hint(a mirror.Advice) string {
	if fixed, ok := fixedHints()[a.Code]; ok {
		return fixed
	}
	bucket := orBucket(a)
	switch a.Code {
	case mirror.ShareAccounts:
		return rt.sharing(a.Origin)
	case mirror.NameBucket:
		return "name the bucket and not its stream: " + a.Bucket
	case mirror.OtherNameOrDomain:
		return "give the mirror a name of its own, as " + rt.command("add", bucket+"-mirror", "--mirror", bucket) + ", or name the origin's domain with --mirror-domain"
	case mirror.AllowTTL:
		return fmt.Sprintf("`%s` turns it on", rt.command("edit", bucket, "--allow-msg-ttl"))
	case mirror.Repair:
		return rt.run("repair", bucket)
	case mirror.RepairRollups:
		return "before, " + rt.run("repair", bucket, "--only", "rollup-off")
	case mirror.EnableMirrorDirect:
		return "if nothing is to be promoted, " + rt.run("repair", bucket, "--only", "mirror-direct-off")
	case mirror.Prune:
		return rt.run("prune", bucket)
	case mirror.Recreate:
		return rt.run("recreate", bucket)
	case mirror.ListBuckets:
		return "list the buckets there with `" + rt.thereWith(a.Origin) + "`"
	case mirror.ListMirrors:
		return "list the mirrors with `" + rt.command("ls") + "`"
	case mirror.ThenRecreate:
		return "then " + rt.run("recreate", bucket)
	case mirror.RecreateAs:
		return "to delete it and create it again, " + rt.recreateAs(bucket, a.Origin, a.Filters)
	case mirror.RecreateAllKeys:
		return "without that consumer, " + rt.run("recreate", bucket, "--filter", ">") + ", or with the --filter wanted"
	case mirror.RecreateWithoutTTL:
		return "without per-key TTL, " + rt.run("recreate", bucket, "--no-allow-msg-ttl")
	case mirror.UpgradeTo:
		return fmt.Sprintf("the mirror's server must be %s or later", a.Version)
	case mirror.SetHistory:
		return "no client opens a bucket without a history: first " + rt.run("edit", bucket, "--history", "1")
	case mirror.MarkerNeedsTTL:
		return "leave --marker-ttl out, or first " + rt.run("edit", bucket, "--allow-msg-ttl")
	case mirror.EditMarkerTTL:
		return "run `" + rt.nats("kv", "edit", bucket, "--marker-ttl", a.Value) + "`"
	case mirror.EditSizeOfCopy:
		return "run `" + rt.nats("kv", "edit", bucket) + " --max-bucket-size SIZE` to set one"
	case mirror.EditRepublish:
		return "run `" + rt.nats("kv", "edit", bucket) + "` to change that"
	}
	return rt.hintRefused(a)
}

// hintRefused is advice about what a server refuses.
func (rt *runtime) hintRefused(a mirror.Advice) string {
	switch a.Code {
	case mirror.SetMaxBytes:
		if a.Bucket == "" {
			return "add --max-bucket-size SIZE"
		}
		return fmt.Sprintf("first give bucket %s a limit: `%s SIZE`", a.Bucket, rt.command("edit", a.Bucket, "--max-bucket-size"))
	case mirror.FreeStorage:
		other := map[string]string{"file": "memory", "memory": "file"}[a.Value]
		return "`" + rt.nats("account", "info") + "` shows what is used and reserved of how much; reserve less with --max-bucket-size SIZE or --replicas 1, or store a new mirror elsewhere with --storage " + other
	case mirror.FewerStreams:
		return "`" + rt.nats("account", "info") + "` shows how many the account may have; remove one, or use another account with --context NAME or --user USER"
	}
	return rt.hintAfter(a)
}

// hintAfter is advice about what was begun, and about what comes after.
func (rt *runtime) hintAfter(a mirror.Advice) string {
	bucket := orBucket(a)
	switch a.Code {
	case mirror.LookAndRepeat:
		return "look with `" + rt.command("info", bucket) + "`; running the same command again is safe"
	case mirror.ShowInfo:
		return "look with `" + rt.command("info", bucket) + "`"
	case mirror.CompareContent:
		return "to compare it with its origin, " + rt.run("check", bucket, "--content")
	case mirror.AcceptLoss:
		return fmt.Sprintf("to accept the loss, add --accept-loss %d", a.Count)
	case mirror.Restore:
		return fmt.Sprintf("the mirror's configuration is in %s; to create it again, %s", a.File, rt.run("recreate", bucket, "--from-backup", a.File))
	case mirror.AddOrRestore:
		return "to create a mirror, " + rt.run("add", bucket, "--mirror", "ORIGIN") + "; one that was deleted is created again with --from-backup FILE"
	case mirror.NotFromBackup:
		return "without --from-backup it is deleted and created again as it is"
	case mirror.PromoteInto:
		return fmt.Sprintf("to make a bucket %s of its keys and history, %s", a.Into, rt.run("promote", bucket, "--into", a.Into))
	case mirror.RemoveCopy:
		if a.Stream == "" {
			return "no server changes the storage of a stream: " + rt.removeFirst(kvcfg.StreamName(bucket))
		}
		return rt.removeFirst(a.Stream)
	case mirror.CheckStorage:
		return "check the account's and the server's storage and the bucket's limit; a copy that has stopped does not go on: " + rt.removeFirst(a.Stream)
	}
	return ""
}

// fixedHints are those that name nothing of the run.
func fixedHints() map[mirror.AdviceCode]string {
	return map[mirror.AdviceCode]string{
		mirror.CheckRoute:       "check that JetStream is enabled there, the domain and the prefix, the link, and the imports of the account",
		mirror.GrantSubject:     "the user needs permission for the subject",
		mirror.GrantInbox:       "the user needs permission to subscribe to inboxes, as _INBOX.>; if it has it for others, name their prefix with --inbox-prefix PREFIX",
		mirror.OtherPlacement:   "no servers fit --cluster, --tags and --replicas: name others, or --replicas 1",
		mirror.OneReplica:       "add --replicas 1",
		mirror.WaitForLeader:    "the cluster has no leader, or no majority: run the command again, with a longer --timeout to wait for one",
		mirror.NameAPIPrefix:    "add --mirror-api-prefix PREFIX for an origin in another account",
		mirror.OtherPrefix:      "it is the prefix of the mirror's own domain: name the origin's with --mirror-domain DOMAIN, or another --mirror-api-prefix PREFIX",
		mirror.StartServers:     "the servers that host it are down, or too old for it: `nats server report jetstream --user USER --password PASSWORD`, of the system account, shows them",
		mirror.LongerTimeout:    "a longer --timeout may help",
		mirror.EnableJetStream:  "enable JetStream for the account, or connect with another user or context",
		mirror.UseNatsKV:        "use `nats kv` for buckets that are no mirrors",
		mirror.DecideTTL:        "to go on without reading it, add --allow-msg-ttl or --no-allow-msg-ttl",
		mirror.ConsentToUpdate:  "add --update to change it",
		mirror.OtherName:        "choose another name, or remove that bucket first",
		mirror.AddWithoutTTL:    "add --no-allow-msg-ttl for a mirror without it, which keeps forever what expires at the origin",
		mirror.RecreateAsItIs:   "without another filter or origin it is created again as it is",
		mirror.RunAgain:         "run the command again to see how it is now",
		mirror.RunAgainRest:     "run the command again to do what is left",
		mirror.RunAgainFinish:   "run the command again to finish it",
		mirror.RunAgainSafe:     "running the command again is safe",
		mirror.RunAgainReads:    "run the command again to read it again",
		mirror.RunAgainLater:    "run the command again when the cause is gone",
		mirror.NewerServer:      "the server may be too old for it",
		mirror.CheckLink:        "check the link, and whether the mirror may create a consumer on the origin",
		mirror.OriginAlive:      "promote when the origin is lost; if nothing writes to the origin any more, add --origin-alive",
		mirror.DisableMirrorDir: "turn its mirror_direct off, or promote all the same with --origin-alive",
		mirror.OtherDomains:     "the mirrors of another domain are found with --js-domain DOMAIN, those of several with --domains DOMAIN,DOMAIN",
		mirror.SeeFixes:         "the findings list their fix",
		mirror.PruneGone:        "to purge them as well, add --gone",
		mirror.SeeRemedies:      "what a purge cannot fix is listed with its fix",
	}
}

// sharing is what the accounts of an origin and its mirror have to share.
func (rt *runtime) sharing(o kvcfg.Origin) string {
	text := "the accounts have to share what follows, here as the configuration of their servers; " +
		kvcfg.OriginAccount + " and " + kvcfg.MirrorAccount + " stand for their names, which are not known here"
	if o.DeliverPrefix == "" {
		text += ", and --mirror-deliver-prefix deliver." + kvcfg.MirrorAccount + " is needed as well"
	}
	return text + "\n" + indented(o.Sharing())
}

// indented is a text of several lines that belongs to the hint above it: it is
// shown as it is, to be pasted.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + line)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
