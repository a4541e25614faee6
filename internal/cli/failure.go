package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// Kinds of failures, as they stand in the JSON document.
const (
	kindUsage          = "usage"           // the command line is wrong
	kindContext        = "context"         // a context or a credential cannot be loaded
	kindUnreachable    = "unreachable"     // no connection to the server
	kindAuthorization  = "authorization"   // the server does not let the user in
	kindNotFound       = "not-found"       // there is no such bucket
	kindNoResponders   = "no-responders"   // no responders on the subject
	kindDenied         = "denied"          // a subject is denied
	kindTimeout        = "timeout"         // no answer in time
	kindNoJetStream    = "no-jetstream"    // the account has no JetStream
	kindOldServer      = "old-server"      // the server cannot do what is asked
	kindRejected       = "rejected"        // the server refuses
	kindDisconnected   = "disconnected"    // the connection was lost
	kindMalformed      = "malformed"       // an answer makes no sense
	kindExists         = "exists"          // the bucket exists and is something else
	kindNotMirror      = "not-a-mirror"    // the bucket is no mirror
	kindNotBucket      = "not-a-bucket"    // the stream is no Key-Value bucket
	kindOriginUnread   = "origin-unread"   // the origin could not be read
	kindRefused        = "refused"         // no server can do that
	kindNotKept        = "not-kept"        // the server dropped a setting
	kindConflict       = "conflict"        // somebody else has changed it meanwhile
	kindNoTerminal     = "no-terminal"     // there is nobody to ask
	kindNotCaughtUp    = "not-caught-up"   // --wait ran out
	kindIncomplete     = "incomplete"      // some of many mirrors could not be changed
	kindDiffers        = "differs"         // a copy is not what it was made from
	kindInterrupted    = "interrupted"     // Ctrl-C or SIGTERM
	kindUnknownOutcome = "unknown-outcome" // a write's fate is unknown
	kindInternal       = "internal"        // a mistake of this program
)

// failure is an error with its kind and, where there is one, its remedy.
type failure struct {
	kind string
	err  error
	hint string
}

// Error is the message without the remedy.
func (f *failure) Error() string { return f.err.Error() }

// Unwrap is the message's error.
func (f *failure) Unwrap() error { return f.err }

func fail(kind, hint, format string, a ...any) error {
	return &failure{kind: kind, hint: hint, err: fmt.Errorf(format, a...)}
}

// explain sorts any error of this program's packages into a failure.
func explain(err error) *failure {
	if f := (*failure)(nil); errors.As(err, &f) {
		return f
	}
	for _, known := range []struct {
		err        error
		kind, hint string
	}{
		{jsapi.ErrNotFound, kindNotFound, ""},
		{jsapi.ErrNoResponders, kindNoResponders, "is JetStream enabled there, are the domain and the prefix right, is the link up, is the subject imported?"},
		{jsapi.ErrDenied, kindDenied, "the user needs permission for the subject"},
		{jsapi.ErrTimeout, kindTimeout, "a longer --timeout may help"},
		{jsapi.ErrDisconnected, kindDisconnected, ""},
		{jsapi.ErrNoJetStream, kindNoJetStream, "enable JetStream for the account, or connect with another user or context"},
		{jsapi.ErrOldServer, kindOldServer, ""},
		{jsapi.ErrNotSent, kindRejected, ""},
		{jsapi.ErrRejected, kindRejected, ""},
		{jsapi.ErrMalformed, kindMalformed, ""},
		{kvcfg.ErrInvalidName, kindUsage, ""},
		{kvcfg.ErrInvalidSetting, kindUsage, ""},
		{kvcfg.ErrNotMirror, kindNotMirror, "`nats kv` is the tool for buckets that are no mirrors"},
		{kvcfg.ErrNotBucket, kindNotBucket, ""},
		{kvcfg.ErrTTLStays, kindRefused, "without per-key TTL, a mirror has to be deleted and created again"},
		{kvcfg.ErrNoHistory, kindRefused, "bound it first with `" + appName + " edit BUCKET --history N`; no client opens a bucket without"},
		{kvcfg.ErrRenames, kindRefused, "without another filter or origin it is made anew as it is"},
		{content.ErrRenames, kindRefused, ""},
		{kvcfg.ErrMarkerNeedsTTL, kindRefused, "leave --marker-ttl out, or turn per-key TTL on first with `" + appName + " edit BUCKET --allow-msg-ttl`"},
		{stream.ErrMalformed, kindMalformed, ""},
		{context.Canceled, kindInterrupted, ""},
		{nats.ErrAuthorization, kindAuthorization, ""},
		{nats.ErrNoServers, kindUnreachable, ""},
		{fs.ErrNotExist, kindContext, ""},
	} {
		if errors.Is(err, known.err) {
			if known.kind == kindInterrupted {
				err = errors.New("interrupted, nothing was changed")
			}
			return &failure{kind: known.kind, err: err, hint: known.hint}
		}
	}
	return &failure{kind: kindInternal, err: err}
}

// together is one failure that says all that is wrong; nil when nothing is. What of
// several kinds it is, the first decides.
func together(errs ...error) error {
	var all *failure
	for _, err := range errs {
		switch {
		case err == nil:
		case all == nil:
			all = explain(err)
		default:
			f := explain(err)
			all = &failure{kind: all.kind, err: fmt.Errorf("%w; %w", all.err, f.err), hint: lines(all.hint, f.hint)}
		}
	}
	if all == nil {
		return nil
	}
	return all
}
