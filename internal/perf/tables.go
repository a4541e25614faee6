package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// missing stands for what was not measured.
const missing = "?"

func row(b *strings.Builder, cells ...string) {
	b.WriteString(strings.ReplaceAll("| "+strings.Join(cells, " | ")+" |\n", "|  ", "| "))
}

func header(b *strings.Builder, cells ...string) {
	row(b, cells...)
	b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
}

// commands is the table of single commands beside `nats`, which does not read
// the origin for add and info.
func commands(all []result) string {
	var b strings.Builder
	header(&b, "", "round trips", "`nats`", "loopback", "`nats`", "over 100 ms", "`nats`")
	for _, c := range []struct{ name, note string }{{"add", ", origin unread"}, {"edit", ""}, {"info", ", origin unread"}} {
		cells := []string{c.name}
		far := find(all, "Process/rtt=100ms/"+c.name+"/nats-kvmirror")
		farNATS := find(all, "Process/rtt=100ms/"+c.name+"/nats")
		cells = append(cells, count(far, "rounds/op"), count(farNATS, "rounds/op")+c.note)
		for _, roundTrip := range []string{"0s", "100ms"} {
			for _, program := range []string{"nats-kvmirror", "nats"} {
				cells = append(cells, span(find(all, "Process/rtt="+roundTrip+"/"+c.name+"/"+program), "ns/op"))
			}
		}
		row(&b, cells...)
	}
	row(&b, "`--help`", "", "", span(find(all, "Start/nats-kvmirror"), "ns/op"), span(find(all, "Start/nats"), "ns/op"), "", "")
	return b.String()
}

// fleet is the table of `check` of many mirrors beside `nats kv ls`.
func fleet(all []result) string {
	var b strings.Builder
	header(&b, "mirrors, each with its origin", "requests", "round trips", "on the wire", "`check`", "`nats kv ls`", "`check`, 100 ms", "`nats kv ls`, 100 ms", "memory of `check`")
	for _, near := range all {
		if near.part("rtt") != "0s" {
			continue
		}
		far := find(all, strings.Replace(near.name, "rtt=0s", "rtt=100ms", 1))
		mirrors, err := strconv.ParseInt(near.part("mirrors"), 10, 64)
		if err != nil {
			continue
		}
		row(&b, humanize.Comma(mirrors),
			count(near, "requests/op"), count(far, "rounds/op"), size(near, "wire-B/op"),
			span(near, "ns/op"), span(near, "kv-ls-ns/op"), span(far, "ns/op"), span(far, "kv-ls-ns/op"), count(near, "peak-MiB")+" MiB")
	}
	return b.String()
}

// content is a table of whatever the benchmarks of the comparison of contents
// measure: a row for each, a column for each unit of their own.
func content(all []result) string {
	var units []string
	known := map[string]bool{"ns/op": true, "B/op": true, "allocs/op": true}
	for _, r := range all {
		for _, u := range r.units {
			if !known[u] {
				known[u] = true
				units = append(units, u)
			}
		}
	}
	var b strings.Builder
	header(&b, append([]string{"", "time"}, units...)...)
	for _, r := range all {
		name := strings.Trim(strings.TrimPrefix(r.name, "Content"), "/")
		cells := []string{strings.ReplaceAll(name, "/", ", "), span(r, "ns/op")}
		for _, u := range units {
			cells = append(cells, count(r, u))
		}
		row(&b, cells...)
	}
	return b.String()
}

// count is a value as a whole number.
func count(r result, unit string) string {
	v, ok := r.value[unit]
	if !ok {
		return missing
	}
	return humanize.Comma(int64(math.Round(v)))
}

// span is a value in nanoseconds.
func span(r result, unit string) string {
	ns, ok := r.value[unit]
	switch {
	case !ok:
		return missing
	case ns >= 999.5e6:
		return fmt.Sprintf("%.2f s", ns/1e9)
	case ns >= 9.95e6:
		return fmt.Sprintf("%.0f ms", ns/1e6)
	}
	return fmt.Sprintf("%.1f ms", ns/1e6)
}

// size is a value in bytes.
func size(r result, unit string) string {
	v, ok := r.value[unit]
	switch {
	case !ok:
		return missing
	case v >= 999.5e3:
		return fmt.Sprintf("%.1f MB", v/1e6)
	}
	return fmt.Sprintf("%.0f kB", v/1e3)
}
