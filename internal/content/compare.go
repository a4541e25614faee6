package content

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/stream"
)

// progressEvery is how many messages are read between two calls of
// [Comparer.Progress].
const progressEvery = 64

// ErrRenames is returned for a mirror whose subject transform cannot be followed.
var ErrRenames = errors.New("the mirror renames keys in a way that cannot be compared")

// Waits are how long a comparison waits for what. A zero duration means the default.
type Waits struct {
	// Recheck is the pause before messages that differ are read a second time.
	// Servers look for expired messages about once a second. Those that are about to go
	// are read again and again, with pauses that double.
	Recheck time.Duration
	// CatchUp is how long a mirror may take to get what arrives at its origin
	// during the comparison, and Poll the pause between two readings of its
	// stream info.
	CatchUp time.Duration
	Poll    time.Duration
}

// DefaultWaits are the waits of a [Comparer] that sets none.
func DefaultWaits() Waits {
	return Waits{Recheck: 2500 * time.Millisecond, CatchUp: 5 * time.Second, Poll: 100 * time.Millisecond}
}

// orDefault replaces zero durations.
func (w Waits) orDefault() Waits {
	d := DefaultWaits()
	return Waits{
		Recheck: cmp.Or(w.Recheck, d.Recheck), CatchUp: cmp.Or(w.CatchUp, d.CatchUp), Poll: cmp.Or(w.Poll, d.Poll),
	}
}

// Comparer compares a mirror with its origin.
type Comparer struct {
	Mirror, Origin             *jsapi.API
	MirrorStream, OriginStream string
	// DeliverPrefix is the deliver prefix of an origin in another account; ""
	// where messages come straight to the inbox.
	DeliverPrefix string
	// Top is the top of the chain where the origin is a mirror itself; nil where it is
	// not, or the top is not known. What the origin has lost and the top has is not left
	// over.
	Top           *jsapi.API
	TopStream     string
	TopReplicated bool
	// Bodies compares the bodies and all headers as well, by their digests.
	Bodies bool
	// Rate limits how many messages a second are read from the origin; 0 means no
	// limit.
	Rate int
	// Quick compares the sequences, where that is possible, and reads only the messages
	// of those that differ.
	Quick bool
	// Count, if set, is Quick where nothing else is wanted, as it says.
	Count *Count
	// KnownMirror and KnownOrigin, if set, were just read: a quick comparison then asks
	// for the sequences at once.
	KnownMirror, KnownOrigin *stream.Info
	// Gaps hold what a walk found deleted at the origin, for a later look or comparison.
	Gaps *Gaps
	// Foreign says that the origin is not the stream that the mirror was filled from:
	// nothing has gone by the origin's settings, but only by the mirror's own.
	Foreign bool
	// Found gets each item; nil to only count them. They come by rising sequence, those
	// that were rechecked for longer last. Its error ends the comparison.
	Found func(Item) error
	// Progress gets how many messages of about how many were read; it may be nil.
	Progress func(done, of uint64)
	// Waits are shorter in tests.
	Waits Waits

	heads     *heads // what was read of the candidates; nil before
	simulated *sides // in tests
}

// Compare compares. Messages that differ are read a second time, after a pause,
// before they are counted: messages arrive and expire all the time, and not on both
// sides at once. What is about to expire is read again until it is gone from both
// sides or its grace is over. An origin whose messages cannot be read is not an
// error; the verdict is then [Unverified].
func (c *Comparer) Compare(ctx context.Context) (Result, error) {
	result := c.newResult()
	if c.Gaps == nil {
		c.Gaps = &Gaps{}
	}
	err := c.compare(ctx, &result)
	if e := (*originError)(nil); errors.As(err, &e) && ctx.Err() == nil {
		err = nil
		if result.differences() == 0 { // else what was reported already holds
			result = c.newResult()
			err = c.compareMirrorOnly(ctx, &result)
		}
		result.OriginUnreadable = e.err.Error()
	}
	return result, err
}

func (c *Comparer) newResult() Result {
	return Result{
		Verdict: Unverified, Method: ByWalk, Payload: c.Bodies,
		Missing: map[string]uint64{}, LeftOver: map[string]uint64{}, Different: map[string]uint64{},
	}
}

