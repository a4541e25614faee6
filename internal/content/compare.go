package content

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
)

const (
	// secondLook is the pause before what differs is looked at again. Servers
	// look for expired messages about once a second.
	secondLook = 2500 * time.Millisecond
	// patience is how long a mirror may take to get what came at its origin
	// while we were reading, and poll how often it is asked.
	patience = 5 * time.Second
	poll     = 100 * time.Millisecond
	// tellEvery is after how many messages the progress is told.
	tellEvery = 64
	// samples is how many ranges of sampleSize sequences a quick comparison
	// reads.
	samples    = 8
	sampleSize = 500
)

// Verdict is what a comparison came to.
type Verdict string

// The verdicts.
const (
	Identical Verdict = "identical" // every message was compared
	Alike     Verdict = "alike"     // the counts agree, and a sample of messages
	Differs   Verdict = "differs"
	Unverified  Verdict = "unproved" // not all could be compared
)

// ErrRenames is returned for a mirror that renames keys in a way that cannot be
// followed.
var ErrRenames = errors.New("the mirror renames keys in a way that cannot be compared")

// Comparer compares a mirror with its origin.
type Comparer struct {
	Mirror, Origin             *jsapi.API
	MirrorStream, OriginStream string
	// DeliverPrefix is where the messages of an origin in another account
	// arrive; "" where they come straight to the inbox.
	DeliverPrefix string
	// Bodies asks for the bodies and all headers to be compared, by their
	// digests.
	Bodies bool
	// Rate is how many messages a second are read of the origin at the most; 0
	// means as many as come.
	Rate int
	// Quick is content with a sample where all counts agree.
	Quick bool
	// Found is told of each item, by rising sequence; nil to count them alone.
	// Its error ends the comparison.
	Found func(Item) error
	// Progress is told how many of about how many messages were read; nil for
	// nobody.
	Progress func(done, of uint64)
}

// Result is what a comparison found.
type Result struct {
	Verdict Verdict `json:"verdict"`
	// Through is the last sequence that was compared, and Compared how many
	// messages are the same on both sides.
	Through  uint64 `json:"through"`
	Compared uint64 `json:"compared"`
	Payload  bool   `json:"payload"` // whether the bodies were compared
	// Missing and the others are how many messages differ, by reason.
	Missing   map[string]uint64 `json:"missing"`
	LeftOver  map[string]uint64 `json:"left_over"`
	Different map[string]uint64 `json:"different"`
	// ByDesign is how many messages only one side is meant to hold, and Kept how
	// many of them that is the mirror.
	ByDesign uint64 `json:"by_design"`
	Kept     uint64 `json:"kept_by_design"`
	// Uncertain is how many messages the mirror has dropped at its limit, or lacks.
	Uncertain uint64 `json:"doubtful"`
	// Pending is how many messages of the mirror may go when it has caught up,
	// and Behind how many sequences it lacks up to the origin's last.
	Pending uint64 `json:"pending"`
	Behind  uint64 `json:"behind"`
	// Ahead is how many sequences the origin lacks up to the mirror's last: it is
	// not the one that the mirror was filled from.
	Ahead uint64 `json:"ahead"`
	// OriginUnreadable is why the origin's messages could not be read; what is left over
	// is then what the mirror alone shows to be.
	OriginUnreadable string `json:"unread,omitempty"`
}

// wrong is how many messages are not as they should be.
func (r *Result) wrong() uint64 { return Sum(r.Missing) + Sum(r.LeftOver) + Sum(r.Different) }

// design counts what only one side is meant to hold.
func (r *Result) design(p pair) {
	r.ByDesign++
	if p.mirror != nil {
		r.Kept++
	}
}

// Sum is how many messages a map of reasons counts.
func Sum(reasons map[string]uint64) uint64 {
	var n uint64
	for _, count := range reasons {
		n += count
	}
	return n
}

// Compare compares. What differs is looked at a second time, after a pause,
// before it is counted: messages come and expire all the while, and not on both
// sides at once. An origin whose messages cannot be read is no error; the
// verdict is then [Unverified].
func (c *Comparer) Compare(ctx context.Context) (Result, error) {
	result := c.newResult()
	err := c.compare(ctx, &result)
	if u := (*unreadError)(nil); errors.As(err, &u) && ctx.Err() == nil {
		err = nil
		if result.wrong() == 0 { // else what was told of already is true
			result = c.newResult()
			err = c.alone(ctx, &result)
		}
		result.OriginUnreadable = u.err.Error()
	}
	return result, err
}

