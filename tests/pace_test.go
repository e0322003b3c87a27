package tests

import (
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"hull/internal/testkit"
)

// pace is how many times longer a second is on this machine than on a usual one.
var pace = sync.OnceValue(func() int64 { return testkit.Pace(suite.runtime) })

// atMost is a bound for what is done in that many seconds on a usual machine.
func atMost(seconds int64) time.Duration { return paced(time.Duration(seconds) * time.Second) }

// paced is how long that much of a usual machine's time is here.
func paced(usual time.Duration) time.Duration { return usual * time.Duration(pace()) }

// fewer is how many of n rounds of the same are done: all of them on a usual
// machine, an eighth on an emulated one.
func fewer(n int) int {
	if pace() == 1 {
		return n
	}
	return min(n, max(2, n/8))
}

// some goes through a table as far as fewer says: an emulated machine tries other
// rows each time.
func some[K comparable, V any](table map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		left := fewer(len(table))
		for key, row := range table {
			if left == 0 || !yield(key, row) {
				return
			}
			left--
		}
	}
}

// few is some for a list.
func few[T any](list []T) []T {
	n := fewer(len(list))
	if n == len(list) {
		return list
	}
	list = slices.Clone(list)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:n]
}
