package spec

import (
	"strconv"
	"strings"

	"hull/internal/fault"
)

// InvalidError is all that is wrong with a configuration: one error a fault, each a
// *fault.Error whose Object is the JSON path. It is never empty.
type InvalidError = fault.InvalidError

// problems collects faults. The translators of this package report to one, so
// that Validate finds what Compile would stumble over with the same code.
type problems struct {
	found InvalidError
}

// add reports that the value at the JSON path is wrong.
func (p *problems) add(path, format string, args ...any) { p.found.Add(path, format, args...) }

// full reports whether it is no use to look for more.
func (p *problems) full() bool { return p.found.Full() }

// err returns what was collected, or nil.
func (p *problems) err() error { return p.found.Err() }

// at renders a JSON path of names and indexes: at("mounts", 3, "type") is
// "mounts[3].type".
func at(steps ...any) string {
	var b strings.Builder
	for _, step := range steps {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		case string:
			if b.Len() > 0 && step != "" {
				b.WriteByte('.')
			}
			b.WriteString(legible(step))
		}
	}
	return b.String()
}

// legible quotes a name that would break a line. A path that at has rendered
// stays as it is.
func legible(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return strconv.Quote(name)
	}
	return name
}
