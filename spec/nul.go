package spec

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// noNUL reports every string below v that contains a NUL byte. JSON can carry
// one (\u0000), but a string that goes to the kernel ends there, so what was
// checked would not be what takes effect.
func noNUL(p *problems, v any) {
	nulFinder{p}.walk(reflect.ValueOf(v), nil)
}

// nulFinder walks a configuration. The path is only rendered for a fault.
type nulFinder struct {
	problems *problems
}

// step is one step of a JSON path, linked to the one before it.
type step struct {
	before *step
	name   string
	index  int
}

func (s *step) String() string {
	if s == nil {
		return ""
	}
	if s.name == "" {
		return s.before.String() + "[" + strconv.Itoa(s.index) + "]"
	}
	if before := s.before.String(); before != "" {
		return before + "." + legible(s.name)
	}
	return legible(s.name)
}

// key is the name of a step to the value of a map. A step without a name is one
// into an array.
func key(name string) string {
	if name == "" {
		return `""`
	}
	return name
}

func (f nulFinder) walk(v reflect.Value, here *step) {
	switch v.Kind() {
	case reflect.String:
		if strings.IndexByte(v.String(), 0) >= 0 {
			f.problems.add(here.String(), "must not contain a NUL byte")
		}
	case reflect.Pointer:
		if !v.IsNil() {
			f.walk(v.Elem(), here)
		}
	case reflect.Slice:
		for i := range v.Len() {
			f.walk(v.Index(i), &step{before: here, index: i})
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			there := &step{before: here, name: key(it.Key().String())}
			f.walk(it.Key(), there)
			f.walk(it.Value(), there)
		}
	case reflect.Struct:
		f.fields(v, here)
	default: // holds no string
	}
}

func (f nulFinder) fields(v reflect.Value, here *step) {
	t := v.Type()
	if t == reflect.TypeFor[specs.LinuxSeccomp]() {
		return // its strings are names to look up; none of them has a NUL
	}
	for i := range v.NumField() {
		switch field := v.Field(i); field.Kind() {
		case reflect.String, reflect.Pointer, reflect.Slice, reflect.Map, reflect.Struct:
			if !field.IsZero() {
				f.walk(field, &step{before: here, name: jsonName(t.Field(i))})
			}
		default: // holds no string; skipping it here saves the path
		}
	}
}
