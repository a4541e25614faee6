package cli

import (
	"fmt"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/kvcfg"
)

// settings are the flags of a bucket's configuration that add and edit share.
type settings struct {
	kvcfg.Settings
	republishSource      *string
	republishDestination *string
	republishHeaders     *bool
	dryRun               bool
}

// addSettings declares the flags of `nats kv add` and `nats kv edit` that make
// sense on a mirror. whose says in the helps where a setting comes from when
// the flag is not given.
func (s *settings) addSettings(cmd *fisk.CmdClause, rt *runtime, whose string) {
	w := &s.Settings
	textFlag(cmd.Flag("description", "What the bucket is for"), "description", &w.Description).PlaceHolder("TEXT")
	countFlag(cmd.Flag("history", fmt.Sprintf("Values to keep of each key, 1 to %d%s", kvcfg.MaxHistory, whose)), "history", &w.History).PlaceHolder("VALUES")
	durationFlag(cmd.Flag("ttl", "Age at which values are dropped, 0 for never"+whose), "ttl", &w.TTL).PlaceHolder("DURATION")
	sizeFlag(cmd.Flag("max-value-size", "Size of the largest value, 0 for any"+whose), "max-value-size", maxValueSize, &w.MaxValueSize).PlaceHolder("BYTES")
	addRoom(cmd, w)
	boolFlag(cmd.Flag("compress", "Compress the data on disk"), "compress", &w.Compress)
	cmd.Flag("metadata", "Metadata of the stream, as key=value (can be repeated); replaces what there was").PlaceHolder("META").SetValue(metadataValue{&w.Metadata})
	nameFlag(cmd.Flag("republish-source", "Subjects of the messages to republish"), "republish-source", &s.republishSource).PlaceHolder("SRC")
	nameFlag(cmd.Flag("republish-destination", "Where to republish what the mirror stores"), "republish-destination", &s.republishDestination).PlaceHolder("DEST")
	boolFlag(cmd.Flag("republish-headers", "Republish the headers alone"), "republish-headers", &s.republishHeaders)
	dryRunFlag(cmd, rt, "Show what would be done and do nothing; exit code 2 when there is something to do, 3 when that is not known", &s.dryRun)
}

// addRoom declares the flags that say where a bucket is and how large it may be, and that
// of per-key TTL: recreate has them as well.
func addRoom(cmd *fisk.CmdClause, w *kvcfg.Settings) {
	countFlag(cmd.Flag("replicas", fmt.Sprintf("Servers that hold a copy, 1 to %d", kvcfg.MaxReplicas)), "replicas", &w.Replicas).PlaceHolder("SERVERS")
	sizeFlag(cmd.Flag("max-bucket-size", "Size of the whole bucket, 0 for any; a mirror that is full stops"), "max-bucket-size", maxBucketSize, &w.MaxBucketSize).PlaceHolder("BYTES")
	cmd.Flag("tags", "Keep the bucket on servers with this tag (can be repeated)").PlaceHolder("TAG").StringsVar(&w.Tags)
	nameFlag(cmd.Flag("cluster", "Keep the bucket in this cluster"), "cluster", &w.Cluster).PlaceHolder("NAME")
	boolFlag(cmd.Flag("allow-msg-ttl", "Let keys and delete markers expire, whatever the origin has"), "allow-msg-ttl", &w.AllowMsgTTL)
}

// dryRunFlag declares --dry-run of a command that compares mirrors with their origins.
func dryRunFlag(cmd *fisk.CmdClause, rt *runtime, help string, target *bool) {
	flag := cmd.Flag("dry-run", help)
	flag.PreAction(func(*fisk.ParseContext) error {
		rt.comparing = true
		return nil
	})
	flag.UnNegatableBoolVar(target)
}

// complete validates the settings and fills in what several flags make up.
func (s *settings) complete() error {
	if s.republishDestination != nil {
		s.RePublish = &kvcfg.RePublishSettings{Source: s.republishSource, Destination: *s.republishDestination, HeadersOnly: s.republishHeaders}
	} else if s.republishSource != nil || s.republishHeaders != nil {
		return fail(kindUsage, "", "--republish-source and --republish-headers need --republish-destination")
	}
	return s.Validate()
}

const (
	markerTTLReason = "a mirror cannot have limit markers: servers forbid them, because a marker made by the mirror would use up a sequence number of the origin's"
	markerTTLHint   = "set --marker-ttl on the origin; its markers reach the mirror, where per-key TTL (--allow-msg-ttl) lets them expire"
	sourceReason    = "a mirror has one origin and cannot have sources"
)

// refuse declares a flag of `nats kv` that is answered with a reason.
func refuse(cmd *fisk.CmdClause, name, reason, hint string) {
	cmd.Flag(name, "Not possible on a mirror").Hidden().PlaceHolder("VALUE").SetValue(refusedValue{flag: name, reason: reason, hint: hint})
}

// refuseNegated is refuse for a flag without a value.
func refuseNegated(cmd *fisk.CmdClause, name, reason, hint string) {
	cmd.Flag(name, "Not possible on a mirror").Hidden().SetValue(refusedValue{flag: name, reason: reason, hint: hint, boolean: true})
}

// outputFlags declares -j and -q.
func outputFlags(cmd *fisk.CmdClause, rt *runtime) {
	cmd.Flag("json", "Write one JSON document").Short('j').UnNegatableBoolVar(&rt.json)
	quietFlag(cmd, rt)
}

// quietFlag declares -q.
func quietFlag(cmd *fisk.CmdClause, rt *runtime) {
	flag := cmd.Flag("quiet", "Write nothing to stdout but the document of --json").Short('q')
	flag.PreAction(func(*fisk.ParseContext) error {
		rt.silence()
		return nil
	})
	flag.UnNegatableBool()
}
