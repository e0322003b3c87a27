package spec

import (
	"slices"
	"strings"
)

// nearest returns the name that somebody who wrote word probably meant, or "":
// the one with the fewest letters to change, of which a third may be wrong.
func nearest(word string, names []string) string {
	best, fewest := "", max(1, len(word)/3)+1
	slices.Sort(names)
	for _, name := range names {
		if d := distance(strings.ToLower(word), strings.ToLower(name)); d < fewest {
			best, fewest = name, d
		}
	}
	return best
}

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
