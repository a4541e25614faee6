package render

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
	pretty "github.com/jedib0t/go-pretty/v6/text"
	"github.com/nats-io/natscli/columns"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// JSON writes a [Report] or a [Fleet] as one indented document.
func JSON(w io.Writer, r any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Clean makes control characters, and what would change the direction or the
// place of the text around it, visible: names and texts come from the network
// and go to a terminal.
func Clean(text string) string {
	if !strings.ContainsFunc(text, unsafeRune) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unsafeRune(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func unsafeRune(r rune) bool {
	return r == unicode.ReplacementChar || r != ' ' && !unicode.IsGraphic(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
}

// Style is how text is to look; its zero value is plain.
type Style struct {
	ColorScheme string // one of the colors of `nats`, or ""
	Terminal    bool   // colors are for terminals
	Width       int    // of the terminal; 0 when not known
}

// color is the color of a scheme; ok is false when there is none.
func (s Style) color() (c pretty.Color, ok bool) {
	c, ok = map[string]pretty.Color{
		"yellow": pretty.FgYellow, "blue": pretty.FgBlue, "cyan": pretty.FgCyan,
		"green": pretty.FgGreen, "magenta": pretty.FgMagenta, "red": pretty.FgRed,
	}[s.ColorScheme]
	return c, ok && s.Terminal
}

// Color is the color of bars and borders.
func (s Style) Color() pretty.Color {
	if c, ok := s.color(); ok {
		return c
	}
	return pretty.FgWhite
}

// Text writes the report in the form of `nats kv info`: every line of it, in its
// order, then what it keeps back.
func Text(w io.Writer, r Report, style Style) error {
	cols := columns.New("")
	if c, ok := style.color(); ok {
		cols.SetSeparator(c.Sprint(":"))
	}
	s := r.Source
	cols.SetHeading(heading(r))
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
	// The writer of columns keeps errors to itself.
	block, err := cols.Render()
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, block)
	return err
}

func heading(r Report) string {
	if r.Heading != "" {
		return r.Heading
	}
	return fmt.Sprintf("Information for Key-Value Store Bucket %s created %s", Clean(r.Bucket), columns.F(r.Source.Created))
}

func addBucket(cols *columns.Writer, s *stream.Info) {
	c := s.Config
	bucket, _ := kvcfg.BucketName(c.Name)
	cols.AddRow("Bucket Name", Clean(bucket))
	cols.AddRow("History Kept", c.MaxMsgsPerSubject)
	cols.AddRow("Values Stored", s.State.Msgs)
	cols.AddRow("Compressed", c.Compressed())
	// `nats` tells this from the limit marker, which a mirror cannot have.
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
	if s.Mirror != nil {
		addLink(cols, *s.Mirror)
	}
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

func addOrigin(cols *columns.Writer, r Report) {
	o := r.Origin
	if r.Mirror != nil && r.Mirror.Error != "" {
		cols.AddRow("Mirror Error", Clean(r.Mirror.Error))
	}
	if r.Source.Config.Filtered() {
		cols.AddRow("Mirrored Keys", mirroredKeys(r.Source.Config, o.Bucket))
	}
	switch {
	case o.Reachable == nil:
		cols.AddRow("Origin Reachable", "not tried")
		return
	case !*o.Reachable:
		cols.AddRow("Origin Reachable", "false, "+Clean(o.Problem))
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
		cols.AddRow("Differs", fmt.Sprintf("%s: %s here, %s at the origin", Label(c.Field), Value(c.Field, c.From), Value(c.Field, c.To)))
	}
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

// Differences writes changes field by field, old values before new ones.
func Differences(w io.Writer, changes []kvcfg.Change) error {
	var b strings.Builder
	b.WriteString("Differences (-old +new):\n")
	for _, c := range changes {
		note := ""
		if c.Source == kvcfg.FromOrigin {
			note = "  (as the origin)"
		}
		fmt.Fprintf(&b, "- %s: %s\n+ %s: %s%s\n", c.Field, Value(c.Field, c.From), c.Field, Value(c.Field, c.To), note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Label is what people call a field of a configuration.
func Label(field string) string {
	switch field {
	case "allow_msg_ttl":
		return "Per-Key TTL"
	case "max_age":
		return "Maximum Age"
	case "max_msgs_per_subject":
		return "History"
	case "max_msg_size":
		return "Maximum Value Size"
	}
	return Clean(field)
}

// Value is a field's value for people: sizes and durations in their units. No
// value at all is the same as null.
func Value(field string, data json.RawMessage) string {
	var n int64
	none := len(data) == 0 || string(data) == "null"
	switch {
	case field == "allow_msg_ttl" && none:
		return "false"
	case none:
		return "none"
	case field == "metadata":
		return metadataValue(data)
	case json.Unmarshal(data, &n) != nil:
		return Clean(unescaped(data))
	}
	switch field {
	case "max_age":
		return ageOrUnlimited(time.Duration(n))
	case "duplicate_window", "subject_delete_marker_ttl":
		return columns.F(time.Duration(n))
	case "max_msg_size", "max_bytes":
		return bytesOrUnlimited(n)
	case "max_msgs", "max_msgs_per_subject", "max_consumers":
		if n <= 0 {
			return "unlimited"
		}
	}
	return columns.F(n)
}

func bytesOrUnlimited(n int64) string {
	if n <= 0 {
		return "unlimited"
	}
	return humanize.IBytes(uint64(n))
}

func ageOrUnlimited(d time.Duration) string {
	if d <= 0 {
		return "unlimited"
	}
	return columns.F(d)
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

func originBucket(stream string) string {
	bucket, _ := kvcfg.BucketName(stream)
	return Clean(bucket)
}

// unescaped is JSON with <, > and & as themselves: servers escape them, and
// subjects are full of them.
func unescaped(data json.RawMessage) string {
	// The first pair keeps an escaped backslash from being taken for more.
	return strings.NewReplacer(`\\`, `\\`, `\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(data))
}

// metadataValue is metadata in one line, without the server's own.
func metadataValue(data json.RawMessage) string {
	var metadata map[string]string
	if json.Unmarshal(data, &metadata) != nil {
		return Clean(string(data))
	}
	shown := userMetadata(metadata)
	if len(shown) == 0 {
		return "none"
	}
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(shown)) {
		pairs = append(pairs, k+"="+shown[k])
	}
	return strings.Join(pairs, ", ")
}

// userMetadata is metadata without the server's own, fit for a terminal.
func userMetadata(metadata map[string]string) map[string]string {
	shown := map[string]string{}
	for k, v := range metadata {
		if !strings.HasPrefix(k, stream.ReservedMetadata) {
			shown[Clean(k)] = Clean(v)
		}
	}
	return shown
}
