package render

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/nats-io/natscli/columns"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/stream"
)

// Text writes the report in the form of `nats kv info`: every line of it, in its
// order, then what it does not show. The heading takes the place of the usual first
// line, unless it is "". The report's Info must be set.
func Text(w io.Writer, r mirror.Report, heading string, style Style) error {
	cols := columns.New("")
	if c, ok := style.color(); ok {
		cols.SetSeparator(c.Sprint(":"))
	}
	s := r.Info
	if heading == "" {
		heading = fmt.Sprintf("Information for Key-Value Store Bucket %s created %s", Clean(r.Bucket), columns.F(s.Created))
	}
	cols.SetHeading(heading)
	cols.AddSectionTitle("Configuration")
	addBucket(cols, s)
	if s.Config.Mirror != nil {
		addMirror(cols, s)
	}
	addSources(cols, s)
	if metadata := userMetadata(s.Config.Metadata); len(metadata) > 0 {
		cols.AddSectionTitle("Metadata")
		cols.AddMapStrings(metadata)
	}
	if s.Cluster != nil {
		cols.AddSectionTitle("Cluster Information")
		addCluster(cols, s.Cluster)
	}
	if r.Origin != nil {
		cols.AddSectionTitle("Origin Information")
		addOrigin(cols, r)
	}
	if taken := takenFromOrigin(r.Changes); len(taken) > 0 {
		cols.AddSectionTitle("Taken From Origin")
		for _, c := range taken {
			cols.AddRow(Label(c.Field), Value(c.Field, c.To))
		}
	}
	// columns drops the errors of its own writer.
	block, err := cols.Render()
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, block)
	return err
}

func addBucket(cols *columns.Writer, s *stream.Info) {
	c := s.Config
	cols.AddRow("Bucket Name", Clean(kvcfg.DisplayName(c.Name)))
	cols.AddRow("History Kept", c.MaxMsgsPerSubject)
	cols.AddRow("Values Stored", s.State.Msgs)
	cols.AddRow("Compressed", c.Compressed())
	// `nats` derives this from the limit marker TTL, which a mirror cannot have.
	cols.AddRow("Per-Key TTL Supported", c.AllowMsgTTL)
	cols.AddRowIf("Limit Marker TTL", c.SubjectDeleteMarkerTTL.String(), c.SubjectDeleteMarkerTTL > 0)
	cols.AddRow("Backing Store Kind", "JetStream")
	cols.AddRowIfNotEmpty("Description", Clean(c.Description))
	cols.AddRow("Bucket Size", humanize.IBytes(s.State.Bytes))
	cols.AddRow("Maximum Bucket Size", bytesOrUnlimited(c.MaxBytes))
	cols.AddRow("Maximum Value Size", bytesOrUnlimited(c.MaxMsgSize))
	cols.AddRow("Maximum Age", ageOrUnlimited(c.MaxAge))
	cols.AddRow("JetStream Stream", Clean(c.Name))
	cols.AddRow("Storage", storage(c.Storage))
	if p := c.RePublish; p != nil {
		label := "Republishing"
		if p.HeadersOnly {
			label = "Republishing Headers"
		}
		cols.AddRowf(label, "%s to %s", Clean(p.Source), Clean(p.Destination))
	}
}

func addMirror(cols *columns.Writer, s *stream.Info) {
	origin := s.Config.Mirror
	cols.AddSectionTitle("Mirror Information")
	cols.AddRow("Origin Bucket", originBucket(origin.Name))
	if origin.External != nil {
		cols.AddRow("External API", Clean(origin.External.APIPrefix))
	}
	addTaken(cols, s.Config)
	if s.Mirror != nil {
		addLink(cols, *s.Mirror)
	}
}

// addTaken adds what a mirror takes of its origin, and how, where that is not all.
func addTaken(cols *columns.Writer, c stream.Config) {
	origin := c.Mirror
	cols.AddRowIf("Starts At Sequence", origin.OptStartSeq, origin.OptStartSeq > 0)
	if origin.OptStartTime != nil {
		cols.AddRow("Starts At Time", *origin.OptStartTime)
	}
	for _, t := range origin.SubjectTransforms {
		if t.Destination != "" && t.Destination != t.Source && t.Destination != stream.IdentityTransform(t.Source) {
			cols.AddRow("Keys Stored As", fmt.Sprintf("%s to %s", Clean(t.Source), Clean(t.Destination)))
		}
	}
	if origin.Consumer != nil {
		cols.AddRow("Origin Consumer", Clean(origin.Consumer.Name))
	}
	cols.AddRowIf("Sealed", true, c.Sealed)
	cols.AddRowIf("Retention", Clean(c.Retention), c.Retention != "" && c.Retention != "limits")
}

