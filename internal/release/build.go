package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const program = "nats-kvmirror"

// target is a system that the program is built for.
type target struct{ system, arch string }

// String is the target as part of a file's name.
func (t target) String() string { return t.system + "-" + t.arch }

// build builds the tree at root for all targets and writes the archives and
// their checksums to dist. The build cache is at cache, or the user's own when
// that is "".
func build(ctx context.Context, root, dist, version string, all []target, cache string, out io.Writer) error {
	b := builder{root: root, version: version, cache: cache}
	c, err := b.commit(ctx)
	if err != nil {
		return err
	}
	if c.modified {
		fmt.Fprintln(out, "files differ from the commit, and the version will say so")
	}
	temp, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	shared, err := b.sharedFiles(ctx, c, temp)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dist); err != nil {
		return err
	}
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return err
	}
	var archives []string
	for _, t := range all {
		binary, err := b.binary(ctx, t, c, temp)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s-%s-%s", program, version, t)
		archive, data, err := pack(name, t, append([]file{binary}, shared...), c.when)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dist, archive), data, 0o644); err != nil {
			return err
		}
		archives = append(archives, archive)
		fmt.Fprintf(out, "%s, %d kB\n", filepath.Join(dist, archive), len(data)/1000)
	}
	return writeSums(dist, archives)
}

// builder runs git and Go in a tree.
type builder struct{ root, version, cache string }

// commit is what is built.
type commit struct {
	revision string
	modified bool // files differ from it
	when     time.Time
}

// commit reads what is checked out.
func (b builder) commit(ctx context.Context) (commit, error) {
	text, err := b.output(ctx, nil, "git", "show", "--no-patch", "--format=%H %ct", "HEAD")
	if err != nil {
		return commit{}, err
	}
	var c commit
	var seconds int64
	if _, err := fmt.Sscan(text, &c.revision, &seconds); err != nil {
		return commit{}, fmt.Errorf("cannot read the commit from %q: %w", text, err)
	}
	c.when = time.Unix(seconds, 0).UTC()
	changes, err := b.output(ctx, nil, "git", "status", "--porcelain")
	c.modified = changes != ""
	return c, err
}

// binary builds the program for a target.
func (b builder) binary(ctx context.Context, t target, c commit, dir string) (file, error) {
	name := program
	if t.system == "windows" {
		name += ".exe"
	}
	path := filepath.Join(dir, t.String(), name)
	// Nothing of the user's settings may change the result.
	env := []string{
		"GOOS=" + t.system, "GOARCH=" + t.arch, "GOAMD64=v1", "GOARM64=v8.0",
		"CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off",
	}
	link := fmt.Sprintf("-s -w -buildid= -X main.release=%s -X main.revision=%s -X main.committed=%s -X main.modified=%t",
		b.version, c.revision, c.when.Format(time.DateOnly), c.modified)
	_, err := b.output(ctx, env, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", link, "-o", path, "./cmd/"+program)
	if err != nil {
		return file{}, err
	}
	data, err := os.ReadFile(path)
	return file{name, 0o755, data}, err
}

// sharedFiles are those that every archive has. The program itself prints the
// man page and the completions.
func (b builder) sharedFiles(ctx context.Context, c commit, dir string) ([]file, error) {
	var files []file
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		data, err := os.ReadFile(filepath.Join(b.root, name))
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, 0o644, data})
	}
	host := target{runtime.GOOS, runtime.GOARCH}
	own, err := b.binary(ctx, host, c, dir)
	if err != nil {
		return nil, err
	}
	for _, printed := range []struct{ name, flag string }{
		{program + ".1", "--help-man"},
		{"completions/" + program + ".bash", "--completion-script-bash"},
		{"completions/_" + program, "--completion-script-zsh"},
		{"completions/" + program + ".fish", "--completion-script-fish"},
	} {
		text, err := b.output(ctx, nil, filepath.Join(dir, host.String(), own.name), printed.flag)
		if err != nil {
			return nil, err
		}
		files = append(files, file{printed.name, 0o644, []byte(text)})
	}
	return files, nil
}

// output runs a command in the tree and returns what it prints.
func (b builder) output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), env...)
	if b.cache != "" {
		cmd.Env = append(cmd.Env, "GOCACHE="+b.cache)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, errs.Bytes())
	}
	return string(out), nil
}