func (c *Comparer) newResult() Result {
	return Result{
		Verdict: Unverified, Payload: c.Bodies,
		Missing: map[string]uint64{}, LeftOver: map[string]uint64{}, Different: map[string]uint64{},
	}
}

func (c *Comparer) compare(ctx context.Context, result *Result) error {
	now, err := c.read(ctx)
	if err != nil {
		return err
	}
	if c.Quick && now.agree() {
		if alike, err := c.sample(ctx, now, result); err != nil || alike {
			return err
		}
	}
	suspects, err := c.suspects(ctx, now, result)
	if err != nil {
		return err
	}
	if suspects.n > 0 {
		if now, err = c.confirm(ctx, suspects, result); err != nil {
			return err
		}
	}
	result.Behind, result.Ahead = now.behind, now.ahead
	switch {
	case result.wrong() > 0:
		result.Verdict = Differs
	case result.Pending == 0 && result.Behind == 0 && result.Ahead == 0 && result.Uncertain == 0:
		result.Verdict = Identical
	}
	return nil
}

// alone looks at the mirror by itself, where the origin's messages cannot be
// read: what has expired there should not be there.
func (c *Comparer) alone(ctx context.Context, result *Result) error {
	mirror, err := c.Mirror.Stream(ctx, c.MirrorStream)
	if err != nil {
		return err
	}
	now := moment{mirror: mirror, origin: &jsapi.Stream{}, to: mirror.State.LastSeq}
	if origin, err := c.Origin.Stream(ctx, c.OriginStream); err == nil {
		now.origin = origin
	}
	j, err := now.judge()
	if err != nil {
		return err
	}
	heads, err := c.openMirror(ctx, now, Range{max(mirror.State.FirstSeq, 1), now.to}, false)
	if err != nil {
		return err
	}
	defer heads.close()
	tell, _ := c.teller(now)
	result.Through = now.to
	return merge(heads, nothing{}, func(p pair) error {
		tell()
		v, kind, reason := j.judge(p)
		if v == wrong && reason != Gone {
			return c.report(j, p, kind, reason, result)
		}
		return nil
	})
}

// nothing is a side without messages.
type nothing struct{}

// Next is the end.
func (nothing) Next() (*jsapi.MsgMeta, error) { return nil, io.EOF }

// sample compares some ranges and says whether all is the same there.
func (c *Comparer) sample(ctx context.Context, now moment, result *Result) (bool, error) {
	j, err := now.judge()
	if err != nil {
		return false, err
	}
	alike := true
	var compared uint64
	for _, r := range sampleOf(now.all()) {
		err := c.walk(ctx, now, r, func() {}, func(p pair) error {
			if v, _, _ := j.judge(p); v != same {
				alike = false
			} else {
				compared++
			}
			return nil
		})
		if err != nil || !alike {
			return false, err
		}
	}
	result.Verdict, result.Compared, result.Through = Alike, compared, now.to
	return true, nil
}

// sampleOf spreads samples over a range, the first and the last sequence among
// them.
func sampleOf(all Range) []Range {
	if all.To < all.From || all.To-all.From < samples*sampleSize {
		return []Range{all}
	}
	var ranges []Range
	step := (all.To - all.From + 1 - sampleSize) / (samples - 1)
	for i := range uint64(samples - 1) {
		from := all.From + i*step
		ranges = append(ranges, Range{from, from + sampleSize - 1})
	}
	return append(ranges, Range{all.To - sampleSize + 1, all.To})
}

// suspects compares everything and returns the sequences that are to be looked
// at again.
func (c *Comparer) suspects(ctx context.Context, now moment, result *Result) (*trace, error) {
	found := &trace{}
	j, err := c.judgeOf(ctx, now)
	if err != nil {
		return found, err
	}
	tell, end := c.teller(now)
	err = c.walk(ctx, now, now.all(), tell, func(p pair) error {
		switch v, _, _ := j.judge(p); v {
		case same:
			result.Compared++
		case designed:
			result.design(p)
		case doubtful:
			result.Uncertain++
		case wrong, pending:
			found.add(p.seq())
		}
		return nil
	})
	end()
	result.Through = now.to
	return found, err
}

