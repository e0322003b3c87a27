// Package record is the format of small files that hull writes for itself: one
// field a line, its name and its value, strings quoted as in Go. A person can
// read them, and neither direction needs reflection: in a process that lives
// for milliseconds, encoding/json costs a quarter of one of them each time.
//
// One walk per type serves both directions, so that they cannot drift. A reader may
// be another version of hull than the writer: it passes over fields that it does not
// know, and those that it does not find are zero, in whatever order they are. The
// first line is the version of the format itself, and the last a checksum: what is
// torn or damaged is not taken for a record that lacks fields.
//
// For that, a list holds strings, or elements of several fields, of which the first
// is called "- name" and the others "  name"; lists in elements hold strings.
package record

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The lines around the fields.
const (
	header  = "record 1\n"
	trailer = "sum "
)

// Walker visits the fields of a value in a fixed order, and writes or reads
// them. Errors are kept until Encode or Decode returns.
type Walker struct {
	out []byte
	// in is what comes after the field that was read last, and scope what is
	// searched for one that is elsewhere: the record, or from an element on.
	in, scope string
	reading   bool
	err       error
}

// Encode renders what walk visits.
func Encode(walk func(*Walker)) []byte {
	w := Walker{out: append(make([]byte, 0, 2048), header...)}
	walk(&w)
	return seal(w.out)
}

// seal adds the checksum.
func seal(b []byte) []byte {
	sum := checksum(b)
	return append(strconv.AppendUint(append(b, trailer...), sum, 16), '\n')
}

// Decode fills in what walk visits. It never panics on hostile bytes.
func Decode(b []byte, walk func(*Walker)) error {
	fields, err := unseal(b)
	if err != nil {
		return err
	}
	w := Walker{in: fields, scope: fields, reading: true}
	walk(&w)
	return w.err
}

// unseal returns the lines of the fields.
func unseal(b []byte) (string, error) {
	text := string(b)
	fields, found := strings.CutPrefix(text, header)
	if !found {
		return "", errors.New("it is not of a format that this version of hull knows")
	}
	end := strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n") + 1
	sum := strconv.FormatUint(checksum(b[:end]), 16)
	if text[end:] != trailer+sum+"\n" {
		return "", errors.New("it is incomplete or damaged")
	}
	return fields[:end-len(header)], nil
}

// checksum is FNV-1a, against accidents.
func checksum(b []byte) uint64 {
	sum := uint64(14695981039346656037)
	for _, c := range b {
		sum = (sum ^ uint64(c)) * 1099511628211
	}
	return sum
}

// line returns the value of name's line, as a rule the next. There is none if
// another version of hull has written the record.
func (w *Walker) line(name string) (value string, found bool) {
	if w.err != nil {
		return "", false
	}
	if value, rest, found := cut(w.in, name); found {
		w.in = rest
		return value, true
	}
	if len(name) == 1 { // a string of a list, which has no name
		w.fail(name, errors.New("it is missing"))
		return "", false
	}
	for in := w.scope; in != "" && (len(in) == len(w.scope) || !w.endsAt(in)); in = skip(in) {
		if value, rest, found := cut(in, name); found {
			w.in = rest
			return value, true
		}
	}
	return "", false
}

// cut takes name's line from the beginning of in.
func cut(in, name string) (value, rest string, found bool) {
	after, found := strings.CutPrefix(in, name)
	if !found || after == "" || after[0] != ' ' {
		return "", "", false
	}
	return strings.Cut(after[1:], "\n")
}

// skip returns what comes after the first line of in.
func skip(in string) string {
	_, rest, _ := strings.Cut(in, "\n")
	return rest
}

// endsAt reports whether the line that in begins with is behind the scope.
func (w *Walker) endsAt(in string) bool { return isElement(w.scope) && (isElement(in) || isField(in)) }

// isElement reports whether in begins with an element of several fields, and isField
// whether it begins with a field of the record itself.
func isElement(in string) bool { return len(in) > 2 && in[0] == '-' && in[2] != '"' }
func isField(in string) bool   { return in != "" && in[0] != '-' && in[0] != ' ' && in[0] != '=' }

