package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/render"
)

// defaultLimit is how many of the messages that differ are shown.
const defaultLimit = 20

// contentOptions are the flags of check and sync about the messages.
type contentOptions struct {
	content bool
	payload bool
	limit   *int64
	outfile string
	rate    *int64
}

// addContent declares the flags; with says when those beside --content count.
func (o *contentOptions) addContent(cmd *fisk.CmdClause, help, with string) {
	cmd.Flag("content", help).UnNegatableBoolVar(&o.content)
	cmd.Flag("payload", with+"compare the bodies and all headers as well").UnNegatableBoolVar(&o.payload)
	countFlag(cmd.Flag("limit", fmt.Sprintf("%show many of the messages that differ to show of each mirror; default %d", with, defaultLimit)), "limit", &o.limit).PlaceHolder("MSGS")
	cmd.Flag("outfile", with+"write all messages that differ to this file, a line of JSON each").PlaceHolder("FILE").StringVar(&o.outfile)
	countFlag(cmd.Flag("rate", with+"read no more messages a second from an origin"), "rate", &o.rate).PlaceHolder("MSGS")
}

// complete validates the flags; walked says whether messages are read at all.
func (o *contentOptions) complete(walked bool) error {
	switch {
	case !walked && (o.payload || o.limit != nil || o.outfile != "" || o.rate != nil):
		return fail(kindUsage, "", "--payload, --limit, --outfile and --rate need --content")
	case o.limit != nil && *o.limit < 0:
		return fail(kindUsage, "", "--limit: %d is negative", *o.limit)
	case o.rate != nil && (*o.rate < 1 || *o.rate > math.MaxInt32):
		return fail(kindUsage, "", "--rate: %d is not between 1 and %d", *o.rate, math.MaxInt32)
	}
	return nil
}

// shown is how many messages are shown of each mirror.
func (o *contentOptions) shown() int {
	if o.limit == nil {
		return defaultLimit
	}
	return int(min(*o.limit, math.MaxInt32))
}

// comparer compares a mirror with its origin.
func (o *contentOptions) comparer(s *session, m fleet.Mirror) *content.Comparer {
	c := &content.Comparer{
		Mirror: s.own, MirrorStream: m.Facts.Mirror.Config.Name,
		Origin: s.conn.At(m.Origin.Prefix(s.own.Prefix())), OriginStream: m.Origin.Stream(),
		DeliverPrefix: m.Origin.DeliverPrefix, Bodies: o.payload,
	}
	if o.rate != nil {
		c.Rate = int(*o.rate)
	}
	return c
}

// compare compares the messages of a mirror with its origin's, with a bar while
// it takes long. found is told of each message that differs.
func (rt *runtime) compare(ctx context.Context, s *session, o *contentOptions, m fleet.Mirror, c *content.Comparer, found func(content.Item) error) (*render.Content, error) {
	bar := newContentBar(rt, s.style, "Comparing "+m.Bucket)
	defer bar.stop()
	r := &render.Content{Items: []content.Item{}}
	c.Progress = bar.at
	c.Found = func(i content.Item) error {
		if len(r.Items) < o.shown() {
			r.Items = append(r.Items, i)
		}
		return found(i)
	}
	var err error
	r.Result, err = c.Compare(ctx)
	bar.done = err == nil
	return r, err
}

// contentFacts are the counts of a comparison for the check.
func contentFacts(r *render.Content, err error) *check.Content {
	f := &check.Content{LeftOver: r.LeftOver, Missing: r.Missing, Different: r.Different}
	switch {
	case err != nil:
		f.Unverified = err.Error()
	case r.OriginUnreadable != "":
		f.Unverified = r.OriginUnreadable
	case r.Pending > 0:
		f.Unverified = fmt.Sprintf("the mirror is %s behind, and %d of its messages may be replaced by what is yet to come", plural(int(r.Behind), "sequence"), r.Pending)
	case r.Ahead > 0:
		f.Unverified = fmt.Sprintf("the mirror is %s ahead of its origin, which is not the one that it was filled from", plural(int(r.Ahead), "sequence"))
	case r.Uncertain > 0:
		f.Unverified = fmt.Sprintf("%s older than the mirror's first, which it has dropped at its limit, or lacks", plural(int(r.Uncertain), "message is", "messages are"))
	case r.Verdict == content.Unverified:
		f.Unverified = fmt.Sprintf("the mirror may be %s behind", plural(int(r.Behind), "sequence"))
	}
	return f
}

// itemFile is the file for all messages that differ.
type itemFile struct {
	file *os.File
	buf  *bufio.Writer
	json *json.Encoder
}

// createItemFile creates the file; with no name nothing is written.
func createItemFile(name string) (*itemFile, error) {
	if name == "" {
		return &itemFile{}, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fail(kindUsage, "", "--outfile: %w", err)
	}
	buf := bufio.NewWriter(file)
	encoder := json.NewEncoder(buf)
	encoder.SetEscapeHTML(false)
	return &itemFile{file, buf, encoder}, nil
}

// add writes a line about a message of a bucket.
func (f *itemFile) add(bucket string, i content.Item) error {
	if f.file == nil {
		return nil
	}
	err := f.json.Encode(struct {
		Bucket string `json:"bucket"`
		content.Item
	}{bucket, i})
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", f.file.Name(), err)
	}
	return nil
}

// close writes what is left.
func (f *itemFile) close() error {
	if f.file == nil {
		return nil
	}
	if err := errors.Join(f.buf.Flush(), f.file.Close()); err != nil {
		return fmt.Errorf("cannot write %q: %w", f.file.Name(), err)
	}
	return nil
}
