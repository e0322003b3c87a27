package spec

import (
	"strconv"
	"strings"

	"hull/internal/fault"
)

// InvalidError is all that is wrong with a configuration: one error a fault, each a
// *fault.Error whose Object is the JSON path. It is never empty.
type InvalidError []error

// Error renders the faults on one line, because engines show one line of log.
func (e InvalidError) Error() string {
	var b strings.Builder
	for i, err := range e {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

// Unwrap returns the faults, for errors.Is and errors.As.
func (e InvalidError) Unwrap() []error { return e }

// problems collects faults. The translators of this package report to one, so
// that Validate finds what Compile would stumble over with the same code.
type problems struct {
	found InvalidError
}

// add reports that the value at the JSON path is wrong.
func (p *problems) add(path, format string, args ...any) {
	p.found = append(p.found, fault.Newf("", path, format, args...))
}

// err returns what was collected, or nil.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	return p.found
}

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
			b.WriteString(step)
		}
	}
	return b.String()
}
