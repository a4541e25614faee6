package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nuid"
)

// writeWhole writes a file whole or not at all: to a new one beside it, which outlives a
// crash before it takes its place. After a failure the old file is as it was.
//
// The new file's name ends in .tmp, so that no collector reads it, and its permissions are those of the old one or else what the user's umask leaves:
// collectors are other users.
func writeWhole(name string, data []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot write %q: %w", name, err)
		}
	}()
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	mode := os.FileMode(0o666)
	old, err := os.Stat(name)
	if err == nil && !old.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	temp, err := os.OpenFile(filepath.Join(filepath.Dir(name), "."+appName+"-"+nuid.Next()+".tmp"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name())
		}
	}()
	_, err = temp.Write(data)
	if old != nil {
		err = errors.Join(err, temp.Chmod(old.Mode().Perm()))
	}
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), name)
}
