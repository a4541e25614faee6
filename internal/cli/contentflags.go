package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/choria-io/fisk"

	"nats-kvmirror/internal/mirror"
)

// defaultLimit is how many of the messages that differ are shown.
const defaultLimit = 20

// contentFlags are the flags of how messages are compared.
type contentFlags struct {
	payload     bool
	limit       *int64
	differences string
	rate        *int64
}

// addTo declares the flags; with says in the helps when they count.
func (o *contentFlags) addTo(cmd *fisk.CmdClause, with string) {
	cmd.Flag("payload", with+"compare the bodies and all headers as well").UnNegatableBoolVar(&o.payload)
	countFlag(cmd.Flag("limit", fmt.Sprintf("%sshow this many of the messages that differ of each mirror; default %d", with, defaultLimit)), "limit", &o.limit).PlaceHolder("MSGS")
	cmd.Flag("differences", with+"write all messages that differ to this file, a line of JSON each").PlaceHolder("FILE").StringVar(&o.differences)
	countFlag(cmd.Flag("rate", with+"read no more messages a second from an origin"), "rate", &o.rate).PlaceHolder("MSGS")
}

// given says whether any of the flags is.
func (o *contentFlags) given() bool {
	return o.payload || o.limit != nil || o.differences != "" || o.rate != nil
}

func (o *contentFlags) complete() error {
	switch {
	case o.limit != nil && *o.limit < 0:
		return fail(kindUsage, "", "--limit: %d is negative", *o.limit)
	case o.rate != nil && (*o.rate < 1 || *o.rate > math.MaxInt32):
		return fail(kindUsage, "", "--rate: %d is not between 1 and %d", *o.rate, math.MaxInt32)
	}
	return nil
}

// options are what the flags say. finish closes the file of differences.
func (o *contentFlags) options() (opts mirror.ContentOptions, finish func() error, err error) {
	opts = mirror.ContentOptions{Bodies: o.payload, Shown: defaultLimit}
	if o.limit != nil {
		opts.Shown = int(min(*o.limit, math.MaxInt32))
	}
	if o.rate != nil {
		opts.Rate = int(*o.rate)
	}
	if o.differences == "" {
		return opts, func() error { return nil }, nil
	}
	file, err := createDifferences(o.differences)
	if err != nil {
		return opts, nil, err
	}
	opts.Found = file.add
	return opts, file.close, nil
}

// differencesFile is the file for all messages that differ.
type differencesFile struct {
	file *os.File
	buf  *bufio.Writer
	json *json.Encoder
}

func createDifferences(name string) (*differencesFile, error) {
	file, err := os.Create(name)
	if err != nil {
		return nil, fail(kindUsage, "", "--differences: %w", err)
	}
	buf := bufio.NewWriter(file)
	encoder := json.NewEncoder(buf)
	encoder.SetEscapeHTML(false)
	return &differencesFile{file, buf, encoder}, nil
}

// add writes a line about a message of a bucket.
func (f *differencesFile) add(domain, bucket string, i mirror.Item) error {
	err := f.json.Encode(struct {
		Domain string `json:"domain,omitempty"`
		Bucket string `json:"bucket"`
		mirror.Item
	}{domain, bucket, i})
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", f.file.Name(), err)
	}
	return nil
}

// close writes what is left.
func (f *differencesFile) close() error {
	if err := errors.Join(f.buf.Flush(), f.file.Close()); err != nil {
		return fmt.Errorf("cannot write %q: %w", f.file.Name(), err)
	}
	return nil
}
