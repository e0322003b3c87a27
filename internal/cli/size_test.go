package cli

import (
	"errors"
	"testing"
)

func TestSizesAreThoseOfRunc(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "67108864": 67108864, "-1": -1, "32b": 32, "32B": 32,
		"1k": 1 << 10, "1K": 1 << 10, "1kb": 1 << 10, "1KiB": 1 << 10, "1 kb": 1 << 10, "5 ": 5,
		"64m": 64 << 20, "64MB": 64 << 20, "64MiB": 64 << 20, "1.5g": 3 << 29, "2T": 2 << 40, "1p": 1 << 50,
		".5k": 512, "9223372036854775807": 1<<63 - 1, "8191p": 8191 << 50,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: %d %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "k", "-5", "-1k", "+5", "5x", "5kk", "5kib5", "5bb", "1.5.5m", "0x5", "1e3", "5  k", " 5", "9223372036854775808", "8192p", "99999p", "٣",
	} {
		if got, err := parseSize(text); !errors.Is(err, errSize) {
			t.Errorf("%q: %d %v, want an error", text, got, err)
		}
	}
}