func addSources(cols *columns.Writer, s *stream.Info) {
	if len(s.Sources) == 0 {
		return
	}
	cols.AddSectionTitle("Sources Information")
	for _, link := range s.Sources {
		cols.AddRow("Source Bucket", originBucket(link.Name))
		if link.External != nil {
			cols.AddRow("External API", Clean(link.External.APIPrefix))
		}
		addLink(cols, link)
	}
}

func addLink(cols *columns.Writer, link stream.SourceInfo) {
	if seen(link.Active) {
		cols.AddRow("Last Seen", link.Active)
	} else {
		cols.AddRow("Last Seen", "never")
	}
	cols.AddRow("Lag", link.Lag)
}

func addCluster(cols *columns.Writer, c *stream.ClusterInfo) {
	cols.AddRow("Name", Clean(c.Name))
	cols.AddRow("Leader", Clean(c.Leader))
	for _, p := range c.Replicas {
		cols.AddRow("Replica", replica(p))
	}
}

func replica(p stream.PeerInfo) []string {
	state := []string{Clean(p.Name)}
	if p.Current {
		state = append(state, "current")
	} else {
		state = append(state, "outdated")
	}
	if p.Offline {
		state = append(state, "OFFLINE")
	}
	if seen(p.Active) {
		state = append(state, fmt.Sprintf("seen %s ago", columns.F(p.Active)))
	} else {
		state = append(state, "not seen")
	}
	if p.Lag == 1 {
		state = append(state, "1 operation behind")
	} else if p.Lag > 1 {
		state = append(state, columns.F(p.Lag)+" operations behind")
	}
	return state
}

func addOrigin(cols *columns.Writer, r mirror.Report) {
	o := r.Origin
	if r.Link != nil && r.Link.Error != "" {
		cols.AddRow("Mirror Error", Clean(r.Link.Error))
	}
	if r.Info.Config.Filtered() {
		cols.AddRow("Mirrored Keys", mirroredKeys(r.Info.Config, o.Bucket))
	}
	if !o.Reachable {
		cols.AddRow("Origin Reachable", "false, "+Clean(o.Problem))
		for _, field := range kvcfg.Chosen(r.Info.Config) {
			cols.AddRow("Chosen", Label(field)) // the origin's is not known
		}
		return
	}
	cols.AddRow("Origin Reachable", true)
	if o.PerKeyTTL != nil {
		cols.AddRow("Origin Per-Key TTL", *o.PerKeyTTL)
	}
	if o.Behind != nil {
		if o.BehindBound && *o.Behind > 0 {
			cols.AddRow("Messages Behind", "at most "+columns.F(*o.Behind))
		} else {
			cols.AddRow("Messages Behind", *o.Behind)
		}
	}
	if o.LeftOver != nil && *o.LeftOver > 0 {
		cols.AddRow("Messages Left Over", "at least "+columns.F(*o.LeftOver)+", gone at the origin")
	}
	if o.Missing != nil && *o.Missing > 0 {
		cols.AddRow("Messages Missing", *o.Missing)
	}
	if o.Follows != nil {
		cols.AddRow("Follows Origin", *o.Follows)
	}
	for _, c := range o.Differs {
		cols.AddRow("Differs", comparison(c))
	}
	for _, c := range o.Chosen {
		cols.AddRow("Chosen", comparison(c))
	}
}

// comparison is a setting on both sides.
func comparison(c kvcfg.Change) string {
	return fmt.Sprintf("%s: %s here, %s at the origin", Label(c.Field), Value(c.Field, c.From), Value(c.Field, c.To))
}

// mirroredKeys are a mirror's filters as keys of its origin.
func mirroredKeys(c stream.Config, origin string) []string {
	var keys []string
	for _, f := range c.Filters() {
		keys = append(keys, Clean(strings.TrimPrefix(f, "$KV."+origin+".")))
	}
	return keys
}

func takenFromOrigin(changes []kvcfg.Change) []kvcfg.Change {
	var taken []kvcfg.Change
	for _, c := range changes {
		if c.Source == kvcfg.FromOrigin {
			taken = append(taken, c)
		}
	}
	return taken
}

// storage is the storage as `nats` spells it.
func storage(s string) string {
	switch s {
	case "file":
		return "File"
	case "memory":
		return "Memory"
	}
	return Clean(s)
}

func seen(active time.Duration) bool { return active > 0 && active < math.MaxInt64 }

func originBucket(stream string) string { return Clean(kvcfg.DisplayName(stream)) }

// userMetadata is metadata fit for a terminal, without the server's own and what is
// shown as chosen.
func userMetadata(metadata map[string]string) map[string]string {
	shown := withoutReserved(metadata)
	delete(shown, kvcfg.ChosenKey)
	return shown
}

// withoutReserved is metadata without the server's own, fit for a terminal.
func withoutReserved(metadata map[string]string) map[string]string {
	shown := map[string]string{}
	for k, v := range metadata {
		if !strings.HasPrefix(k, stream.ReservedMetadata) {
			shown[Clean(k)] = Clean(v)
		}
	}
	return shown
}
