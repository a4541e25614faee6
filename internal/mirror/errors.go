package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"nats-kvmirror/internal/content"
	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// Kind is a kind of failure. It is a sentinel: errors.Is(err, ErrConflict) says
// whether an error is of that kind.
type Kind string

// Error is the kind.
func (k Kind) Error() string { return string(k) }

// The kinds of failures, as they stand in the JSON document.
const (
	ErrInvalid          Kind = "usage"             // the request makes no sense
	ErrNotFound         Kind = "not-found"         // there is no such bucket
	ErrNoResponders     Kind = "no-responders"     // no responders on the subject
	ErrDenied           Kind = "denied"            // a subject is denied
	ErrTimeout          Kind = "timeout"           // no answer in time
	ErrNoJetStream      Kind = "no-jetstream"      // the account has no JetStream
	ErrOldServer        Kind = "old-server"        // the server cannot do what is asked
	ErrRejected         Kind = "rejected"          // the server refuses
	ErrDisconnected     Kind = "disconnected"      // the connection was lost
	ErrMalformed        Kind = "malformed"         // an answer makes no sense
	ErrExists           Kind = "exists"            // the bucket exists and is something else
	ErrNotMirror        Kind = "not-a-mirror"      // the bucket is no mirror
	ErrNotBucket        Kind = "not-a-bucket"      // the stream is no Key-Value bucket
	ErrOriginUnreadable Kind = "origin-unreadable" // the origin could not be read
	ErrRefused          Kind = "refused"           // no server can do that, or a guard refuses it
	ErrNotKept          Kind = "not-kept"          // the server dropped a setting
	ErrConflict         Kind = "conflict"          // somebody else has changed it meanwhile
	ErrNotCaughtUp      Kind = "not-caught-up"     // the wait ran out
	ErrIncomplete       Kind = "incomplete"        // some of many mirrors could not be changed
	ErrDiffers          Kind = "differs"           // a copy is not what it was made from
	ErrInterrupted      Kind = "interrupted"       // the context ended
	ErrOutcomeUnknown   Kind = "unknown-outcome"   // what became of a write is unknown
	ErrInternal         Kind = "internal"          // a mistake of this program
)

// Error is a failed operation.
type Error struct {
	Kind Kind
	Err  error
	// Differs are the fields that the error is about: what the stream has, and what
	// was wanted.
	Differs []stream.Difference
	// Advice is what helps, as values: a surface puts it into its own words.
	Advice []Advice
}

// Error is one line.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap is the message's error.
func (e *Error) Unwrap() error { return e.Err }

// Is says whether the error is of a kind.
func (e *Error) Is(target error) bool { return target == error(e.Kind) }

// fail is a failure with advice.
func fail(kind Kind, format string, a ...any) *Error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, a...)}
}

// advise adds advice.
func (e *Error) advise(advice ...Advice) *Error {
	e.Advice = append(e.Advice, advice...)
	return e
}

// wrap puts words before the message.
func (e *Error) wrap(format string, a ...any) *Error {
	w := *e
	w.Err = fmt.Errorf("%s: %w", fmt.Sprintf(format, a...), e.Err)
	return &w
}

// AsError makes any error of an operation an [*Error]; nil of nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		if e.Error() == err.Error() {
			return e
		}
		return &Error{Kind: e.Kind, Err: err, Differs: e.Differs, Advice: e.Advice}
	}
	for _, known := range []struct {
		err    error
		kind   Kind
		advice AdviceCode
	}{
		{jsapi.ErrNotFound, ErrNotFound, ""},
		{jsapi.ErrNoResponders, ErrNoResponders, CheckRoute},
		{jsapi.ErrInboxDenied, ErrDenied, GrantInbox},
		{jsapi.ErrDenied, ErrDenied, GrantSubject},
		{jsapi.ErrTimeout, ErrTimeout, LongerTimeout},
		{jsapi.ErrDisconnected, ErrDisconnected, ""},
		{jsapi.ErrNoJetStream, ErrNoJetStream, EnableJetStream},
		{jsapi.ErrOldServer, ErrOldServer, ""},
		{jsapi.ErrNotSent, ErrRejected, ""},
		{jsapi.ErrRejected, ErrRejected, ""},
		{jsapi.ErrMalformed, ErrMalformed, ""},
		{kvcfg.ErrInvalidName, ErrInvalid, ""},
		{kvcfg.ErrInvalidSetting, ErrInvalid, ""},
		{kvcfg.ErrNoPrefix, ErrInvalid, NameAPIPrefix},
		{kvcfg.ErrNotMirror, ErrNotMirror, UseNatsKV},
		{kvcfg.ErrNotBucket, ErrNotBucket, ""},
		{kvcfg.ErrTTLStays, ErrRefused, RecreateWithoutTTL},
		{kvcfg.ErrNoHistory, ErrRefused, SetHistory},
		{kvcfg.ErrRetention, ErrRefused, ""},
		{kvcfg.ErrConsumer, ErrRefused, RecreateAllKeys},
		{kvcfg.ErrNotRecreatable, ErrRefused, ""},
		{kvcfg.ErrRenames, ErrRefused, RecreateAsItIs},
		{content.ErrRenames, ErrRefused, ""},
		{kvcfg.ErrMarkerNeedsTTL, ErrRefused, MarkerNeedsTTL},
		{stream.ErrMalformed, ErrMalformed, ""},
		{context.Canceled, ErrInterrupted, ""},
	} {
		if !errors.Is(err, known.err) {
			continue
		}
		if known.kind == ErrInterrupted {
			err = interrupted{}
		}
		e := &Error{Kind: known.kind, Err: err, Advice: adviceOn(err)}
		if known.advice != "" {
			e.Advice = []Advice{{Code: known.advice}}
		}
		return e
	}
	return &Error{Kind: ErrInternal, Err: err}
}

