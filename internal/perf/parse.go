package main

import (
	"regexp"
	"strconv"
	"strings"
)

// result is what one benchmark measured.
type result struct {
	name  string // without "Benchmark" and the number of processors
	units []string
	value map[string]float64 // by unit, as ns/op
}

var processors = regexp.MustCompile(`-\d+$`)

// parse reads what `go test -bench` prints: lines of a name, the number of runs,
// and values each followed by its unit.
func parse(printed string) []result {
	var all []result
	for line := range strings.Lines(printed) {
		fields := strings.Fields(line)
		if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		r := result{name: processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), ""), value: map[string]float64{}}
		for i := 2; i < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				break
			}
			r.units = append(r.units, fields[i+1])
			r.value[fields[i+1]] = v
		}
		all = append(all, r)
	}
	return all
}

// find returns a benchmark's result; an empty one when it was not run.
func find(all []result, name string) result {
	for _, r := range all {
		if r.name == name {
			return r
		}
	}
	return result{}
}

// part is the value of a part name=value of the benchmark's name; "" when there is none.
func (r result) part(name string) string {
	for part := range strings.SplitSeq(r.name, "/") {
		if v, ok := strings.CutPrefix(part, name+"="); ok {
			return v
		}
	}
	return ""
}
