// Package jsonpull reads JSON text piece by piece, as its caller asks for it.
//
// What it accepts is what encoding/json accepts, less what no two readers agree
// about: text that is not UTF-8, and halves of surrogate pairs. In return for
// being one more parser it takes no memory beyond the strings that are asked for
// and a byte for each open bracket, says where the text goes wrong, lets its
// caller see names that an object has twice, and is several times as fast, which
// shows in a process that lives for milliseconds. A fuzz test holds it to
// encoding/json.
//
// It refuses to know types: what a value is for is the caller's business.
package jsonpull

import (
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested.
const MaxDepth = 1000

// Kind is what a value is.
type Kind uint8

// The kinds. Invalid is what there is after an error.
const (
	Invalid Kind = iota
	Null
	True
	False
	Number
	String
	Array
	Object
)

// SyntaxError says what is wrong with the text.
type SyntaxError struct {
	// Offset is the number of bytes before the place.
	Offset int
	text   string
}

func (e *SyntaxError) Error() string { return e.text }

// Reader reads one JSON text. After an error every method returns at once, and
// Err has the error.
//
// A value is read by Next and, depending on the kind that it returns, by Text;
// by More and Next for each element until More returns false; or by More, Name
// and Next for each property until More returns false. Skip takes the place of
// all that may follow Next.
type Reader struct {
	text []byte
	at   int // the first byte that is not read
	err  *SyntaxError
	// open are the brackets around the place, outermost first.
	open []byte
	// fresh says that nothing was read since the last of them.
	fresh bool
	// token is the last string, without quotes, number or literal.
	token   []byte
	escaped bool
}

// New returns a reader at the beginning of text.
func New(text []byte) *Reader {
	r := &Reader{text: text}
	if !utf8.Valid(text) {
		for r.at = 0; r.err == nil; {
			c, size := utf8.DecodeRune(text[r.at:])
			if c == utf8.RuneError && size == 1 {
				r.fail("byte 0x%02x is not UTF-8", text[r.at])
			}
			r.at += size
		}
	} else if len(text) >= 3 && string(text[:3]) == "\uFEFF" {
		r.fail("the text must not begin with a byte order mark")
	}
	return r
}

// Err returns the error, or nil.
func (r *Reader) Err() *SyntaxError { return r.err }

// Offset returns the number of bytes that were read.
func (r *Reader) Offset() int { return r.at }

// Fail ends the reading for a reason of the caller's.
func (r *Reader) Fail(format string, args ...any) { r.fail(format, args...) }

func (r *Reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = &SyntaxError{Offset: r.at, text: fmt.Sprintf(format, args...)}
	}
}

// unexpected fails at the next byte.
func (r *Reader) unexpected(want string) {
	if r.at >= len(r.text) {
		r.fail("the text ends where %s is expected", want)
		return
	}
	c, _ := utf8.DecodeRune(r.text[r.at:])
	r.fail("%q where %s is expected", c, want)
}

// peek returns the next byte that is no space, or 0 at the end or after an error.
func (r *Reader) peek() byte {
	if r.err != nil {
		return 0
	}
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// Next begins the next value and returns its kind.
func (r *Reader) Next() Kind {
	switch c := r.peek(); c {
	case '{', '[':
		return r.bracket(c)
	case '"':
		return r.quoted()
	case 'n':
		return r.literal("null", Null)
	case 't':
		return r.literal("true", True)
	case 'f':
		return r.literal("false", False)
	default:
		if c == '-' || isDigit(c) {
			return r.number()
		}
	}
	r.unexpected("a value")
	return Invalid
}

func (r *Reader) bracket(c byte) Kind {
	if len(r.open) >= MaxDepth {
		r.fail("more than %d levels of brackets", MaxDepth)
		return Invalid
	}
	r.at++
	r.open = append(r.open, c)
	r.fresh = true
	if c == '{' {
		return Object
	}
	return Array
}

// More reports whether the innermost array or object goes on, and ends it if not.
func (r *Reader) More() bool {
	c := r.peek()
	if r.err != nil || len(r.open) == 0 {
		return false
	}
	closing, want := byte(']'), `"," or "]"`
	if r.open[len(r.open)-1] == '{' {
		closing, want = '}', `"," or "}"`
	}
	fresh := r.fresh
	r.fresh = false
	switch {
	case c == closing:
		r.open = r.open[:len(r.open)-1]
		r.at++
		return false
	case fresh:
		return true
	case c == ',':
		r.at++
		return true
	}
	r.unexpected(want)
	return false
}

// Name reads the name of a property.
func (r *Reader) Name() string {
	if r.peek() != '"' {
		r.unexpected("a name in quotes")
		return ""
	}
	r.quoted()
	name := r.Text()
	if r.peek() != ':' {
		r.unexpected(`":"`)
		return ""
	}
	r.at++
	return name
}

// Skip reads the rest of the value of the kind that Next returned.
func (r *Reader) Skip(kind Kind) {
	if kind != Array && kind != Object {
		return
	}
	for outer := len(r.open) - 1; r.err == nil && len(r.open) > outer; {
		if !r.More() {
			continue // one bracket less
		}
		if r.open[len(r.open)-1] == '{' {
			r.Name()
		}
		r.Next()
	}
}

// End checks that nothing but space follows.
func (r *Reader) End() {
	if r.peek() != 0 || r.at < len(r.text) {
		r.unexpected("nothing more")
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
