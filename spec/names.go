package spec

import "strings"

// named is a row of a table of names, and of what the kernel has for them.
type named[N ~string, V any] struct {
	name  N
	value V
}

// lookUp returns the value of a name, or reports a name that the table of what
// lacks.
func lookUp[N ~string, V any](p *problems, path, what string, name N, table []named[N, V]) (value V) {
	for _, row := range table {
		if row.name == name {
			return row.value
		}
	}
	names := make([]string, len(table))
	for i, row := range table {
		names[i] = string(row.name)
	}
	p.add(path, "unknown %s %q (one of %w)", what, name, alternatives(names))
	return value
}

// alternatives are names to choose from. As an error they are shown at full
// length, where a string is cut.
type alternatives []string

func (a alternatives) Error() string { return strings.Join(a, ", ") }
