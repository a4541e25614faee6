// Package mirror has the operations on Key-Value mirrors: to create, edit, compare,
// repair, prune, recreate and promote them.
//
// An operation that writes is planned first: a plan reads and decides, and tells
// what would be done; its Apply makes sure that nothing has changed since, writes,
// and reads back. Plans and results carry warnings as values, and a result is valid
// also when the error is not nil. Errors are [*Error]. Consent beyond yes and no,
// as to a loss, is a field of the request, and checked again by Apply.
//
// The package knows no flag, prints nothing and asks nobody; what takes long is told
// to an [Observer].
package mirror

import (
	"cmp"
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/fleet"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
)

// DefaultPrefix is the prefix of the JetStream API of the connection's own account
// and domain.
const DefaultPrefix = "$JS.API"

// Options are how a [Client] works.
type Options struct {
	// Prefix is that of the JetStream API of the mirrors; "" for [DefaultPrefix].
	Prefix string
	// Domains are the JetStream domains in which the operations on many mirrors look,
	// each with its own API in the account; with none that is behind Prefix.
	Domains []string
	// Timeout is how long to wait for a connection, and for each answer.
	Timeout time.Duration
	// Trace, if set, is told of each request and answer, from several goroutines at
	// once.
	Trace func(format string, a ...any)
	// Observer is told what goes on.
	Observer Observer
	// Waits are the pauses; zero ones are those of [DefaultWaits].
	Waits Waits
}

// Waits are the pauses of the operations. Tests make them short.
type Waits struct {
	Poll       time.Duration // between two reads of what is awaited
	CopyPoll   time.Duration // the same, of a copy that promote makes
	Settle     time.Duration // for expiry to remove here what the origin has just removed; servers look once a second
	Stall      time.Duration // without progress, until a new mirror is no longer waited for
	Watch      time.Duration // for a sign of life of an origin that cannot be read
	CopyStall  int           // timeouts without progress, until a copy is given up
	SecondRead time.Duration // before a mirror that seems to be wrong is read again
	Recheck    time.Duration // before messages that differ are compared again
	CatchUp    time.Duration // for a mirror to get what came while it was compared
}

// DefaultWaits are those that servers need. A link sends a heartbeat once a second
// when nothing else is to be sent (server/stream.go, sourceHealthHB).
func DefaultWaits() Waits {
	return Waits{
		Poll: 100 * time.Millisecond, CopyPoll: 10 * time.Millisecond, Settle: 3 * time.Second, Stall: 30 * time.Second,
		Watch: 2500 * time.Millisecond, CopyStall: 4, SecondRead: 1500 * time.Millisecond, Recheck: 2500 * time.Millisecond, CatchUp: 5 * time.Second,
	}
}

// orDefault fills in what is zero.
func (w Waits) orDefault() Waits {
	d := DefaultWaits()
	return Waits{
		Poll: cmp.Or(w.Poll, d.Poll), CopyPoll: cmp.Or(w.CopyPoll, d.CopyPoll), Settle: cmp.Or(w.Settle, d.Settle), Stall: cmp.Or(w.Stall, d.Stall),
		Watch: cmp.Or(w.Watch, d.Watch), CopyStall: cmp.Or(w.CopyStall, d.CopyStall), SecondRead: cmp.Or(w.SecondRead, d.SecondRead),
		Recheck: cmp.Or(w.Recheck, d.Recheck), CatchUp: cmp.Or(w.CatchUp, d.CatchUp),
	}
}

// Client works on the mirrors behind one JetStream API, or in several domains, over one
// connection.
type Client struct {
	conn     *jsapi.Conn
	own      *jsapi.API
	sides    []*jsapi.API // where the operations on many mirrors look
	domain   string       // of own, if it is one of several domains
	observer Observer
	waits    Waits
}

// Connect connects to a server of a comma-separated list. The error is that of
// nats.go, or wraps [ErrTimeout] or context.Canceled; a prefix that is none is
// [ErrInvalid].
func Connect(ctx context.Context, servers string, o Options, opts ...nats.Option) (*Client, error) {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if err := kvcfg.ValidatePrefix(o.Prefix); err != nil {
		return nil, AsError(err)
	}
	for _, domain := range o.Domains {
		if err := kvcfg.ValidateDomain(domain); err != nil {
			return nil, AsError(err)
		}
	}
	conn, err := jsapi.Connect(ctx, servers, o.Timeout, o.Trace, opts...)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn, own: conn.At(o.Prefix), observer: o.Observer.orSilent(), waits: o.Waits.orDefault()}
	for _, domain := range o.Domains {
		c.sides = append(c.sides, conn.At(kvcfg.DomainPrefix(domain)))
	}
	return c, nil
}

// at is the client for one of many mirrors, in the mirror's domain.
func (c *Client) at(m fleet.Mirror) *Client {
	if len(c.sides) == 0 {
		return c
	}
	one := *c
	one.own, one.sides, one.domain = c.conn.At(m.Prefix()), nil, m.Domain
	return &one
}

// name is the name of a mirror for people, with its domain if that is one of several.
func (c *Client) name(bucket string) string {
	return Member{Domain: c.domain, Bucket: bucket, Several: c.domain != ""}.Name()
}

// Close closes the connection.
func (c *Client) Close() { c.conn.Close() }

// Prefix is that of the JetStream API of the mirrors.
func (c *Client) Prefix() string { return c.own.Prefix() }

// Task is something that may take long.
type Task string

// The tasks.
const (
	TaskRead    Task = "read"    // mirrors and origins are read
	TaskWait    Task = "wait"    // a mirror, or a copy, is waited for
	TaskCompare Task = "compare" // the messages of a mirror and its origin are compared
	TaskPurge   Task = "purge"   // messages are purged from a mirror
)

// Observer is told what goes on. Its functions may be nil.
type Observer struct {
	// Begin is told of a task on a bucket, by its name for people, which is "" where it
	// is about many. It
	// returns where progress goes, how much of how much is done, and what is called
	// once at the end, with whether the task came to its end. at may be called from
	// several goroutines.
	Begin func(task Task, bucket string) (at func(done, of uint64), end func(ok bool))
	// Finished is told of each mirror of many that is done with, one at a time.
	Finished func(Member)
	// Saved is told of the file with the configuration of a mirror that is about to
	// be deleted.
	Saved func(bucket, file string)
	// Reached is told of a bucket that has all that it was waited for, and of what
	// that is.
	Reached func(bucket, what string)
}

// orSilent is the observer with functions that do nothing where it has none.
func (o Observer) orSilent() Observer {
	if o.Begin == nil {
		o.Begin = func(Task, string) (func(done, of uint64), func(ok bool)) {
			return func(uint64, uint64) {}, func(bool) {}
		}
	}
	if o.Finished == nil {
		o.Finished = func(Member) {}
	}
	if o.Saved == nil {
		o.Saved = func(string, string) {}
	}
	if o.Reached == nil {
		o.Reached = func(string, string) {}
	}
	return o
}
