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
// see or stop. Any other parent may go: that is what nohup is for.
func EndWithHost(end func()) {
	if !belowHost() {
		return
	}
	host := os.Getppid()
	go func() {
		// The orphan of a process gets another parent.
		for os.Getppid() == host {
			time.Sleep(hostPoll)
		}
		end()
	}()
}

// belowHost says whether `nats` runs this program as a plugin. It says nothing of
// itself in the environment, so its name has to do.
func belowHost() bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", os.Getppid()))
	return err == nil && string(name) == hostName+"\n"
}
