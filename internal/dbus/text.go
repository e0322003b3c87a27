package dbus

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxSignature is the length of the longest type.
const maxSignature = 255

// maxDepth bounds how deep containers may nest (D-Bus Specification, "Valid
// signatures").
const maxDepth = 32

// ParseValue reads the text format of GVariant: true, 7, uint64 7, 0.5, 'text',
// b'bytes', ['a', 'b'], ('a', uint32 1), @as []. Dictionaries, maybes and
// variants, which no property of a unit has, are refused.
func ParseValue(s string) (Value, error) {
	p := &parser{rest: s}
	root, err := p.value(0)
	if err == nil && p.peek() != 0 {
		err = fmt.Errorf("%q is left over", p.rest)
	}
	if err != nil {
		return Value{}, err
	}
	signature, err := root.signature()
	if err == nil {
		err = root.encode(&Writer{}, signature)
	}
	return Value{signature, root}, err
}

type parser struct{ rest string }

var errUnterminated = errors.New("the text ends too early")

// peek skips blanks and returns what comes then, 0 at the end.
func (p *parser) peek() byte {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		return 0
	}
	return p.rest[0]
}

func (p *parser) value(depth int) (node, error) {
	if depth > maxDepth {
		return node{}, errors.New("it is nested too deeply")
	}
	switch c := p.peek(); {
	case c == 0:
		return node{}, errUnterminated
	case c == '@':
		return p.typed(depth)
	case c == '[':
		items, err := p.list(']', depth)
		return node{kind: array, items: items}, err
	case c == '(':
		items, err := p.list(')', depth)
		if err == nil && len(items) == 0 {
			err = errors.New("D-Bus has no empty structure")
		}
		return node{kind: tuple, items: items}, err
	case c == '\'', c == '"':
		s, err := p.quoted()
		if err == nil && (!utf8.ValidString(s) || strings.Contains(s, "\x00")) {
			err = errors.New("a string must be UTF-8 without NUL")
		}
		return node{kind: text, text: s}, err
	case strings.HasPrefix(p.rest, "b'"), strings.HasPrefix(p.rest, `b"`):
		p.rest = p.rest[1:]
		s, err := p.quoted()
		return node{kind: byteString, text: s}, err
	case strings.IndexByte("+-.0123456789", c) >= 0:
		return node{kind: number, text: p.word()}, nil
	}
	return p.keyword(depth)
}

// word takes letters, digits and what numbers consist of.
func (p *parser) word() string {
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		return !strings.ContainsRune("+-._", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if end < 0 {
		end = len(p.rest)
	}
	w := p.rest[:end]
	p.rest = p.rest[end:]
	return w
}

func (p *parser) keyword(depth int) (node, error) {
	types := map[string]string{
		"boolean": "b", "byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u",
		"int64": "x", "uint64": "t", "double": "d", "string": "s", "objectpath": "o", "signature": "g",
	}
	before := p.rest
	switch w := p.word(); {
	case w == "true", w == "false":
		return node{kind: boolean, text: w}, nil
	case w == "inf", w == "nan":
		return node{kind: number, text: w}, nil
	case types[w] != "":
		n, err := p.value(depth + 1)
		n.typed = types[w]
		return n, err
	}
	return node{}, fmt.Errorf("%q is not a value in the text form of GVariant (as 'text', uint64 7, true)", before)
}

// typed is @TYPE VALUE.
func (p *parser) typed(depth int) (node, error) {
	s := p.rest[1:]
	length := firstType(s[:min(len(s), maxSignature)])
	if length == 0 {
		return node{}, fmt.Errorf("%q does not begin with a type", s)
	}
	p.rest = s[length:]
	n, err := p.value(depth + 1)
	n.typed = s[:length]
	return n, err
}

// list is comma-separated values up to the end character.
func (p *parser) list(end byte, depth int) ([]node, error) {
	p.rest = p.rest[1:]
	var items []node
	for {
		if p.peek() == end {
			p.rest = p.rest[1:]
			return items, nil
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		switch c := p.peek(); c {
		case ',':
			p.rest = p.rest[1:]
		case end:
		case 0:
			return nil, errUnterminated
		default:
			return nil, fmt.Errorf("a comma is missing before %q", p.rest)
		}
	}
}

// quoted is a string in single or double quotes, with escapes as in C.
func (p *parser) quoted() (string, error) {
	quote := p.rest[0]
	var b []byte
	for s := p.rest[1:]; s != ""; {
		if s[0] == quote {
			p.rest = s[1:]
			return string(b), nil
		}
		r, multibyte, tail, err := strconv.UnquoteChar(s, quote)
		if err != nil {
			return "", fmt.Errorf("%q does not begin with a character or an escape", s)
		}
		if multibyte {
			b = append(b, string(r)...)
		} else {
			b = append(b, byte(r))
		}
		s = tail
	}
	return "", errUnterminated
}
