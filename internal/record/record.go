// Package record is the format of small files that hull writes for itself: one
// field a line, its name and its value, strings quoted as in Go. A person can
// read them, and neither direction needs reflection: in a process that lives
// for milliseconds, encoding/json costs a quarter of one of them each time.
//
// One walk per type serves both directions, so that they cannot drift. The
// format has no place for what it does not know: reader and writer are the same
// version of hull.
package record

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Walker visits the fields of a value in a fixed order, and writes or reads
// them. Errors are kept until Encode or Decode returns.
type Walker struct {
	out     []byte
	in      string
	reading bool
	err     error
}

// Encode renders what walk visits.
func Encode(walk func(*Walker)) []byte {
	w := Walker{out: make([]byte, 0, 2048)}
	walk(&w)
	return w.out
}

// Decode fills in what walk visits. It never panics on hostile bytes.
func Decode(b []byte, walk func(*Walker)) error {
	w := Walker{in: string(b), reading: true}
	walk(&w)
	if w.err == nil && w.in != "" {
		w.err = errors.New("unknown fields at the end")
	}
	return w.err
}

// line returns the value of the next line, which must be name's.
func (w *Walker) line(name string) string {
	line, rest, ok := strings.Cut(w.in, "\n")
	value, found := strings.CutPrefix(line, name+" ")
	if w.err == nil && (!ok || !found) {
		w.err = errors.New("field " + name + " is missing")
	}
	if w.err != nil {
		return ""
	}
	w.in = rest
	return value
}

func (w *Walker) fail(name string, err error) {
	if w.err == nil && err != nil {
		w.err = errors.New("field " + name + ": " + err.Error())
	}
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
	s, err := strconv.Unquote(w.line(name))
	w.fail(name, err)
	*v = s
}

// Int walks a number.
func (w *Walker) Int(name string, v *int) {
	if !w.reading {
		w.begin(name)
		w.out = strconv.AppendInt(w.out, int64(*v), 10)
		w.end()
		return
	}
	n, err := strconv.Atoi(w.line(name))
	w.fail(name, err)
	*v = n
}

// Uint64 walks a number that is not negative.
func (w *Walker) Uint64(name string, v *uint64) {
	if !w.reading {
		w.begin(name)
		w.out = strconv.AppendUint(w.out, *v, 10)
		w.end()
		return
	}
	n, err := strconv.ParseUint(w.line(name), 10, 64)
	w.fail(name, err)
	*v = n
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
	b, err := strconv.ParseBool(w.line(name))
	w.fail(name, err)
	*v = b
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
	for range n {
		if w.err != nil {
			return
		}
		*v = append(*v, *new(T))
		each(w, &(*v)[len(*v)-1])
	}
}
