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
BenchmarkContentCheck-2                             	       3	4323456789 ns/op	   1000000 messages	    231300 messages/s	        46.20 peak-MiB	3912345678 pull-ns/op	2612345678 push-ns/op
BenchmarkContentSync-2                              	       3	7123456789 ns/op	    100000 messages	     14040 messages/s	        44.40 peak-MiB
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
		{content(all), "| | messages | time | a second | ordered consumer | the older, push | memory |\n" + `|---|---|---|---|---|---|---|
` + "| `check --content` | 1,000,000 | 4.32 s | 231,300 | 3.91 s | 2.61 s | 46 MiB |\n" + "| `sync --content` | 100,000 | 7.12 s | 14,040 | | | 44 MiB |\n"},
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
	for name, table := range map[string]string{"commands": commands(nil), "fleet": fleet(nil), "content": content(nil)} {
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
