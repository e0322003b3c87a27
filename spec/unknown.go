package spec

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
	"hull/internal/misspelt"
)

// Unknown lists the properties of a config.json that the specification does not
// have, and the annotations with a prefix of those that act (run.oci.) that hull
// does not know. They must be ignored (config.md, "Extensibility"), and are
// mostly typing errors: where there is a name that was probably meant, it is the
// hint. What cannot be parsed has no properties.
func Unknown(b []byte) []error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var tree any
	if dec.Decode(&tree) != nil {
		return nil
	}
	var f unknownFinder
	f.walk(reflect.TypeFor[specs.Spec](), tree, nil)
	if root, ok := tree.(map[string]any); ok {
		if annotations, ok := root["annotations"].(map[string]any); ok {
			f.annotations(annotations)
		}
	}
	return f.found.found
}

// unknownFinder compares a parsed document with the types that it fills.
type unknownFinder struct{ found problems }

func (f *unknownFinder) walk(t reflect.Type, tree any, here *step) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch tree := tree.(type) {
	case []any:
		for i := range tree {
			if t.Kind() == reflect.Slice {
				f.walk(t.Elem(), tree[i], &step{before: here, index: i})
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(tree)) {
			f.property(t, key, tree[key], here)
		}
	}
}

// property looks at one property of an object of type t.
func (f *unknownFinder) property(t reflect.Type, key string, value any, here *step) {
	at := &step{before: here, name: key}
	switch t.Kind() {
	case reflect.Map:
		f.walk(t.Elem(), value, at)
	case reflect.Struct:
		known := properties(t)
		if field, ok := known[key]; ok {
			f.walk(field, value, at)
			return
		}
		f.unknown(at.String(), misspelt.Nearest(key, slices.Collect(maps.Keys(known)), misspelt.AThird(key)), here)
		if f.hint() == "" {
			f.setHint(elsewhere(reflect.TypeFor[specs.Spec](), key, nil))
		}
	default: // an object where a scalar should be: Examine says so
	}
}

func (f *unknownFinder) unknown(path, meant string, here *step) {
	f.found.add(path, "unknown property")
	if meant != "" {
		f.setHint((&step{before: here, name: meant}).String())
	}
}

// last is the fault that was added last.
func (f *unknownFinder) last() *fault.Error {
	last, _ := f.found.found[len(f.found.found)-1].(*fault.Error) //nolint:errorlint // problems.add makes it
	return last
}

func (f *unknownFinder) hint() string { return f.last().Hint }

func (f *unknownFinder) setHint(meant string) {
	if meant != "" {
		f.last().Hint = "did you mean " + meant + "?"
	}
}

// properties returns the types of the properties of a struct.
func properties(t reflect.Type) map[string]reflect.Type {
	known := make(map[string]reflect.Type, t.NumField())
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous {
			maps.Copy(known, properties(field.Type))
			continue
		}
		known[jsonName(field)] = field.Type
	}
	return known
}

// elsewhere returns the path of a property named key in another object of the
// configuration than it was found in, or "": the first, and none within lists
// and maps.
func elsewhere(t reflect.Type, key string, here *step) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return ""
	}
	known := properties(t)
	if _, ok := known[key]; ok {
		return (&step{before: here, name: key}).String()
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if here == nil && isOtherPlatform(name) {
			continue
		}
		if path := elsewhere(known[name], key, &step{before: here, name: name}); path != "" {
			return path
		}
	}
	return ""
}

// isOtherPlatform reports whether a section of config.json is for another
// platform than Linux.
func isOtherPlatform(name string) bool {
	switch name {
	case "freebsd", "solaris", "vm", "windows", "zos":
		return true
	}
	return false
}

func (f *unknownFinder) annotations(annotations map[string]any) {
	known := UnsafeAnnotations()
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		ours := strings.HasPrefix(key, "run.oci.") || strings.HasPrefix(key, "org.systemd.") || strings.HasPrefix(key, "org.criu.")
		if !ours || slices.Contains(known, key) || strings.HasPrefix(key, AnnotationSystemdPrefix) {
			continue
		}
		f.found.add(at("annotations", key), "unknown annotation, it has no effect")
		if isOnlyOfCrun(key) {
			f.last().Hint = "it is one of crun's"
		} else {
			f.setHint(misspelt.Nearest(key, known, misspelt.AThird(key)))
		}
	}
}

// isOnlyOfCrun reports whether crun has an annotation, and hull has not.
func isOnlyOfCrun(key string) bool {
	switch key {
	case "run.oci.handler", "run.oci.seccomp.plugins", "run.oci.systemd.force_cgroup_v1":
		return true
	}
	return false
}
