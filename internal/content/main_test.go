package content

import (
	"flag"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	// Most tests wait for servers: as many at once as there are cores would leave
	// these idle. What the command line says comes later and counts.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// slow leaves a test out of go test -short: it takes seconds.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it is slow")
	}
}
