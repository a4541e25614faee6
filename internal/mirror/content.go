package mirror

import (
	"context"
	"fmt"
	"sync"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/fleet"
)

// ContentOptions are how messages are compared.
type ContentOptions struct {
	Bodies bool // compare the bodies and all headers as well
	Quick  bool // compare the sequences, and only those messages whose sequences differ
	Shown  int  // how many of the messages that differ a result holds of each mirror
	Rate   int  // messages a second that are read of an origin at the most; 0 means no limit
	// Found, if set, is told of each message that differs, and of the mirror's domain, which is
	// "" when it is not known, and bucket. Its error ends the operation.
	Found func(domain, bucket string, i Item) error

	foreign bool // the origin's settings explain nothing, see [content.Comparer]
	count   *content.Count
	gaps    *content.Gaps // what a comparison before this one found; nil without one
}

// The words of a comparison.
type (
	// Verdict is the outcome of a comparison.
	Verdict = content.Verdict
	// DifferenceKind is a way in which mirror and origin differ at a sequence.
	DifferenceKind = content.Kind
)

// The verdicts, the kind and the reasons that a surface puts into words.
const (
	Identical   = content.Identical
	Differs     = content.Differs
	Unverified  = content.Unverified
	IsMissing   = content.Missing
	IsLeftOver  = content.LeftOver
	IsDifferent = content.Different
	Expired     = content.Expired
	TooOld      = content.TooOld
	Gone        = content.Gone
	Absent      = content.Absent
	Early       = content.Early
	Unchosen    = content.Unchosen

	SameSequences = content.SameSequences
	BySequences   = content.BySequences

	IsMissingAbove = content.MissingAbove
)

// LeftOverCount, MissingCount and DifferentCount are how many messages differ so.
func (c *Content) LeftOverCount() uint64 { return content.Sum(c.LeftOver) }

// MissingCount is how many messages the mirror lacks.
func (c *Content) MissingCount() uint64 { return content.Sum(c.Missing) }

// DifferentCount is how many messages are not the same at the same sequence.
func (c *Content) DifferentCount() uint64 { return content.Sum(c.Different) }

// fresh is for how long what was read of a stream tells how many deleted sequences it
// lists.
const fresh = 2 * time.Second

// compare compares the messages of a mirror with its origin's. leftovers, if set,
// gathers what can be purged. foundErr is an error of the options' Found; err is what
// else went wrong.
func (c *Client) compare(ctx context.Context, m fleet.Mirror, o ContentOptions, leftovers *content.Leftovers) (r *Content, foundErr, err error) {
	observer := c.observer
	if o.count != nil {
		observer = Observer{}.orSilent()
	}
	at, end := observer.Begin(TaskCompare, c.name(m.Bucket))
	r = &Content{Items: []Item{}}
	comparer := content.Comparer{
		Mirror: c.own, MirrorStream: m.Facts.Mirror.Config.Name,
		Origin: fleet.OriginAPI(c.conn, m.Origin, c.own.Prefix()), OriginStream: m.Origin.Stream(),
		DeliverPrefix: m.Origin.DeliverPrefix, Bodies: o.Bodies, Rate: o.Rate, Quick: o.Quick, Count: o.count, Gaps: o.gaps, Foreign: o.foreign, Progress: at,
		Waits: content.Waits{Recheck: c.waits.Recheck, CatchUp: c.waits.CatchUp, Poll: c.waits.Poll},
		Found: func(i Item) error {
			if len(r.Items) < o.Shown {
				r.Items = append(r.Items, i)
			}
			if leftovers != nil {
				leftovers.Add(i)
			}
			if o.Found != nil {
				foundErr = o.Found(m.Domain, m.Bucket, i)
			}
			return foundErr
		},
	}
	if time.Since(m.Read) < fresh {
		comparer.KnownMirror, comparer.KnownOrigin = m.Facts.Mirror, m.Facts.Origin
	}
	if n := len(m.Facts.Above); n > 0 && m.Facts.AboveUnreadable == "" {
		top := m.Facts.Above[n-1]
		comparer.Top, comparer.TopStream, comparer.TopReplicated = c.conn.At(top.Prefix), top.Config.Name, top.Config.Replicas > 1
	}
	r.Result, err = comparer.Compare(ctx)
	r.Skew = Seconds(r.Result.Skew)
	if err == nil && leftovers != nil && r.OriginUnreadable == "" {
		err = comparer.FindUnpurgeable(ctx, leftovers)
	}
	end(err == nil)
	return r, foundErr, err
}

const (
	// maxCounted is how many messages of a mirror are read to count them, and
	// maxCountedOfAll of all mirrors together.
	maxCounted      = 10_000
	maxCountedOfAll = 50_000
	// countedAtOnce is how many mirrors are compared by their sequences at once, but for
	// the pauses.
	countedAtOnce = 16
)

// countExactly compares the sequences of the mirrors whose counts tell too little. What
// is found takes the place of the counts; where that is not possible, they stay.
func (c *Client) countExactly(ctx context.Context, mirrors []fleet.Mirror) {
	var inexact []*fleet.Mirror
	for i := range mirrors {
		if f := mirrors[i].Facts; f.Inexact() && content.Listable(f.Mirror.Config, f.Origin.Config) {
			inexact = append(inexact, &mirrors[i])
		}
	}
	count := &content.Count{Most: min(maxCounted, maxCountedOfAll/max(len(inexact), 1)), Slots: make(chan struct{}, countedAtOnce)}
	var wg sync.WaitGroup
	for _, m := range inexact {
		wg.Go(func() {
			count.Begin()
			defer count.End()
			r, _, err := c.at(*m).compare(ctx, *m, ContentOptions{count: count}, nil)
			if err == nil && r.OriginUnreadable == "" {
				m.Facts.Content = &check.Content{LeftOver: r.LeftOver, Missing: r.Missing, Different: r.Different, Partly: true}
			}
		})
	}
	wg.Wait()
}

// contentFacts are the counts of a comparison for the findings.
func contentFacts(r *Content, err error) *check.Content {
	f := &check.Content{LeftOver: r.LeftOver, Missing: r.Missing, Different: r.Different, MissingAbove: r.MissingAbove, Skew: r.Result.Skew}
	switch {
	case err != nil:
		f.Unverified = err.Error()
	case r.OriginUnreadable != "":
		f.Unverified = r.OriginUnreadable
	case r.Pending > 0:
		f.Unverified = fmt.Sprintf("the mirror is %s behind, and %d of its messages may be replaced by what is pending", count(r.Behind, "sequence"), r.Pending)
	case r.Ahead > 0:
		f.Unverified = fmt.Sprintf("the mirror is %s ahead of its origin, which is not the one that it was filled from", count(r.Ahead, "sequence"))
	case r.Uncertain > 0:
		f.Unverified = fmt.Sprintf("whether %s on one side alone by design cannot be told", count(r.Uncertain, "message is", "messages are"))
	case r.Unresolved > 0:
		f.Unverified = fmt.Sprintf("%s about to expire on one side alone, and did not go", count(r.Unresolved, "message is", "messages are"))
	case r.Unreadable > 0:
		f.Unverified = fmt.Sprintf("the headers of %s cannot be read", count(r.Unreadable, "message"))
	case r.Verdict == Unverified:
		f.Unverified = fmt.Sprintf("the mirror may be %s behind", count(r.Behind, "sequence"))
	}
	return f
}
