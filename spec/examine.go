package spec

import (
	"errors"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// Examine decodes a config.json and validates it. The error is an InvalidError
// of everything that is wrong with the document, or says why it cannot be
// parsed; then there is no configuration either. A configuration that comes
// with an error is for looking at only.
func Examine(b []byte) (*specs.Spec, error) {
	s, err := decode[specs.Spec](b)
	if s == nil {
		return nil, err
	}
	var found InvalidError
	errors.As(err, &found)
	p := new(problems)
	version(p, s.Version)
	if p.err() == nil && !lacksFoundations(found) {
		p = validate(s)
	}
	for _, err := range p.found {
		if !found.covers(err) {
			found = append(found, err)
		}
	}
	if len(found) == 0 {
		return s, nil
	}
	return s, found
}

// lacksFoundations reports whether decoding lost what the meaning of other
// properties depends on, so that more faults would be guesses.
func lacksFoundations(found InvalidError) bool {
	for _, err := range found {
		for _, base := range [...]string{"linux.namespaces", "linux.uidMappings", "linux.gidMappings"} {
			if path := PathOf(err); within(path, base) || within(base, path) {
				return true
			}
		}
	}
	return false
}

// covers reports whether err only follows from a fault that is known: it is
// about the same value or about a part of it.
func (e InvalidError) covers(err error) bool {
	path := PathOf(err)
	for _, known := range e {
		if within(path, PathOf(known)) {
			return true
		}
	}
	return false
}

// PathOf returns the JSON path that a fault of config.json is about, or "".
func PathOf(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) || f.Op != "" {
		return ""
	}
	return f.Object
}

// within reports whether the JSON path is base or leads to a part of it.
func within(path, base string) bool {
	rest, ok := strings.CutPrefix(path, base)
	return ok && base != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
