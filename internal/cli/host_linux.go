package cli

import (
	"fmt"
	"os"
	"time"
)

// hostPoll is how often a plugin looks whether its host is still there.
const hostPoll = 200 * time.Millisecond

// EndWithHost calls end when the `nats` that runs this program as a plugin is gone.
// Without that, a signal to it alone would leave a program at work that nobody can
// see or stop. It says nothing of itself in the environment, so its name has to do.
// Any other parent may go: that is what nohup is for.
func EndWithHost(end func()) {
	host := os.Getppid()
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", host)); err != nil || string(name) != "nats\n" {
		return
	}
	go func() {
		// The orphan of a process gets another parent.
		for os.Getppid() == host {
			time.Sleep(hostPoll)
		}
		end()
	}()
}
