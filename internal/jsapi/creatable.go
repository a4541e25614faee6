package jsapi

import (
	"context"
	"errors"

	"nats-kvmirror/internal/stream"
)

// MayCreate is nil when the stream of this configuration, of whose name there is one, may
// be created by this user: servers answer OK to a creation of what is there, and to another
// configuration, if it is valid, that the name is in use. It is sent once, and changes
// nothing.
func (a *API) MayCreate(ctx context.Context, config stream.Raw) error {
	known, err := config.Config()
	if err != nil {
		return err
	}
	subject := a.prefix + ".STREAM.CREATE." + known.Name
	data, err := a.conn.request(ctx, subject, nil, config)
	if err == nil {
		_, err = a.infoOf(subject, known.Name, data)
	}
	if e := (*Error)(nil); errors.As(err, &e) && e.Code == codeNameInUse {
		return nil
	}
	return err
}

// LacksRoom says of a failed creation that there is no room for another stream, which
// the deletion of one may make.
func LacksRoom(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case codeAccountResources, codeNoResources, CodeMaxStreams, CodeNoMemory, CodeNoStorage:
		return true
	}
	return false
}