// about is an error as one about a bucket: advice that names none gets its name.
func about(bucket string, err error) error {
	if err == nil {
		return nil
	}
	e := *AsError(err)
	e.Advice = slices.Clone(e.Advice)
	for i := range e.Advice {
		e.Advice[i].Bucket = cmp.Or(e.Advice[i].Bucket, bucket)
	}
	return &e
}

// interrupted is the end of ctx before anything was changed.
type interrupted struct{}

// Error is one line.
func (interrupted) Error() string { return "interrupted, nothing was changed" }

// Unwrap is what ended.
func (interrupted) Unwrap() error { return context.Canceled }

// together is one failure that says all that is wrong; nil when nothing is. The
// first decides of which kind it is.
func together(errs ...error) error {
	var all *Error
	for _, err := range errs {
		e := AsError(err)
		switch {
		case e == nil:
		case all == nil:
			all = e
		default:
			all = &Error{Kind: all.Kind, Err: fmt.Errorf("%w; %w", all.Err, e.Err), Differs: append(all.Differs, e.Differs...), Advice: append(all.Advice, e.Advice...)}
		}
	}
	if all == nil {
		return nil
	}
	return all
}

// AdviceCode is a kind of advice.
type AdviceCode string

// Advice of which the comment says what a surface has to put into words.
const (
	CheckRoute         AdviceCode = "check-route"          // JetStream, domain, prefix, link and imports
	GrantSubject       AdviceCode = "grant-subject"        // the user needs permission
	GrantInbox         AdviceCode = "grant-inbox"          // the user needs permission to subscribe to inboxes, or another prefix of them
	LongerTimeout      AdviceCode = "longer-timeout"       //
	EnableJetStream    AdviceCode = "enable-jetstream"     // for the account, or use another user
	UseNatsKV          AdviceCode = "use-nats-kv"          // the bucket is no mirror
	ShareAccounts      AdviceCode = "share-accounts"       // Origin: what the accounts have to export and import
	ListBuckets        AdviceCode = "list-buckets"         // Origin: where it should be
	ListMirrors        AdviceCode = "list-mirrors"         //
	NameBucket         AdviceCode = "name-bucket"          // Bucket, and not its stream
	DecideTTL          AdviceCode = "decide-ttl"           // say whether per-key TTL is wanted, to go on without the origin
	OtherName          AdviceCode = "other-name"           // or remove the bucket that exists
	OtherNameOrDomain  AdviceCode = "other-name-or-domain" // the mirror has the name of its origin
	ConsentToUpdate    AdviceCode = "consent-to-update"    //
	Repair             AdviceCode = "repair"               // Bucket
	Recreate           AdviceCode = "recreate"             // Bucket: delete it and create it again
	ThenRecreate       AdviceCode = "then-recreate"        // Bucket: after an upgrade
	RecreateAs         AdviceCode = "recreate-as"          // Bucket: with the Origin and the Filters, of which some may be left out
	RecreateWithoutTTL AdviceCode = "recreate-without-ttl" // Bucket, where known
	RecreateAllKeys    AdviceCode = "recreate-all-keys"    // Bucket: with a filter, which leaves its consumer out
	SetMaxBytes        AdviceCode = "set-max-bytes"        // Bucket, where it exists: give it a maximum bucket size
	FreeStorage        AdviceCode = "free-storage"         // Value: in which storage there is no room
	FewerStreams       AdviceCode = "fewer-streams"        // the account may have no more
	OtherPlacement     AdviceCode = "other-placement"      // no servers for the placement and the replicas
	OneReplica         AdviceCode = "one-replica"          // there is no cluster
	WaitForLeader      AdviceCode = "wait-for-leader"      //
	NameAPIPrefix      AdviceCode = "name-api-prefix"      // of the origin
	OtherPrefix        AdviceCode = "other-prefix"         // the origin's is the server's own
	StartServers       AdviceCode = "start-servers"        // those that host the stream
	RecreateAsItIs     AdviceCode = "recreate-as-it-is"    // without another filter or origin
	UpgradeTo          AdviceCode = "upgrade-to"           // Version: the mirror's server
	AddWithoutTTL      AdviceCode = "add-without-ttl"      // a mirror that keeps what expires at the origin
	SetHistory         AdviceCode = "set-history"          // Bucket, where known
	MarkerNeedsTTL     AdviceCode = "marker-needs-ttl"     // Bucket, where known
	EditMarkerTTL      AdviceCode = "edit-marker-ttl"      // Bucket, Duration
	LookAndRepeat      AdviceCode = "look-and-repeat"      // Bucket: the same request again is safe
	RunAgain           AdviceCode = "run-again"            // to see how it is now
	RunAgainRest       AdviceCode = "run-again-rest"       // does what is left
	RunAgainFinish     AdviceCode = "run-again-finish"     // finishes what was begun
	RunAgainSafe       AdviceCode = "run-again-safe"       //
	RunAgainReads      AdviceCode = "run-again-reads"      // reads again
	NewerServer        AdviceCode = "newer-server"         // the server may be too old for it
	CheckLink          AdviceCode = "check-link"           // the link, and whether the mirror may create a consumer
	ShowInfo           AdviceCode = "show-info"            // Bucket
	CompareContent     AdviceCode = "compare-content"      // Bucket: message by message
	AcceptLoss         AdviceCode = "accept-loss"          // Count: consent to the loss of so many messages
	Restore            AdviceCode = "restore"              // Bucket, File: create it again from its saved configuration
	AddOrRestore       AdviceCode = "add-or-restore"       // Bucket
	NotFromBackup      AdviceCode = "not-from-backup"      // it exists: recreate it as it is
	OriginAlive        AdviceCode = "origin-alive"         // consent to two buckets that take values
	PromoteInto        AdviceCode = "promote-into"         // Bucket, Into: make a new bucket of it
	RemoveCopy         AdviceCode = "remove-copy"          // Stream: remove it and run again
	CheckStorage       AdviceCode = "check-storage"        // Stream: of account and server; a copy that has stopped does not go on
	EnableMirrorDirect AdviceCode = "enable-mirror-direct" // Bucket, if nothing is to be promoted
	DisableMirrorDir   AdviceCode = "disable-mirror-dir"   // or consent to it
	SeeRemedies        AdviceCode = "see-remedies"         // listed with the findings
	SeeFixes           AdviceCode = "see-fixes"            // listed with the findings
	RunAgainLater      AdviceCode = "run-again-later"      // when the cause is gone
	Prune              AdviceCode = "prune"                // Bucket
	PruneGone          AdviceCode = "prune-gone"           // consent to purge what may be the last copies
	RepairRollups      AdviceCode = "repair-rollups"       // Bucket
	EditSizeOfCopy     AdviceCode = "edit-size"            // Bucket: set a maximum bucket size
	EditRepublish      AdviceCode = "edit-republish"       // Bucket
	OtherDomains       AdviceCode = "other-domains"        // name the domains in which the mirrors are
	AllowTTL           AdviceCode = "allow-ttl"            // Bucket: an edit turns per-key TTL on
)

// Advice is what helps.
type Advice struct {
	Code   AdviceCode
	Bucket string
	Into   string
	Stream string
	File   string
	// Version is the first server version that can, as "2.11".
	Version string
	Count   uint64
	Value   string
	Origin  kvcfg.Origin
	Filters []string
}

// Warning is what is to be known, and no failure.
type Warning struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Hint    string   `json:"hint,omitempty"` // filled in by the surface, from Advice
	Advice  []Advice `json:"-"`
}

// NoMirror is the code of the warning that there is no mirror where one was looked for.
const NoMirror = "no-mirror"

// Warnings are those of one operation.
type Warnings []Warning

func (w *Warnings) add(code, format string, a ...any) {
	*w = append(*w, Warning{Code: code, Message: fmt.Sprintf(format, a...)})
}

// advise adds advice to the last warning.
func (w *Warnings) advise(advice ...Advice) {
	last := &(*w)[len(*w)-1]
	last.Advice = append(last.Advice, advice...)
}