func (c *Comparer) compare(ctx context.Context, result *Result) error {
	if c.Quick || c.Count != nil {
		if done, err := c.compareSequences(ctx, result); err != nil || done {
			return err
		}
		if c.Count != nil {
			return ErrNotListed
		}
		*result = c.newResult()
	}
	now, err := c.snapshot(ctx)
	if err != nil {
		return err
	}
	candidates, err := c.candidates(ctx, now, result)
	if err != nil {
		return err
	}
	if candidates.n > 0 {
		if now, err = c.settle(ctx, candidates, &seqSet{}, nil, result); err != nil {
			return err
		}
	}
	result.Behind, result.Ahead, result.Skew = now.behind, now.ahead, now.skew()
	switch {
	case result.differences() > 0:
		result.Verdict = Differs
	case result.Pending == 0 && result.Behind == 0 && result.Ahead == 0 &&
		result.Uncertain == 0 && result.Unresolved == 0 && result.Unreadable == 0:
		result.Verdict = Identical
	}
	return nil
}

// candidates compares all messages and returns the sequences to recheck.
func (c *Comparer) candidates(ctx context.Context, now snapshot, result *Result) (*seqSet, error) {
	found, held := &seqSet{}, newHeads(now)
	c.heads = held
	cl, err := c.classifier(ctx, now)
	if err != nil {
		return found, err
	}
	progress, end := c.progress(now)
	*c.Gaps = Gaps{}
	listable := Listable(now.mirror.Config, now.origin.Config)
	err = c.walk(ctx, now, now.all(), func(p pair) error {
		progress()
		if listable && p.origin != nil {
			c.Gaps.add(p.origin.Seq)
		}
		switch class, _, _ := cl.classify(p); class {
		case wrong, pending, transient, unread:
			found.add(p.seq())
			held.add(p)
		default:
			result.count(p, class)
		}
		return nil
	})
	end()
	if err == nil {
		c.Gaps.end(now.origin, now.to)
	}
	result.Through = now.to
	return found, err
}

// settleLimit is for how long messages that are about to go are read again: they go
// within the grace, and are gone another grace later.
const settleLimit = 3 * Grace

// pendingRounds is how often what is to be replaced is read again, if nothing else is.
const pendingRounds = 3

// settle reads the candidates again until none of them is about to go, and reports
// those that are wrong again. Candidates that were on both sides are reported only if
// they are again, and different. meanwhile, if set, is called during the first pause and
// returns the candidates that are left.
func (c *Comparer) settle(ctx context.Context, candidates, onBoth *seqSet, meanwhile func() (*seqSet, error), result *Result) (now snapshot, err error) {
	var begin time.Time // when they were rechecked first
	pause := c.Waits.orDefault().Recheck
	for n := 1; ; n++ {
		due := time.After(min(pause, Grace/2))
		if n == 1 && meanwhile != nil {
			if candidates, err = meanwhile(); err != nil {
				return now, err
			}
		}
		if err := c.Count.pause(ctx, due); err != nil {
			return now, err
		}
		var r round
		if now, err = c.recheck(ctx, candidates, onBoth, result, &r); err != nil {
			return now, err
		}
		if begin.IsZero() {
			begin = time.Now()
		}
		soon := r.pending > 0 && now.behind == 0 && n < pendingRounds
		if r.transient == 0 && !soon || time.Since(begin) > settleLimit || c.Count != nil {
			result.Unresolved, result.Pending = r.transient, r.pending
			return now, nil
		}
		candidates, pause = &r.open, 2*pause
	}
}

// round is what is open after candidates were read again.
type round struct {
	open               seqSet
	transient, pending uint64
}

