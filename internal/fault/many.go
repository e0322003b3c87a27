package fault

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of what a text shows: whoever writes a value of a megabyte, or ten
// thousand wrong ones, gets one line that can be read.
const (
	maxValue = 256
	maxShown = 16
)

// maxKept is how many faults an InvalidError holds. Nobody repairs more at a
// time, and a document can have a hundred thousand.
const maxKept = 200

// InvalidError is all that is wrong with something: one error a fault, each a
// *Error whose Object is the place. As an error it is never empty.
type InvalidError []error

// Add adds a fault of the value at a place.
func (e *InvalidError) Add(object, format string, args ...any) {
	if !e.Full() {
		*e = append(*e, Newf("", object, format, args...))
	}
}

// Full reports whether Add adds no more.
func (e InvalidError) Full() bool { return len(e) >= maxKept }

// Err returns e, or nil if it is empty.
func (e InvalidError) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// Error renders the faults on one line, because engines show one line of log. It
// has the first few of many.
func (e InvalidError) Error() string {
	var b strings.Builder
	for i, err := range e[:min(len(e), maxShown)] {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(err.Error())
	}
	switch more := len(e) - maxShown; {
	case e.Full():
		b.WriteString("; and very many more")
	case more > 0:
		b.WriteString("; and " + strconv.Itoa(more) + " more")
	}
	return b.String()
}

// Unwrap returns the faults, for errors.Is and errors.As.
func (e InvalidError) Unwrap() []error { return e }

// Shorten cuts what is long out of the middle of s.
func Shorten(s string) string {
	if len(s) <= maxValue {
		return s
	}
	head, tail := maxValue/2, len(s)-maxValue/2
	// What is no UTF-8 may have no beginning of a character anywhere.
	for range utf8.UTFMax - 1 {
		if !utf8.RuneStart(s[head]) {
			head--
		}
		if !utf8.RuneStart(s[tail]) {
			tail++
		}
	}
	return fmt.Sprintf("%s... %d bytes ...%s", s[:head], tail-head, s[tail:])
}

// shortened returns args with every string, of whatever type, shortened.
func shortened(args []any) []any {
	for i, arg := range args {
		if s := reflect.ValueOf(arg); s.Kind() == reflect.String && s.Len() > maxValue {
			args[i] = Shorten(s.String())
		}
	}
	return args
}
