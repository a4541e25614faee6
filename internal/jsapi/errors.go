package jsapi

import (
	"errors"
	"fmt"
)

// What a request to the JetStream API can fail of. Each failure is an [*Error]
// that wraps exactly one of them.
var (
	// ErrNotFound: there is no such stream (or, for a message, none that
	// matches).
	ErrNotFound = errors.New("not found")
	// ErrNoResponders: nobody listens on the subject. No JetStream behind the
	// prefix, a wrong domain, a link that is down, a missing import and a
	// subject denied at the far end all look like this.
	ErrNoResponders = errors.New("no responders")
	// ErrDenied: the server that the client is connected to denies the subject
	// or the inbox.
	ErrDenied = errors.New("permission denied")
	// ErrTimeout: no answer came in time.
	ErrTimeout = errors.New("no answer in time")
	// ErrInboxDenied is an [ErrDenied]: the client may not listen for answers.
	ErrInboxDenied = fmt.Errorf("%w", ErrDenied)
	// ErrDisconnected: the connection was lost before the answer.
	ErrDisconnected = errors.New("connection lost")
	// ErrNoJetStream: the account or the server has no JetStream.
	ErrNoJetStream = errors.New("JetStream is not enabled")
	// ErrOldServer: the server's API level is too low for the request.
	ErrOldServer = errors.New("the server is too old")
	// ErrNotSent: the client does not send the request, which is larger than the
	// server takes or has no valid subject.
	ErrNotSent = errors.New("not sent")
	// ErrRejected: the server refuses the request; Error.Description says why.
	ErrRejected = errors.New("rejected by the server")
	// ErrMalformed: the answer is not what the API promises.
	ErrMalformed = errors.New("malformed answer")
)

// CodeMirrorStays is what servers before 2.12 answer to an update that takes the
// origin out of a mirror, and all of them to one that changes it
// (server/errors.json, JSStreamMirrorNotUpdatableErr).
const CodeMirrorStays = 10055

// Error codes of the JetStream API (server/errors.json) of which a surface can say what
// helps.
const (
	CodeNoPeers          = 10005 // no servers for the placement and the replicas
	CodeNoLeader         = 10008
	CodePrefixOverlaps   = 10021 // the origin's prefix is the server's own
	CodeMaxStreams       = 10027
	CodeNoMemory         = 10028
	CodeNoStorage        = 10047
	CodeNoCluster        = 10074 // for replicas
	CodeMaxBytesRequired = 10113
	CodeStreamOffline    = 10118
)

const (
	codeAccountResources = 10002
	codeConsumerNotFound = 10014
	codeNoResources      = 10023
	codeMessageNotFound  = 10037
	codeNotEnabledForAcc = 10039
	codeStoreFailed      = 10049
	codeNameInUse        = 10058
	codeStreamNotFound   = 10059
	codeNotEnabled       = 10076
	codeRequiredAPILevel = 10185
)

// Error is a failed request.
type Error struct {
	Kind        error  // one of the sentinels of this package
	Subject     string // the subject that was tried
	Code        int    // the server's error code, as 10059; 0 when it sent none
	Description string // the server's or the client's words
}

// Error is one line that names the subject.
func (e *Error) Error() string {
	switch {
	case e.Code != 0:
		return fmt.Sprintf("request to %q: %v: %s (%d)", e.Subject, e.Kind, e.Description, e.Code)
	case e.Description != "":
		return fmt.Sprintf("request to %q: %v: %s", e.Subject, e.Kind, e.Description)
	}
	return fmt.Sprintf("request to %q: %v", e.Subject, e.Kind)
}

// Unwrap is the kind of the failure.
func (e *Error) Unwrap() error { return e.Kind }

// OutcomeUnknown says of a failed write that the server may have done it all
// the same.
func OutcomeUnknown(err error) bool {
	return errors.Is(err, ErrTimeout) || errors.Is(err, ErrDisconnected) || errors.Is(err, ErrMalformed)
}

// NotYetGone says of a failed creation that a stream of that name may be about to
// go: its name is still in use, or its files are (2.15.2: 10049, "error creating
// store for stream", right after a deletion on a busy machine).
func NotYetGone(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Code == codeNameInUse || e.Code == codeStoreFailed)
}

// apiError is the error object of a reply.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// refusal is the error in an answer, nil when there is none.
func refusal(answer []byte) *Error {
	var e *Error
	errors.As(failureOf("", answer), &e)
	return e
}

// isLeaderless says of an answer that no leader is elected yet to give it.
func isLeaderless(answer []byte) bool {
	e := refusal(answer)
	return e != nil && e.Code == CodeNoLeader
}

func (e *apiError) sorted(subject string) *Error {
	kind := ErrRejected
	switch e.ErrCode {
	case codeStreamNotFound, codeMessageNotFound:
		kind = ErrNotFound
	case codeNotEnabledForAcc, codeNotEnabled:
		kind = ErrNoJetStream
	case codeRequiredAPILevel:
		kind = ErrOldServer
	}
	code := e.ErrCode
	if code == 0 {
		code = e.Code
	}
	return &Error{Kind: kind, Subject: subject, Code: code, Description: e.Description}
}
