package cli

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

var errSize = errors.New("it is not a size such as 67108864, 64M or 1.5GiB")

// parseSize parses a size in bytes, or with a unit that is a power of 1024: k,
// m, g, t or p, in either case, alone or with b or ib behind it. -1 is no limit.
// The same sizes as runc's are sizes.
func parseSize(s string) (int64, error) {
	if s == "-1" {
		return -1, nil
	}
	digits := strings.TrimRightFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	factor, err := sizeUnit(strings.ToLower(strings.TrimPrefix(s[len(digits):], " ")))
	if err != nil || digits == "" || strings.TrimLeft(digits, "0123456789.") != "" {
		return 0, errSize
	}
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil && n <= math.MaxInt64/factor {
		return n * factor, nil
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || f*float64(factor) >= math.MaxInt64 {
		return 0, errSize
	}
	return int64(f * float64(factor)), nil
}

// sizeUnit returns how many bytes a unit is.
func sizeUnit(unit string) (int64, error) {
	if unit == "" || unit == "b" {
		return 1, nil
	}
	power := strings.IndexByte("kmgtp", unit[0])
	if rest := unit[1:]; power < 0 || rest != "" && rest != "b" && rest != "ib" {
		return 0, errSize
	}
	return 1 << (10 * (power + 1)), nil
}
