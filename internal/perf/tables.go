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

// content is the table of comparing and purging messages.
func content(all []result) string {
	var b strings.Builder
	header(&b, "", "messages", "time", "a second", "ordered consumer", "the older, push", "memory")
	for _, c := range []struct{ name, bench string }{{"`check --content`", "ContentCheck"}, {"`sync --content`", "ContentSync"}} {
		r := find(all, c.bench)
		cells := []string{c.name, count(r, "messages"), span(r, "ns/op"), count(r, "messages/s")}
		for _, unit := range []string{"pull-ns/op", "push-ns/op"} {
			if _, ok := r.value[unit]; ok {
				cells = append(cells, span(r, unit))
			} else {
				cells = append(cells, "")
			}
		}
		row(&b, append(cells, count(r, "peak-MiB")+" MiB")...)
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
