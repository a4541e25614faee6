package mirror

import (
	"context"
	"sync"
	"sync/atomic"

	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/jsapi"
)

// maxPurges is how many requests to purge a key are under way.
const maxPurges = 64

// joined are the purges of a job in as few requests as is known to be safe. Subtrees are
// joined only where a key has one message: of several, one may go by itself before the
// purge, and another one, which is not left over, be taken for it.
func (p *PrunePlan) joined(ctx context.Context, j *pruneJob) []content.Purge {
	name, purges := j.mirror.Facts.Mirror.Config.Name, j.leftovers.Requests(j.purges, j.member.Content.Older)
	if j.mirror.Facts.Mirror.Config.MaxMsgsPerSubject != 1 {
		return purges
	}
	return content.Subtrees(purges, func(filter string, of []content.Purge) bool {
		held, err := j.client.own.SubjectMessages(ctx, name, filter, messagesOf(of))
		same := err == nil && len(held) == len(of)
		for _, purge := range of {
			same = same && held[purge.Subject] == purge.Messages
		}
		return same
	})
}

// messagesOf is how many messages some purges are about.
func messagesOf(purges []content.Purge) uint64 {
	var n uint64
	for _, p := range purges {
		n += p.Messages
	}
	return n
}

// purge sends the purges of a job, several at a time, and returns how many
// messages went. When ctx ends no further one is begun. Of several failures, which
// are mostly the same, it returns one, of unknown outcome if there is such a one.
func (p *PrunePlan) purge(ctx context.Context, j *pruneJob, purges []content.Purge) (uint64, error) {
	at, end := j.client.observer.Begin(TaskPurge, j.member.Name())
	name := j.mirror.Facts.Mirror.Config.Name
	var next, purged atomic.Int64
	var first error
	var mu sync.Mutex
	var wg sync.WaitGroup
	failed := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return first != nil
	}
	for range min(maxPurges, len(purges)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(purges) || ctx.Err() != nil || failed() {
					return
				}
				n, err := j.client.own.Purge(context.WithoutCancel(ctx), name, purges[i].Subject, purges[i].Before)
				if err != nil {
					mu.Lock()
					if first == nil || jsapi.OutcomeUnknown(err) && !jsapi.OutcomeUnknown(first) {
						first = err
					}
					mu.Unlock()
					return
				}
				purged.Add(int64(n))
				at(uint64(i)+1, uint64(len(purges)))
			}
		})
	}
	wg.Wait()
	end(first == nil && ctx.Err() == nil)
	return uint64(purged.Load()), first
}

// verifyPair is nil when a mirror, and its origin, are what they were when the plan
// was made.
func (c *Client) verifyPair(ctx context.Context, m fleet.Mirror) error {
	now, err := c.own.Stream(ctx, m.Facts.Mirror.Config.Name)
	if err != nil {
		return err
	}
	origin, err := c.requireOrigin(ctx, m.Origin, "nothing more is purged")
	if err != nil {
		return err
	}
	if before := m.Facts.Origin; before != nil && !origin.info.Created.Equal(before.Created) || origin.info.State.LastSeq < now.State.LastSeq {
		return fail(ErrConflict, "the origin was created again since the mirror was compared, nothing more was purged").advise(Advice{Code: RunAgain})
	}
	if !now.SameStream(m.Facts.Mirror) {
		return fail(ErrConflict, "the mirror was changed since it was compared, nothing more was purged").advise(Advice{Code: RunAgain})
	}
	return nil
}
