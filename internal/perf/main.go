// Perf runs the benchmarks that the README shows and prints its tables:
//
//	go run ./internal/perf [-benchtime 5x] [commands] [fleet] [content]
//
// prints all of them when none is named, which takes about five minutes and 3 GB
// of memory. The benchmarks build the `nats` that they compare with themselves.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
)

// table is a table of the README and the benchmarks that are its source.
type table struct {
	name      string
	bench     string // the pattern for -bench
	pkg       string
	benchtime string
	format    func([]result) string
}

func tables() []table {
	return []table{
		{"commands", "^Benchmark(Process|Start)$", "./internal/cli", "20x", commands},
		{"fleet", "^BenchmarkFleet$", "./internal/cli", "5x", fleet},
		{"content", "^BenchmarkContent", "./internal/cli", "3x", content},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "perf: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("perf", flag.ContinueOnError)
	benchtime := flags.String("benchtime", "", "as of go test, instead of the table's own")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, name := range flags.Args() {
		if !slices.ContainsFunc(tables(), func(t table) bool { return t.name == name }) {
			return fmt.Errorf("there is no table %q", name)
		}
	}
	for _, t := range tables() {
		if flags.NArg() > 0 && !slices.Contains(flags.Args(), t.name) {
			continue
		}
		if *benchtime != "" {
			t.benchtime = *benchtime
		}
		text, err := t.measure(ctx, progress)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, text)
	}
	return nil
}

// measure runs the benchmarks, shows what they print as progress and returns the
// table.
func (t table) measure(ctx context.Context, progress io.Writer) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", t.bench, "-benchtime", t.benchtime, "-timeout", "1h", t.pkg)
	var printed bytes.Buffer
	cmd.Stdout = io.MultiWriter(&printed, progress)
	cmd.Stderr = progress
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	results := parse(printed.String())
	if len(results) == 0 {
		return "", fmt.Errorf("no benchmark of %s matches %s", t.pkg, t.bench)
	}
	return t.format(results), nil
}
