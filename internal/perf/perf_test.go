package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the benchmarks print becomes the README's tables.
func TestTables(t *testing.T) {
	const printed = `goos: linux
goarch: amd64
BenchmarkProcess/rtt=0s/add/nats-kvmirror-2         	      20	  15123456 ns/op	         2.000 requests/op	         2.000 rounds/op
BenchmarkProcess/rtt=0s/add/nats-2                  	      20	  27123456 ns/op	         3.000 requests/op	         3.000 rounds/op
BenchmarkProcess/rtt=100ms/add/nats-kvmirror        	      20	 371123456 ns/op	         2.000 requests/op	         2.000 rounds/op
BenchmarkProcess/rtt=100ms/add/nats-2               	      20	1486123456 ns/op	         3.000 requests/op	         3.000 rounds/op
BenchmarkStart/nats-kvmirror-2                      	      20	   9123456 ns/op
BenchmarkStart/nats-2                               	      20	  25123456 ns/op
BenchmarkFleet/mirrors=2000/rtt=0s-2                	       5	 186123456 ns/op	         0.3579 check/kv-ls	 520123456 kv-ls-ns/op	        45.20 peak-MiB	        19.00 requests/op	   3412345 wire-B/op
BenchmarkFleet/mirrors=2000/rtt=100ms-2             	       5	 563123456 ns/op	         0.3836 check/kv-ls	1468123456 kv-ls-ns/op	        45.20 peak-MiB	        19.00 requests/op	         3.000 rounds/op	   3412345 wire-B/op
BenchmarkContent/walk/origin-2                      	       3	2123456789 ns/op	    470912 messages/s	     100 B/op	      12 allocs/op
BenchmarkContentWrite-2                             	       3	 123456789 ns/op
PASS
ok  	nats-kvmirror/cmd/nats-kvmirror	80.123s
`
	all := parse(printed)
	for _, c := range []struct{ got, want string }{
		{commands(all), `| | round trips | ` + "`nats` | loopback | `nats` | over 100 ms | `nats`" + ` |
|---|---|---|---|---|---|---|
| add | 2 | 3, origin unread | 15 ms | 27 ms | 371 ms | 1.49 s |
| edit | ? | ? | ? | ? | ? | ? |
| info | ? | ?, origin unread | ? | ? | ? | ? |
| ` + "`--help`" + ` | | | 9.1 ms | 25 ms | | |
`},
		{fleet(all[6:8]), "| mirrors, each with its origin | requests | round trips | on the wire | `check` | `nats kv ls` | `check`, 100 ms | `nats kv ls`, 100 ms | memory of `check` |\n" + `|---|---|---|---|---|---|---|---|---|
| 2,000 | 19 | 3 | 3.4 MB | 186 ms | 520 ms | 563 ms | 1.47 s | 45 MiB |
`},
		{content(all[8:]), `| | time | messages/s |
|---|---|---|
| walk, origin | 2.12 s | 470,912 |
| Write | 123 ms | ? |
`},
	} {
		if c.got != c.want {
			t.Errorf("the table is\n%swant\n%s", c.got, c.want)
		}
	}
}

// The README holds the tables as they are printed: nobody edits them by hand.
func TestReadmeHasTables(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, table := range map[string]string{"commands": commands(nil), "fleet": fleet(nil)} {
		head := strings.Join(strings.SplitAfter(table, "\n")[:2], "")
		if !strings.Contains(string(readme), head) {
			t.Errorf("the table of %s is not in the README:\n%s", name, head)
		}
	}
}

func TestUnknownTable(t *testing.T) {
	if err := run(t.Context(), []string{"nosuch"}, io.Discard, io.Discard); err == nil {
		t.Error("a table that does not exist is printed")
	}
}
