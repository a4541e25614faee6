package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// An archive has nothing of the machine or the time at which it is made.
func TestPack(t *testing.T) {
	when := time.Date(2026, 11, 23, 21, 45, 0, 0, time.UTC)
	files := []file{{"prog", 0o755, []byte("binary")}, {"completions/prog.bash", 0o644, []byte("text")}}
	for _, c := range []struct {
		target target
		name   string
		list   func(*testing.T, []byte) []string
	}{
		{target{"linux", "arm64"}, "prog-1.tar.gz", listTar},
		{target{"windows", "amd64"}, "prog-1.zip", listZip},
	} {
		name, data, err := pack("prog-1", c.target, files, when)
		if err != nil || name != c.name {
			t.Fatalf("%s, %v; want %s", name, err, c.name)
		}
		elsewhere := time.FixedZone("elsewhere", 5*60*60)
		_, again, err := pack("prog-1", c.target, files, when.In(elsewhere))
		if err != nil || !bytes.Equal(data, again) {
			t.Errorf("%s: the second archive differs: %v", name, err)
		}
		want := []string{
			"prog-1/prog -rwxr-xr-x 2026-11-23T21:45:00Z binary",
			"prog-1/completions/prog.bash -rw-r--r-- 2026-11-23T21:45:00Z text",
		}
		if got := c.list(t, data); !slices.Equal(got, want) {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

func listTar(t *testing.T, data []byte) []string {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s belongs to %s %d, %s %d", h.Name, h.Uname, h.Uid, h.Gname, h.Gid)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %v %s %s", h.Name, h.FileInfo().Mode(), h.ModTime.UTC().Format(time.RFC3339), text))
	}
}

func listZip(t *testing.T, data []byte) []string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range r.File {
		content, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %v %s %s", f.Name, f.Mode(), f.Modified.UTC().Format(time.RFC3339), text))
	}
	return list
}

func TestWriteSums(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.zip"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeSums(dir, []string{"a.zip"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, sums))
	if want := fmt.Sprintf("%x  a.zip\n", sha256.Sum256([]byte("a"))); err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestArguments(t *testing.T) {
	for text, want := range map[string]string{"1.2.3": "1.2.3", "v1.2.3-rc.1": "1.2.3-rc.1", "1.2": "", "": "", "1.2.3 -X main.release=4": ""} {
		if got, err := parseVersion(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is version %q, %v", text, got, err)
		}
	}
	if all, err := parseTargets(""); len(all) != 6 || err != nil {
		t.Errorf("without a choice: %v, %v", all, err)
	}
	if some, err := parseTargets("linux/amd64,windows/arm64"); !slices.Equal(some, []target{{"linux", "amd64"}, {"windows", "arm64"}}) || err != nil {
		t.Errorf("%v, %v", some, err)
	}
	for _, wrong := range []string{"linux", "linux/", ","} {
		if some, err := parseTargets(wrong); err == nil {
			t.Errorf("%q means %v", wrong, some)
		}
	}
}
