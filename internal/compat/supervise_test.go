//go:build faults

package compat

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// The environment of a supervisor: the server that it runs, its configuration and
// its log.
const (
	superviseVar = "COMPAT_SERVER"
	confVar      = "COMPAT_CONF"
	logVar       = "COMPAT_LOG"
)

func TestMain(m *testing.M) {
	if binary := os.Getenv(superviseVar); binary != "" {
		if err := supervise(binary, os.Getenv(confVar), os.Getenv(logVar)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// The tests wait more than they work. What is said on the command line counts.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// supervise runs a server until standard input ends, which it does when the test
// says so and when the test is no more. The server may shut down in order, so
// that it writes what it has in memory.
func supervise(binary, conf, log string) error {
	cmd := exec.Command(binary, "-c", conf, "-l", log)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		time.AfterFunc(longTimeout, func() { _ = cmd.Process.Kill() })
		if runtime.GOOS == "windows" || cmd.Process.Signal(os.Interrupt) != nil {
			_ = cmd.Process.Kill() // there are no interrupts
		}
	}()
	return cmd.Wait()
}
