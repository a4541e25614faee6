// Release builds the program for all systems it is released for:
//
//	go run ./internal/release VERSION
//
// writes an archive for each into dist/, with the man page and the completions,
// and their checksums into dist/SHA256SUMS. It needs Go and git. The same commit
// and the same version of Go make the same bytes, wherever they are built:
//
//	go run ./internal/release -verify [-targets linux/amd64] VERSION
//
// builds the commit in two fresh clones, the second with an empty build cache,
// and fails if any file differs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
)

// targets are the systems of a release.
func targets() []target {
	var all []target
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			all = append(all, target{system, arch})
		}
	}
	return all
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	verify := flags.Bool("verify", false, "build twice, in fresh clones, and compare; writes nothing")
	only := flags.String("targets", "", "build for these systems alone, as linux/amd64,windows/arm64")
	dist := flags.String("dist", "dist", "where to write the archives")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("say which version this is: go run ./internal/release VERSION")
	}
	version, err := parseVersion(flags.Arg(0))
	if err != nil {
		return err
	}
	chosen, err := parseTargets(*only)
	if err != nil {
		return err
	}
	if *verify {
		return verifyBuild(ctx, version, chosen, out)
	}
	return build(ctx, ".", *dist, version, chosen, "", out)
}

// parseVersion reads 1.2.3 or v1.2.3, either with what may follow, as -rc.1.
func parseVersion(text string) (string, error) {
	version := strings.TrimPrefix(text, "v")
	if !regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$`).MatchString(version) {
		return "", fmt.Errorf("%q is not a version like 1.2.3", text)
	}
	return version, nil
}

// parseTargets reads a list of systems; all of them when it is empty.
func parseTargets(text string) ([]target, error) {
	if text == "" {
		return targets(), nil
	}
	var chosen []target
	for word := range strings.SplitSeq(text, ",") {
		system, arch, ok := strings.Cut(word, "/")
		if !ok || system == "" || arch == "" {
			return nil, fmt.Errorf("%q is not a system like linux/amd64", word)
		}
		chosen = append(chosen, target{system, arch})
	}
	return chosen, nil
}