// recheck reads the candidates once more and reports those that are wrong again.
func (c *Comparer) recheck(ctx context.Context, candidates, onBoth *seqSet, result *Result, left *round) (now snapshot, err error) {
	now, err = c.snapshot(ctx)
	if err != nil {
		return now, err
	}
	cl, err := c.classifier(ctx, now)
	if err != nil {
		return now, err
	}
	again := rechecker{cl: cl, known: candidates.reader(), onBoth: onBoth.reader(), coming: c.coming(ctx, now, cl.rename)}
	parts := candidates.parts()
	var l *lists
	if c.heads.of(now) || slices.ContainsFunc(parts, func(p part) bool { return c.gettable(now, p) }) {
		l = c.presence(ctx, now)
	}
	for _, p := range parts {
		again.top = c.above(ctx, p.Range)
		err := c.pairs(ctx, now, l, p, candidates, again.visit(c, result, left))
		again.top.close()
		if err != nil {
			return now, err
		}
	}
	return now, nil
}

// rechecker classifies candidates with all that is known of them.
type rechecker struct {
	cl     *classifier
	known  *seqReader
	onBoth *seqReader
	coming *coming
	top    *above
}

// classify is the classifier's, but for what is replaced soon and what the top of the
// chain tells.
func (r rechecker) classify(p pair) (class, Kind, string, error) {
	class, kind, reason := r.cl.classify(p)
	if class == wrong && kind == LeftOver && reason == Gone {
		replaced, err := r.coming.replaces(p.mirror.Subject)
		if replaced || err != nil {
			return pending, kind, reason, err
		}
	}
	return r.top.against(p, class, kind, reason)
}

// visit rechecks the candidates among the messages that it is called with.
func (again rechecker) visit(c *Comparer, result *Result, left *round) func(pair) error {
	return func(p pair) error {
		if !again.known.has(p.seq()) {
			return nil
		}
		if again.onBoth.has(p.seq()) && (p.mirror == nil || p.origin == nil) {
			return nil // it has just come or gone
		}
		class, kind, reason, err := again.classify(p)
		switch {
		case err != nil:
			return err
		case class == wrong:
			return c.report(again.cl.itemOf(p, kind, reason), result)
		case class == transient:
			left.transient++
			left.open.add(p.seq())
		case class == pending:
			left.pending++
			left.open.add(p.seq())
		default:
			result.count(p, class)
		}
		return nil
	}
}

// report counts an item and passes it on.
func (c *Comparer) report(i Item, result *Result) error {
	switch i.Kind {
	case Missing:
		result.Missing[i.Reason]++
	case LeftOver:
		result.LeftOver[i.Reason]++
	case Different:
		result.Different[i.Reason]++
	case MissingAbove:
		result.MissingAbove++
	}
	if c.Found == nil {
		return nil
	}
	return c.Found(i)
}

// classifier makes the classifier of a snapshot. Where the histories differ it reads
// the side that keeps more.
func (c *Comparer) classifier(ctx context.Context, now snapshot) (*classifier, error) {
	cl, err := now.classifier()
	if err != nil {
		return nil, err
	}
	if c.Foreign {
		cl.origin.AllowMsgTTL, cl.origin.MaxAge = cl.mirror.AllowMsgTTL, cl.mirror.MaxAge
	}
	differ, onMirror := historiesDiffer(now.mirror.Config, now.origin.Config)
	if !differ {
		return cl, nil
	}
	open, limit := c.openOrigin, now.mirror.Config.MaxMsgsPerSubject
	if onMirror {
		open, limit = c.openMirror, now.origin.Config.MaxMsgsPerSubject
	}
	cl.kept = newHistory(onMirror, limit)
	messages, err := open(ctx, now, now.all(), false)
	if err != nil {
		return nil, err
	}
	defer messages.close()
	return cl, cl.kept.read(messages)
}

// walk visits a range of both sides.
func (c *Comparer) walk(ctx context.Context, now snapshot, r jsapi.Range, visit func(pair) error) error {
	var mirror, origin reader
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
	return merge(mirror, origin, visit)
}

// progress returns what to call for each message that was read, and at the end.
func (c *Comparer) progress(now snapshot) (message, end func()) {
	if c.Progress == nil {
		return func() {}, func() {}
	}
	var done uint64
	of := max(now.mirror.State.Msgs, now.origin.State.Msgs)
	if now.mirror.Config.Filtered() {
		of = now.mirror.State.Msgs
	}
	c.Progress(0, of)
	message = func() {
		if done++; done%progressEvery == 0 {
			c.Progress(done, max(of, done))
		}
	}
	return message, func() { c.Progress(done, done) }
}
