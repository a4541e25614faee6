package jsapi

import (
	"cmp"
	"context"
	"io"
	"math"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

const (
	// firstWindow is how many bytes a consumer with flow control sends before
	// it waits for an answer; each answer doubles that, up to 32 MB
	// (server/consumer.go, JsFlowControlMaxPending and processFlowControl).
	firstWindow = 2 << 20
	// maxAnswers limits how many flow control requests of one consumer are
	// answered, and maxBuffered how many bytes of messages may wait to be read.
	// Beyond that the consumer sends what it may, up to 16 MB, and is recreated with
	// its first window.
	maxAnswers  = 3
	maxBuffered = 5 << 20
	// missedHeartbeats is how many heartbeats may fail to come. They come every
	// second, or more often where the connection's timeout is shorter than that
	// takes.
	missedHeartbeats = 4
	minHeartbeat     = 100 * time.Millisecond
	// wakeEvery is how many messages are collected before they are read, and
	// fillInterval for how long at the most. The last ones are read at once.
	wakeEvery    = 128
	fillInterval = 20 * time.Millisecond
	// maxEmptyConsumers is how many consumers in a row may send nothing.
	maxEmptyConsumers = 3
)

// WalkOptions say what to read of a stream.
type WalkOptions struct {
	Stream string
	// From and To are the first and the last sequence to read.
	From, To uint64
	// ToEnd takes the place of To: the walk ends when it has read all that there was at
	// some time. A key that is written all the time is always beyond the last sequence
	// that was known before. A consumer's own count of what is left runs short where keys
	// are rewritten, so it ends a walk only after all that there was at its creation.
	ToEnd bool
	// Filters are the subjects to read; none means all.
	Filters []string
	// Bodies reads the messages' bodies as well and keeps a digest of each.
	Bodies bool
	// ReadSourceSeq reads the sequences of the messages that those of the stream
	// were sourced from. The header that holds them is left out of the digest. It
	// is for walks with Bodies.
	ReadSourceSeq bool
	// StripSourceHeader leaves the same header out of the digest without reading
	// it, to compare a stream with one that was sourced from it: sourcing replaces
	// the header.
	StripSourceHeader bool
	// Rate limits how many messages a second are read; 0 means no limit. The
	// server is told so as well, but not where it sends bodies; there flow control
	// keeps it from running ahead by more than 16 MB.
	Rate int
	// DeliverPrefix is where messages from another account arrive; "" where
	// they come straight to the inbox.
	DeliverPrefix string
	// Replicated says that the stream has replicas. The consumer may then be on
	// one that is behind, so its leader is asked whether a walk is at its end,
	// which takes permission to get messages. One that stays behind for a
	// timeout is an error that wraps [ErrTimeout].
	Replicated bool

	waits    walkWaits // shorter in tests
	asStored bool      // messages with headers that cannot be parsed are not asked for
}

// walkWaits are how long a walk waits for what. A zero duration means the default.
type walkWaits struct {
	heartbeat         time.Duration // the longest pause between two heartbeats
	inactiveThreshold time.Duration // when a server deletes a consumer that has no subscriber, if deleting it failed
}

// orDefault replaces zero durations.
func (w walkWaits) orDefault() walkWaits {
	return walkWaits{cmp.Or(w.heartbeat, time.Second), cmp.Or(w.inactiveThreshold, 10*time.Second)}
}

// Walk reads the messages of a stream in the order of their sequences, through
// an ephemeral consumer without acknowledgements. Lost messages are requested
// again. Memory does not grow with their number.
//
// It is a push consumer with flow control, which is about twice as fast as the
// pull consumers of nats.go (measured on 2.15.2 with a million messages), and
// needs no permission but that to create a consumer.
type Walk struct {
	ctx  context.Context
	api  *API
	opts WalkOptions
	pace pace

	deliver           string
	sub               *nats.Subscription
	failure           *waiter        // told of a lost connection and of a denied subscription
	name              string         // the consumer's; "" when there is none
	createUnknown     bool           // whether the consumer was created is not known
	deletions         sync.WaitGroup // deletions under way
	noRateLimit       bool           // the server is no longer told of the rate
	unanswered        flow           // the request to answer when what came before it is read
	answered          string         // the last request that was answered
	answers           int            // how many were answered
	noFlowControl     bool           // answers do not reach the consumer
	heartbeat         time.Duration  // between two heartbeats
	inactiveThreshold time.Duration
	ticker            *time.Ticker

	reader         metaReader
	read           uint64    // the last sequence that Next returned
	rawReads       int       // how many messages were asked for by themselves
	emptyConsumers int       // how many consumers in a row sent nothing
	behindSince    time.Time // since when consumers are on a replica that is behind; zero when none is

	mu       sync.Mutex
	wake     chan struct{} // holds one when something came
	received received
	current  metaBuffer // what Next reads from
}

// Walk begins to read a stream. The caller closes the walk.
func (a *API) Walk(ctx context.Context, opts WalkOptions) (*Walk, error) {
	waits := opts.waits.orDefault()
	w := &Walk{
		ctx: ctx, api: a, opts: opts, wake: make(chan struct{}, 1), pace: newPace(opts.Rate),
		heartbeat:         min(max(a.conn.timeout/missedHeartbeats, minHeartbeat), waits.heartbeat),
		inactiveThreshold: waits.inactiveThreshold, ticker: time.NewTicker(fillInterval),
	}
	if opts.ToEnd {
		w.opts.To = math.MaxUint64
	}
	w.received.last = max(opts.From, 1) - 1
	w.read = w.received.last
	if opts.From > w.opts.To {
		w.received.done = true
		return w, nil
	}
	w.deliver = a.conn.nc.NewInbox()
	if opts.DeliverPrefix != "" {
		w.deliver = opts.DeliverPrefix + "." + nuid.Next()
	}
	if err := w.consume(); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// Next is the next message, which is valid until the next call. It returns io.EOF
// after the last one.
func (w *Walk) Next() (*MsgMeta, error) {
	for {
		if m := w.reader.next(); m != nil {
			w.read = m.Seq
			if m.Unreadable && !w.opts.asStored {
				if err := w.readRaw(m); err != nil {
					return nil, err
				}
			}
			if err := w.pace.wait(w.ctx); err != nil {
				return nil, err
			}
			return m, nil
		}
		if err := w.fill(); err != nil {
			return nil, err
		}
	}
}

// fill waits for messages and hands all that came to the reader.
func (w *Walk) fill() error {
	for {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		// All that came before the request was read.
		if err := w.answer(); err != nil {
			return err
		}
		w.mu.Lock()
		state := w.received
		if state.flow.reply != "" {
			w.unanswered, w.received.flow = state.flow, flow{}
		} else if state.stalled != "" && state.stalled != w.answered && w.unanswered.reply == "" {
			w.unanswered = flow{state.stalled, state.bytes} // the request itself was lost
		}
		if state.messages.n > 0 {
			w.current, w.received.messages = state.messages, w.current.emptied()
			w.mu.Unlock()
			w.reader = metaReader{buf: &w.current}
			w.emptyConsumers, w.behindSince = 0, time.Time{}
			return nil
		}
		w.mu.Unlock()
		switch {
		case state.err != nil:
			return state.err
		case state.done || w.opts.ToEnd && state.drained && state.delivered >= state.promised:
			return io.EOF
		case w.unanswered.reply != "" && w.mayAnswer(state):
			continue
		case w.finished(state):
			if err := w.recreate(); err != nil {
				return err
			}
			continue
		}
		select {
		case <-w.wake:
		case <-w.ticker.C:
		case err := <-w.failure.failed:
			return err
		case <-w.ctx.Done():
			return w.ctx.Err()
		}
	}
}

// mayAnswer says whether the consumer may continue, with twice the window.
func (w *Walk) mayAnswer(state received) bool {
	if w.noFlowControl || w.answers >= maxAnswers {
		return false
	}
	return 2*state.window*state.buffered/max(state.bytes, 1) <= maxBuffered
}

// finished says that the consumer sends nothing more that can be used: something
// was lost, or it waits for an answer that it does not get.
func (w *Walk) finished(state received) bool {
	switch {
	case state.lost:
		return true
	case time.Since(state.at) > missedHeartbeats*w.heartbeat:
		// A server that was told a rate never sends a message that is larger than
		// the stream's max_msg_size, which headers with their subjects may be
		// (server/consumer.go, setRateLimit). So the next one is not told.
		w.noRateLimit = true
		return true
	case state.stalled != "" && state.stalled == w.answered && state.stalledFor > 1:
		// Not the first heartbeat, which may have been on its way already.
		w.noFlowControl = true // as across accounts, where $JS.FC is not imported
		return true
	case w.unanswered.reply != "":
		return state.bytes-state.base > state.window || state.stalled == w.unanswered.reply
	}
	return false
}

// answer tells the consumer that what it sent was read, if it asked and may send
// more.
func (w *Walk) answer() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unanswered.reply == "" || !w.mayAnswer(w.received) {
		return nil
	}
	if err := w.api.conn.nc.Publish(w.unanswered.reply, nil); err != nil {
		return &Error{Kind: ErrDisconnected, Subject: w.unanswered.reply, Description: err.Error()}
	}
	w.received.base, w.received.window = w.unanswered.bytes, 2*w.received.window
	w.received.stalled, w.received.stalledFor, w.received.at = "", 0, time.Now()
	w.answers++
	w.answered, w.unanswered = w.unanswered.reply, flow{}
	return nil
}

// Close deletes the consumer, also after the context has ended.
func (w *Walk) Close() {
	w.mu.Lock()
	w.received.generation++
	w.mu.Unlock()
	w.ticker.Stop()
	w.release()
	w.deletions.Wait()
}
