package spec

import (
	"errors"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// Examine decodes a config.json and validates it. The error is an InvalidError
// of everything that is wrong with the document, or says why it cannot be
// parsed; then there is no configuration either. A configuration that comes
// with an error is for looking at only.
func Examine(b []byte) (*specs.Spec, error) {
	s, err := decode[specs.Spec](b, nil)
	if s == nil || !isObject(err) {
		return nil, err
	}
	p := new(problems)
	version(p, s.Version)
	if p.err() == nil && !lacksFoundations(err) {
		p = validate(s)
	}
	return s, Join(err, p.err())
}

// isObject reports whether what was decoded is a configuration at all: no fault is
// about the whole document.
func isObject(found error) bool {
	return !slices.ContainsFunc(flatten(found), func(err error) bool { return PathOf(err) == "" })
}

// Join makes one InvalidError of what several checks of a configuration have
// found, in their order, or nil of nothing. It leaves out what only follows from
// a fault that is there already: one about the same value, or about a part of it.
func Join(errs ...error) error {
	var all InvalidError
	for _, err := range errs {
		for _, found := range flatten(err) {
			if !all.Full() && !covered(found, all) {
				all = append(all, found)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// flatten takes apart what errors.Join or an InvalidError holds together.
func flatten(err error) []error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// Foundations are the JSON paths of what the meaning of other properties depends
// on.
func Foundations() []string {
	return []string{"linux.namespaces", "linux.uidMappings", "linux.gidMappings"}
}

// lacksFoundations reports whether decoding lost one of the Foundations, so that
// more faults would be guesses.
func lacksFoundations(found error) bool {
	for _, err := range flatten(found) {
		for _, base := range Foundations() {
			if Overlap(PathOf(err), base) {
				return true
			}
		}
	}
	return false
}

// covered reports whether err only follows from a fault that is known.
func covered(err error, known InvalidError) bool {
	path := PathOf(err)
	for _, k := range known {
		if within(path, PathOf(k)) || path == "" && k.Error() == err.Error() {
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

// Overlap reports whether one of two JSON paths is, or is a part of, the other.
func Overlap(a, b string) bool { return within(a, b) || within(b, a) }

// within reports whether the JSON path is base or leads to a part of it.
func within(path, base string) bool {
	rest, ok := strings.CutPrefix(path, base)
	return ok && base != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
