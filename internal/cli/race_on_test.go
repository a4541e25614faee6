//go:build race

package cli

import "time"

// What the race detector, which makes everything slow, changes of the tests.
const (
	// rounds is how many races of two editors are run by default.
	rounds = 100
	// losses is how many writes lose their answer by default.
	losses = 100
	// lossesAtOnce is how many of them are under way: they mostly wait, but for what
	// the race detector makes of the rest.
	lossesAtOnce = 24
	// stride is how far apart the steps are at which a command is struck, and the
	// kinds of nonsense that it is told.
	stride = 4
	// brief is a timeout that is expected to be hit, and that a server on a busy
	// machine keeps otherwise.
	brief = 4 * time.Second
)
