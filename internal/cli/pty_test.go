//go:build unix

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// ptySession is a person at a terminal: the command on a pseudo-terminal, what it has shown so
// far, and the keys that are pressed.
type ptySession struct {
	t    *testing.T
	cmd  *exec.Cmd
	tty  *os.File
	mu   sync.Mutex
	seen bytes.Buffer
	told int // how often the terminal has said where the cursor is
	done chan struct{}
}

// startOnTerminal runs the command on a pseudo-terminal.
func startOnTerminal(t *testing.T, url string, args ...string) *ptySession {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The test binary is the command when it is called by the command's name.
	cmd := exec.Command(program, args...)
	cmd.Args[0] = appName
	cmd.Env = append(os.Environ(), "NATS_URL="+url, "HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir(), "TERM=xterm", "LLMFORMAT=", "TESTING=", "GORACE=atexit_sleep_ms=0")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	if err != nil {
		t.Fatal(err)
	}
	p := &ptySession{t: t, cmd: cmd, tty: tty, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			p.mu.Lock()
			p.seen.Write(buf[:n])
			// survey asks where the cursor is; a terminal answers.
			for ; p.told < bytes.Count(p.seen.Bytes(), []byte("\x1b[6n")); p.told++ {
				fmt.Fprint(tty, "\x1b[1;1R")
			}
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = tty.Close() })
	return p
}

func (p *ptySession) shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// waitsFor waits until a text is shown.
func (p *ptySession) waitsFor(text string) {
	p.t.Helper()
	deadline := time.Now().Add(longest)
	for !strings.Contains(p.shown(), text) {
		if time.Now().After(deadline) {
			p.t.Fatalf("%q is not shown in:\n%s", text, p.shown())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// isAsked waits until a question is shown and survey knows what it wants to know
// of the terminal: keys that come earlier are lost to it.
func (p *ptySession) isAsked(question string) {
	p.t.Helper()
	p.waitsFor(question)
	p.waitsFor("\x1b[?25h\x1b[6n")
}

// types presses keys until something comes of them: survey throws away those
// that come together with what the terminal says of the cursor. Pressed twice
// they must mean the same; where survey does not ask for the cursor, press does.
func (p *ptySession) types(keys string) {
	p.t.Helper()
	before := p.shown()
	for deadline := time.Now().Add(longest); time.Now().Before(deadline); {
		p.press(keys)
		for start := time.Now(); time.Since(start) < 2*time.Second; time.Sleep(10 * time.Millisecond) {
			select {
			case <-p.done:
				return
			default:
			}
			if p.shown() != before {
				return
			}
		}
	}
	p.t.Fatalf("nothing comes of the keys %q:\n%s", keys, p.shown())
}

// press presses keys once.
func (p *ptySession) press(keys string) {
	p.t.Helper()
	if _, err := io.WriteString(p.tty, keys); err != nil {
		p.t.Fatal(err)
	}
}

// leaves waits until the command has ended and returns its exit code.
func (p *ptySession) leaves() int {
	p.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	select {
	case err := <-ended:
		<-p.done
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		if err != nil {
			p.t.Fatal(err)
		}
		return 0
	case <-time.After(longest):
		p.t.Fatalf("the command goes on:\n%s", p.shown())
		return -1
	}
}
