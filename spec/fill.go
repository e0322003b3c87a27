package spec

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// fill stores a parsed JSON value in a Go value, by the rules of encoding/json
// that specs-go needs: unknown properties are ignored, null leaves the zero
// value. Names must match exactly. A value of another type is reported.
func fill(p *problems, to reflect.Value, from any, here *step) {
	if from == nil {
		return
	}
	var ok bool
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		fill(p, to.Elem(), from, here)
		return
	case reflect.Struct:
		ok = fillStruct(p, to, from, here)
	case reflect.Map:
		ok = fillMap(p, to, from, here)
	case reflect.Slice:
		ok = fillSlice(p, to, from, here)
	case reflect.Interface: // windows.credentialSpec
		to.Set(reflect.ValueOf(from))
		ok = true
	default:
		ok = fillScalar(to, from)
	}
	if !ok {
		p.add(here.String(), "must be %s, not %s", kindName(to.Kind()), treeName(from))
	}
}

func fillStruct(p *problems, to reflect.Value, from any, here *step) bool {
	object, ok := from.(map[string]any)
	if !ok {
		return false
	}
	t := to.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous {
			fill(p, to.Field(i), from, here)
			continue
		}
		name := jsonName(field)
		if value, ok := object[name]; ok {
			fill(p, to.Field(i), value, &step{before: here, name: name})
		}
	}
	for _, name := range required(t) {
		if object[name] == nil {
			p.add((&step{before: here, name: name}).String(), "must be set")
		}
	}
	return true
}

// jsonName is the name of a property. The fields of specs-go all have a tag.
func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

func fillMap(p *problems, to reflect.Value, from any, here *step) bool {
	object, ok := from.(map[string]any)
	if !ok {
		return false
	}
	t := to.Type()
	to.Set(reflect.MakeMapWithSize(t, len(object)))
	for _, key := range slices.Sorted(maps.Keys(object)) { // faults have an order
		value := object[key]
		element := reflect.New(t.Elem()).Elem()
		fill(p, element, value, &step{before: here, name: key})
		to.SetMapIndex(reflect.ValueOf(key), element)
	}
	return true
}

func fillSlice(p *problems, to reflect.Value, from any, here *step) bool {
	array, ok := from.([]any)
	if !ok {
		return false
	}
	to.Set(reflect.MakeSlice(to.Type(), len(array), len(array)))
	for i, value := range array {
		fill(p, to.Index(i), value, &step{before: here, index: i})
	}
	return true
}

func fillScalar(to reflect.Value, from any) bool {
	switch from := from.(type) {
	case string:
		if to.Kind() == reflect.String {
			to.SetString(from)
			return true
		}
	case bool:
		if to.Kind() == reflect.Bool {
			to.SetBool(from)
			return true
		}
	case json.Number:
		return fillNumber(to, from.String())
	}
	return false
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

// treeName says what a parsed value is.
func treeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return "a string"
	case json.Number:
		return "the number " + v.String()
	case []any:
		return "an array"
	default:
		return "an object"
	}
}