// confirm looks at the suspects again and reports those that are still wrong.
func (c *Comparer) confirm(ctx context.Context, suspects *trace, result *Result) (now moment, err error) {
	select {
	case <-time.After(secondLook):
	case <-ctx.Done():
		return now, ctx.Err()
	}
	now, err = c.read(ctx)
	if err != nil {
		return now, err
	}
	j, err := c.judgeOf(ctx, now)
	if err != nil {
		return now, err
	}
	ranges := suspects.ranges()
	if j.kept != nil {
		ranges = []Range{now.all()} // counting takes all of them
	}
	known := suspects.reader()
	for _, r := range ranges {
		err := c.walk(ctx, now, r, func() {}, func(p pair) error {
			v, kind, reason := j.judge(p)
			if !known.has(p.seq()) {
				return nil
			}
			switch v {
			case same:
				result.Compared++
			case designed:
				result.design(p)
			case doubtful:
				result.Uncertain++
			case pending:
				result.Pending++
			case wrong:
				return c.report(j, p, kind, reason, result)
			}
			return nil
		})
		if err != nil {
			return now, err
		}
	}
	return now, nil
}

// report counts an item and tells of it.
func (c *Comparer) report(j *judge, p pair, kind Kind, reason string, result *Result) error {
	counts := map[Kind]map[string]uint64{Missing: result.Missing, LeftOver: result.LeftOver, Different: result.Different}
	counts[kind][reason]++
	if c.Found == nil {
		return nil
	}
	return c.Found(j.itemOf(p, kind, reason))
}

// itemOf describes a message, as the mirror has it, or would have it.
func (j *judge) itemOf(p pair, kind Kind, reason string) Item {
	h := p.mirror
	if h == nil {
		h = p.origin
	}
	subject := string(h.Subject)
	if p.mirror == nil && j.rename != nil {
		subject = j.rename(subject)
	}
	return Item{
		Kind: kind, Reason: reason, Seq: h.Seq, Key: kvcfg.Key(subject), Time: time.Unix(0, h.Time).UTC(),
		TTL: h.Header(jsapi.TTLHeader), Subject: subject,
	}
}

// judgeOf is who judges now, with the keys counted where the histories are
// unlike.
func (c *Comparer) judgeOf(ctx context.Context, now moment) (*judge, error) {
	j, err := now.judge()
	if err != nil {
		return nil, err
	}
	unlike, onMirror := unlikeHistories(now.mirror.Config, now.origin.Config)
	if !unlike {
		return j, nil
	}
	j.kept = newHistory(onMirror)
	open := c.openOrigin
	if onMirror {
		open = c.openMirror
	}
	heads, err := open(ctx, now, now.all(), false)
	if err != nil {
		return nil, err
	}
	defer heads.close()
	return j, j.kept.count(heads)
}

// walk merges a range of both sides.
func (c *Comparer) walk(ctx context.Context, now moment, r Range, tell func(), visit func(pair) error) error {
	var mirror, origin side
	var mirrorErr, originErr error
	var wg sync.WaitGroup
	wg.Go(func() { mirror, mirrorErr = c.openMirror(ctx, now, r, c.Bodies) })
	wg.Go(func() { origin, originErr = c.openOrigin(ctx, now, r, c.Bodies) })
	wg.Wait()
	defer func() {
		var wg sync.WaitGroup
		wg.Go(mirror.close)
		wg.Go(origin.close)
		wg.Wait()
	}()
	if err := errors.Join(mirrorErr, originErr); err != nil {
		return err
	}
	return merge(mirror, origin, func(p pair) error {
		tell()
		return visit(p)
	})
}

// teller counts the messages that were read for the progress; end tells that all
// were.
func (c *Comparer) teller(now moment) (tell, end func()) {
	if c.Progress == nil {
		return func() {}, func() {}
	}
	var done uint64
	of := max(now.mirror.State.Msgs, now.origin.State.Msgs)
	if now.mirror.Config.Filtered() {
		of = now.mirror.State.Msgs
	}
	c.Progress(0, of)
	tell = func() {
		if done++; done%tellEvery == 0 {
			c.Progress(done, max(of, done))
		}
	}
	return tell, func() { c.Progress(done, done) }
}

// seq is the sequence of a pair.
func (p pair) seq() uint64 {
	if p.mirror != nil {
		return p.mirror.Seq
	}
	return p.origin.Seq
}
