package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/mirror"
)

// connectFailure says why there is no connection, with no secret in it.
func connectFailure(config *natscontext.Context, redact *strings.Replacer, err error) error {
	servers, text := redact.Replace(config.ServerURL()), strings.TrimPrefix(redact.Replace(err.Error()), "nats: ")
	cannot := func(kind mirror.Kind, hint, text string) error {
		return fail(kind, hint, "cannot connect to %s: %s", servers, text)
	}
	var parse *url.Error
	switch {
	case errors.Is(err, mirror.ErrInvalid):
		return err
	case errors.Is(err, context.Canceled):
		return fail(mirror.ErrInterrupted, "", "interrupted, nothing was changed")
	case errors.Is(err, nats.ErrNoServers):
		return cannot(kindUnreachable, "check that the server runs, and --server", "the connection is refused")
	case errors.Is(err, nats.ErrAccountAuthExpired):
		return cannot(kindAuthorization, "the account itself has to be renewed by its operator; until then, use another with --context or --creds", strings.ToLower(text))
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		if why := expired(config, time.Now()); why != "" {
			return cannot(kindAuthorization, "get new credentials, and name their file with --creds FILE or in the context", why)
		}
		return cannot(kindAuthorization, "check --user and --password, --creds, --nkey or --token, or those of the --context", strings.ToLower(text))
	case errors.Is(err, os.ErrNotExist):
		return cannot(kindContext, "", text)
	case errors.As(err, &parse):
		return fail(kindUsage, "", "cannot understand the server address: %s", text)
	case tlsHint(err) != "":
		return cannot(kindUnreachable, tlsHint(err), text)
	case mirror.AsError(err).Kind == mirror.ErrTimeout:
		hint := "a longer --timeout may help"
		if !config.TLSHandshakeFirst() {
			hint += "; a server that begins with the TLS handshake needs --tlsfirst"
		}
		return cannot(kindUnreachable, hint, text)
	}
	return cannot(kindUnreachable, "", text)
}

// tlsHint is what helps where a TLS connection fails; "" where it is another failure.
func tlsHint(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &authority):
		return "name the file with the certificate of the server's authority with --tlsca FILE"
	case errors.As(err, &name):
		return "name the server in --server as its certificate does"
	case errors.As(err, &record):
		return "the server does not begin with the TLS handshake: leave --tlsfirst out"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server has no TLS: leave --tlsca, --tlscert and --tlskey out, and give --server as nats://"
	case strings.Contains(err.Error(), "remote error: tls:"), // the server's alert, which has no type
		strings.Contains(err.Error(), "closed by remote after TLS handshake"): // which came too late to be read
		return "the server wants a certificate of yours that it trusts: name it with --tlscert FILE and --tlskey FILE"
	}
	return ""
}

// expired says when the user's JWT expired; "" when it has not, or there is none.
// The server does not tell that from another wrong one.
func expired(config *natscontext.Context, now time.Time) string {
	token := config.UserJWT()
	if config.Creds() != "" {
		data, err := os.ReadFile(config.Creds())
		if err != nil {
			return ""
		}
		if token, err = jwt.ParseDecoratedJWT(data); err != nil {
			return ""
		}
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil || claims.Expires == 0 || now.Before(time.Unix(claims.Expires, 0)) {
		return ""
	}
	return fmt.Sprintf("the user's credentials expired at %s", time.Unix(claims.Expires, 0).UTC().Format(time.RFC3339))
}
