package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// verifyBuild builds the commit in two clones at different places, the second
// with nothing of what the first has compiled, and compares the checksums.
func verifyBuild(ctx context.Context, version string, all []target, out io.Writer) error {
	temp, err := os.MkdirTemp("", "release-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	var found [2]string
	for i, place := range []struct{ tree, cache string }{
		{"one", ""},
		{"another/place/with a longer name", filepath.Join(temp, "cache")},
	} {
		tree := filepath.Join(temp, place.tree)
		if _, err := (builder{root: "."}).output(ctx, nil, "git", "clone", "--quiet", "--no-hardlinks", ".", tree); err != nil {
			return err
		}
		dist := filepath.Join(tree, "dist")
		if err := build(ctx, tree, dist, version, all, place.cache, io.Discard); err != nil {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dist, sums))
		if err != nil {
			return err
		}
		found[i] = string(data)
	}
	if found[0] != found[1] {
		return fmt.Errorf("the builds differ:\n%sand\n%s", found[0], found[1])
	}
	fmt.Fprintf(out, "both builds are the same:\n%s", found[0])
	return nil
}
