package spec

import (
	"reflect"
	"strconv"
	"strings"

	"hull/internal/jsonpull"
)

// maxHeld is how much memory the elements of a document may take, beside what is
// written in them: a quarter of a million strings, or forty thousand mounts. It
// keeps a document of empty elements from filling the memory.
const maxHeld = 4 << 20

// nameSize is what a name in a map takes.
const nameSize = 32

// filler stores a JSON text in a Go value while it reads it, by the rules of
// encoding/json that specs-go needs: unknown properties are ignored, a property
// that is null leaves the zero value. Names must match exactly, and occur once
// (glossary.md, "JSON"). What is wrong with the values is collected; what is
// wrong with the text ends it.
type filler struct {
	in       *jsonpull.Reader
	problems *problems
	// where is the JSON path of the error of in.
	where string
	// room is what is left of maxHeld.
	room int
}

// value stores the next value of the text, and says of which kind it is.
func (f *filler) value(to reflect.Value, here *step) jsonpull.Kind {
	kind := f.in.Next()
	if f.ok(here) && kind != jsonpull.Null {
		f.store(to, kind, here)
	}
	return kind
}

// ok reports whether the text can be read on.
func (f *filler) ok(here *step) bool {
	if f.in.Err() == nil {
		return true
	}
	if f.where == "" {
		f.where = here.String()
	}
	return false
}

// hold takes the memory of a value.
func (f *filler) hold(size int, here *step) {
	if f.room -= size; f.room < 0 {
		f.in.Fail("more elements than hull holds in %d bytes", maxHeld)
		f.ok(here)
	}
}

func (f *filler) store(to reflect.Value, kind jsonpull.Kind, here *step) {
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		f.store(to.Elem(), kind, here)
		return
	case reflect.Struct:
		if kind == jsonpull.Object {
			f.object(to, here)
			return
		}
	case reflect.Map:
		if kind == jsonpull.Object {
			f.mapping(to, here)
			return
		}
	case reflect.Slice:
		if kind == jsonpull.Array {
			f.array(to, here)
			return
		}
	case reflect.Interface: // windows.credentialSpec, which nothing here reads
		if kind == jsonpull.String {
			to.Set(reflect.ValueOf(f.in.Text()))
		}
		f.skip(kind, here)
		return
	default:
		if f.scalar(to, kind) {
			return
		}
	}
	f.problems.add(here.String(), "must be %s, not %s", kindName(to.Kind()), f.valueName(kind))
	f.skip(kind, here)
}

// skip reads the rest of a value.
func (f *filler) skip(kind jsonpull.Kind, here *step) {
	f.in.Skip(kind)
	f.ok(here)
}

// object fills a struct.
func (f *filler) object(to reflect.Value, here *step) {
	seen := make(map[string]bool) // whether the property is there and not null
	there := &step{before: here}
	for f.in.More() {
		name := f.in.Name()
		if !f.ok(here) {
			return
		}
		there.name = key(name)
		if _, twice := seen[name]; twice {
			f.problems.add(there.String(), "the object has it twice")
			f.skip(f.in.Next(), there)
			continue
		}
		field := fieldByName(to, name)
		if !field.IsValid() {
			seen[name] = true
			f.hold(nameSize, here)
			f.skip(f.in.Next(), there)
			continue
		}
		seen[name] = f.value(field, there) != jsonpull.Null
	}
	if !f.ok(here) {
		return
	}
	for _, name := range required(to) {
		if !seen[name] {
			there.name = name
			f.problems.add(there.String(), "must be set")
		}
	}
}

// fieldByName returns the field of a property, also of an embedded struct.
func fieldByName(v reflect.Value, name string) reflect.Value {
	t := v.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous {
			if inner := fieldByName(v.Field(i), name); inner.IsValid() {
				return inner
			}
		} else if jsonName(field) == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

// jsonName is the name of a property. The fields of specs-go all have a tag.
func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

func (f *filler) mapping(to reflect.Value, here *step) {
	t := to.Type()
	to.Set(reflect.MakeMap(t))
	there := &step{before: here}
	for f.in.More() {
		name := f.in.Name()
		if !f.ok(here) {
			return
		}
		there.name = key(name)
		index, element := reflect.ValueOf(name), reflect.New(t.Elem()).Elem()
		if to.MapIndex(index).IsValid() {
			f.problems.add(there.String(), "the object has it twice")
			f.skip(f.in.Next(), there)
			continue
		}
		f.hold(nameSize+int(t.Elem().Size()), here)
		f.element(element, there)
		to.SetMapIndex(index, element)
	}
	f.ok(here)
}

func (f *filler) array(to reflect.Value, here *step) {
	size := int(to.Type().Elem().Size())
	to.Set(reflect.MakeSlice(to.Type(), 0, 0))
	there := &step{before: here}
	for f.in.More() {
		f.hold(size, here)
		there.index = to.Len()
		to.Grow(1)
		to.SetLen(there.index + 1)
		f.element(to.Index(there.index), there)
	}
	f.ok(here)
}

// element stores a value of an array or a map, where nothing says what null
// would mean.
func (f *filler) element(to reflect.Value, here *step) {
	if f.value(to, here) != jsonpull.Null {
		return
	}
	for to.Kind() == reflect.Pointer {
		to = reflect.New(to.Type().Elem()).Elem()
	}
	f.problems.add(here.String(), "must be %s, not null", kindName(to.Kind()))
}

func (f *filler) scalar(to reflect.Value, kind jsonpull.Kind) bool {
	switch {
	case kind == jsonpull.String && to.Kind() == reflect.String:
		to.SetString(f.in.Text())
	case kind == jsonpull.True && to.Kind() == reflect.Bool:
		to.SetBool(true)
	case kind == jsonpull.False && to.Kind() == reflect.Bool:
		to.SetBool(false)
	case kind == jsonpull.Number:
		return fillNumber(to, f.in.Text())
	default:
		return false
	}
	return true
}

func fillNumber(to reflect.Value, text string) bool {
	switch {
	case to.CanInt():
		n, err := strconv.ParseInt(text, 10, to.Type().Bits())
		to.SetInt(n)
		return err == nil
	case to.CanUint():
		n, err := strconv.ParseUint(text, 10, to.Type().Bits())
		to.SetUint(n)
		return err == nil
	}
	return false
}

// kindName says in the words of JSON what a Go value is filled from.
func kindName(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Uint, reflect.Uint64:
		return "an integer from 0 to 18446744073709551615"
	case reflect.Uint32:
		return "an integer from 0 to 4294967295"
	case reflect.Uint16:
		return "an integer from 0 to 65535"
	case reflect.Int32:
		return "an integer from -2147483648 to 2147483647"
	default:
		return "an integer"
	}
}

// valueName says what the value is whose kind was read.
func (f *filler) valueName(kind jsonpull.Kind) string {
	switch kind {
	case jsonpull.Null:
		return "null"
	case jsonpull.True:
		return "true"
	case jsonpull.False:
		return "false"
	case jsonpull.String:
		return "a string"
	case jsonpull.Number:
		return "the number " + f.in.Text()
	case jsonpull.Array:
		return "an array"
	default:
		return "an object"
	}
}
