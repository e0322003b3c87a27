// Package misspelt finds what somebody who wrote a wrong name probably meant.
package misspelt

import (
	"slices"
	"strings"
)

// Nearest returns the one of names with the fewest letters to change, at most the
// given number, or "".
func Nearest(word string, names []string, most int) string {
	best, fewest := "", most+1
	slices.Sort(names)
	for _, name := range names {
		if d := distance(strings.ToLower(word), strings.ToLower(name)); d < fewest {
			best, fewest = name, d
		}
	}
	return best
}

// AThird is how many letters of a word may be wrong if it is one of few.
func AThird(word string) int { return max(1, len(word)/3) }

// distance is how many bytes have to be inserted, removed, replaced or exchanged
// with their neighbour to make b of a (the optimal string alignment distance).
func distance(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above[j+1]+1, row[j]+1, above[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
