package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// sums is the file with the checksums, as sha256sum -c reads it.
const sums = "SHA256SUMS"

// file is a file of an archive.
type file struct {
	name string // with slashes
	mode fs.FileMode
	data []byte
}

// pack makes an archive with the files in one directory: a zip file for Windows
// and a compressed tar file for all others. All files are of the same time, and
// belong to nobody.
func pack(dir string, t target, files []file, when time.Time) (name string, data []byte, err error) {
	var b bytes.Buffer
	when = when.UTC() // zip files hold local time
	if t.system == "windows" {
		err = packZip(&b, dir, files, when)
		return dir + ".zip", b.Bytes(), err
	}
	err = packTar(&b, dir, files, when)
	return dir + ".tar.gz", b.Bytes(), err
}

func packTar(b *bytes.Buffer, dir string, files []file, when time.Time) error {
	zipped := gzip.NewWriter(b)
	w := tar.NewWriter(zipped)
	for _, f := range files {
		h := &tar.Header{Name: dir + "/" + f.name, Mode: int64(f.mode), Size: int64(len(f.data)), ModTime: when, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(f.data); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return zipped.Close()
}

func packZip(b *bytes.Buffer, dir string, files []file, when time.Time) error {
	w := zip.NewWriter(b)
	for _, f := range files {
		h := &zip.FileHeader{Name: dir + "/" + f.name, Method: zip.Deflate, Modified: when}
		h.SetMode(f.mode)
		entry, err := w.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := entry.Write(f.data); err != nil {
			return err
		}
	}
	return w.Close()
}

// writeSums writes the checksums of the files in a directory beside them.
func writeSums(dir string, names []string) error {
	var b strings.Builder
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(data), name)
	}
	return os.WriteFile(filepath.Join(dir, sums), []byte(b.String()), 0o644)
}