func (w *Walker) fail(name string, err error) {
	if w.err == nil && err != nil {
		w.err = errors.New("field " + name + ": " + err.Error())
	}
}

// read returns the value of a field, or zero if there is no such field.
func read[T any](w *Walker, name string, parse func(string) (T, error)) (v T) {
	line, found := w.line(name)
	if !found {
		return v
	}
	v, err := parse(line)
	w.fail(name, err)
	return v
}

func (w *Walker) begin(name string) { w.out = append(append(w.out, name...), ' ') }
func (w *Walker) end()              { w.out = append(w.out, '\n') }

// String walks a string.
func (w *Walker) String(name string, v *string) {
	if !w.reading {
		w.begin(name)
		w.out = strconv.AppendQuote(w.out, *v)
		w.end()
		return
	}
	*v = read(w, name, strconv.Unquote)
}

// Int walks a number.
func (w *Walker) Int(name string, v *int) {
	if !w.reading {
		w.begin(name)
		w.out = strconv.AppendInt(w.out, int64(*v), 10)
		w.end()
		return
	}
	*v = read(w, name, strconv.Atoi)
}

// Uint64 walks a number that is not negative.
func (w *Walker) Uint64(name string, v *uint64) {
	if !w.reading {
		w.begin(name)
		w.out = strconv.AppendUint(w.out, *v, 10)
		w.end()
		return
	}
	*v = read(w, name, func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) })
}

// Uint32 walks a number of 32 bits.
func (w *Walker) Uint32(name string, v *uint32) {
	n := uint64(*v)
	w.Uint64(name, &n)
	if n > 1<<32-1 {
		w.fail(name, strconv.ErrRange)
		return
	}
	*v = uint32(n)
}

// Bool walks a truth value.
func (w *Walker) Bool(name string, v *bool) {
	if !w.reading {
		w.begin(name)
		w.out = strconv.AppendBool(w.out, *v)
		w.end()
		return
	}
	*v = read(w, name, strconv.ParseBool)
}

// Bytes walks bytes, quoted as a string.
func (w *Walker) Bytes(name string, v *[]byte) {
	s := string(*v)
	w.String(name, &s)
	if w.reading && s != "" {
		*v = []byte(s)
	}
}

// Strings walks a list of strings.
func (w *Walker) Strings(name string, v *[]string) {
	List(w, name, v, func(w *Walker, s *string) { w.String("-", s) })
}

// Map walks a map, sorted by key.
func (w *Walker) Map(name string, v *map[string]string) { //nolint:gocritic // reading replaces the map
	keys := slices.Sorted(maps.Keys(*v))
	values := *v
	if w.reading {
		values = make(map[string]string)
	}
	List(w, name, &keys, func(w *Walker, k *string) {
		w.String("-", k)
		value := values[*k]
		w.String("=", &value)
		values[*k] = value
	})
	if w.reading && len(values) > 0 {
		*v = values
	}
}

// List walks a list: its length, then each element.
func List[T any](w *Walker, name string, v *[]T, each func(*Walker, *T)) {
	n := len(*v)
	w.Int(name, &n)
	if !w.reading {
		for i := range *v {
			each(w, &(*v)[i])
		}
		return
	}
	// Every element takes a line: that bounds what a wrong length can do.
	if w.err != nil || n < 0 || n > len(w.in) {
		w.fail(name, strconv.ErrRange)
		return
	}
	*v = nil
	scope := w.scope
	for range n {
		if w.err != nil {
			return
		}
		if w.scope = w.in; !strings.HasPrefix(w.in, "- ") {
			w.fail(name, errors.New("elements are missing"))
			return
		}
		*v = append(*v, *new(T))
		each(w, &(*v)[len(*v)-1])
		w.leave()
	}
	w.scope = scope
}

// leave passes over what an element has that was not asked for.
func (w *Walker) leave() {
	for isElement(w.scope) && w.in != "" && !w.endsAt(w.in) {
		w.in = skip(w.in)
	}
}
