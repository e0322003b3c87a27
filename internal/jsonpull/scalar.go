package jsonpull

import (
	"unicode/utf16"
	"unicode/utf8"
)

func (r *Reader) literal(word string, kind Kind) Kind {
	if len(r.text)-r.at < len(word) || string(r.text[r.at:r.at+len(word)]) != word {
		if len(r.text)-r.at < len(word) && string(r.text[r.at:]) == word[:len(r.text)-r.at] {
			r.at = len(r.text)
		}
		r.unexpected(word)
		return Invalid
	}
	r.token = r.text[r.at : r.at+len(word)]
	r.at += len(word)
	return kind
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?.
func (r *Reader) number() Kind {
	start := r.at
	if r.text[r.at] == '-' {
		r.at++
	}
	if r.is("0") {
		r.at++
	} else if !r.digits() {
		return Invalid
	}
	if r.is(".") {
		r.at++
		if !r.digits() {
			return Invalid
		}
	}
	if r.is("eE") {
		r.at++
		if r.is("+-") {
			r.at++
		}
		if !r.digits() {
			return Invalid
		}
	}
	r.token, r.escaped = r.text[start:r.at], false
	return Number
}

// is reports whether the next byte is one of set.
func (r *Reader) is(set string) bool {
	if r.at >= len(r.text) {
		return false
	}
	for i := range len(set) {
		if r.text[r.at] == set[i] {
			return true
		}
	}
	return false
}

func (r *Reader) digits() bool {
	start := r.at
	for r.at < len(r.text) && isDigit(r.text[r.at]) {
		r.at++
	}
	if r.at == start {
		r.unexpected("a digit")
	}
	return r.at > start
}

// quoted reads a string up to its closing quote and checks its escapes.
func (r *Reader) quoted() Kind {
	r.at++
	start := r.at
	r.escaped = false
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '"':
			r.token = r.text[start:r.at]
			r.at++
			return String
		case c == '\\':
			r.escaped = true
			if !r.escape() {
				return Invalid
			}
		case c < ' ':
			r.fail("a control character in a string, which must be written as \\u%04x", c)
			return Invalid
		default:
			r.at++
		}
	}
	r.unexpected("the end of a string")
	return Invalid
}

// escape reads what begins with a backslash. The halves of a surrogate pair must
// be together, because neither is a character.
func (r *Reader) escape() bool {
	r.at++
	if !r.is(`"\/bfnrtu`) {
		r.unexpected(`one of " \ / b f n r t u`)
		return false
	}
	r.at++
	if r.text[r.at-1] != 'u' {
		return true
	}
	first, ok := r.hex()
	if !ok || !utf16.IsSurrogate(first) {
		return ok
	}
	if len(r.text)-r.at < 2 || r.text[r.at] != '\\' || r.text[r.at+1] != 'u' {
		r.fail("half of a surrogate pair")
		return false
	}
	r.at += 2
	second, ok := r.hex()
	if ok && utf16.DecodeRune(first, second) == utf8.RuneError {
		r.fail("half of a surrogate pair")
		return false
	}
	return ok
}

// hex reads four hexadecimal digits.
func (r *Reader) hex() (rune, bool) {
	for range 4 {
		if !r.is("0123456789abcdefABCDEF") {
			r.unexpected("a hexadecimal digit")
			return 0, false
		}
		r.at++
	}
	return fromHex(r.text[r.at-4:]), true
}

func fromHex(b []byte) (v rune) {
	for _, c := range b[:4] {
		switch {
		case isDigit(c):
			c -= '0'
		default:
			c = c | 0x20 - 'a' + 10
		}
		v = v<<4 | rune(c)
	}
	return v
}

// Text returns the last string, or the last number as it is written.
func (r *Reader) Text() string {
	if r.err != nil {
		return ""
	}
	if !r.escaped {
		return string(r.token)
	}
	out := make([]byte, 0, len(r.token))
	for in := r.token; len(in) > 0; {
		if in[0] != '\\' {
			out = append(out, in[0])
			in = in[1:]
			continue
		}
		var c rune
		c, in = unescape(in)
		out = utf8.AppendRune(out, c)
	}
	return string(out)
}

// unescape returns the character of a valid escape at the beginning of in, and
// what follows.
func unescape(in []byte) (c rune, rest []byte) {
	switch in[1] {
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		c, in = fromHex(in[2:]), in[4:]
		if utf16.IsSurrogate(c) {
			c, in = utf16.DecodeRune(c, fromHex(in[4:])), in[6:]
		}
	default:
		c = rune(in[1])
	}
	return c, in[2:]
}
