package cli

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The parsers below read sizes and durations as people type them on a command
// line. Both take the whole text or nothing: no rest is ignored, nothing
// wraps around.
// fisk's own parsers truncate fractions.

var (
	// errSyntax is returned for a text that is no size or duration.
	errSyntax = errors.New("cannot be understood")
	// errNegative is returned for a value below zero.
	errNegative = errors.New("is negative")
	// errTooLarge is returned for a value that does not fit.
	errTooLarge = errors.New("is too large")
)

var (
	size     = regexp.MustCompile(`^([0-9]+)\s*([a-zA-Z]*)$`)
	duration = regexp.MustCompile(`^(([0-9]+\.?[0-9]*|\.[0-9]+)[a-zA-Zµμ]+)+$`)
	part     = regexp.MustCompile(`([0-9]+\.?[0-9]*|\.[0-9]+)([a-zA-Zµμ]+)`)
)

// parseBytes reads a number of bytes: digits alone, or followed by B, K, M, G
// or T, each also as KB or KiB; a K is always 1024, as in `nats`. The largest
// result is limit.
func parseBytes(text string, limit int64) (int64, error) {
	s := strings.TrimSpace(text)
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("%q %w", text, errNegative)
	}
	m := size.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q %w as a size", text, errSyntax)
	}
	shift, ok := shifts(m[2])
	if !ok {
		return 0, fmt.Errorf("%q %w as a size: no unit %q", text, errSyntax, m[2])
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n > limit>>shift {
		return 0, fmt.Errorf("%q %w: the most is %d bytes", text, errTooLarge, limit)
	}
	return n << shift, nil
}

// shifts is the power of two of a unit of size.
func shifts(unit string) (int, bool) {
	unit = strings.ToUpper(unit)
	if unit == "" || unit == "B" {
		return 0, true
	}
	power := strings.Index("KMGT", unit[:1])
	if power < 0 {
		return 0, false
	}
	switch unit[1:] {
	case "", "B", "IB":
		return 10 * (power + 1), true
	}
	return 0, false
}

// parseDuration reads a duration of zero or more: Go's units, and d (24 hours),
// w (7 days), M (30 days) and y (365 days), as in `nats`.
func parseDuration(text string) (time.Duration, error) {
	s := strings.TrimSpace(text)
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("%q %w", text, errNegative)
	}
	s = strings.TrimPrefix(s, "+")
	if s == "0" {
		return 0, nil
	}
	if !duration.MatchString(s) {
		return 0, fmt.Errorf("%q %w as a duration", text, errSyntax)
	}
	var total time.Duration
	for _, m := range part.FindAllStringSubmatch(s, -1) {
		d, err := parsePart(m[1], m[2])
		if err != nil {
			return 0, fmt.Errorf("%q %w", text, err)
		}
		if d > math.MaxInt64-total {
			return 0, fmt.Errorf("%q %w", text, errTooLarge)
		}
		total += d
	}
	return total, nil
}

func parsePart(number, unit string) (time.Duration, error) {
	const day = 24 * time.Hour
	long := map[string]time.Duration{
		"d": day, "D": day, "w": 7 * day, "W": 7 * day, "M": 30 * day, "y": 365 * day, "Y": 365 * day,
	}
	if base, ok := long[unit]; ok {
		n, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, errTooLarge // the only way in which digits fail
		}
		// The largest float below 2^63; beyond it the conversion is undefined.
		if v := n * float64(base); v < math.MaxInt64 {
			return time.Duration(v), nil
		}
		return 0, errTooLarge
	}
	d, err := time.ParseDuration(number + unit)
	switch {
	case err == nil:
		return d, nil
	case strings.Contains(err.Error(), "unknown unit"):
		return 0, fmt.Errorf("%w as a duration: no unit %q", errSyntax, unit)
	}
	return 0, errTooLarge
}
