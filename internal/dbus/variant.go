package dbus

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Value is a typed value that was read from text.
type Value struct {
	// Signature is its D-Bus type.
	Signature string
	root      node
}

// Uint64 is a value of type t.
func Uint64(n uint64) Value {
	return Value{"t", node{kind: number, text: strconv.FormatUint(n, 10)}}
}

// Value appends v, whose type is v.Signature.
func (w *Writer) Value(v Value) { _ = v.root.encode(w, v.Signature) }

// Integer returns a value that is a non-negative whole number.
func (v Value) Integer() (uint64, bool) {
	if v.root.kind != number || strings.Trim(v.Signature, "ynqiuxt") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(v.root.text, 0, 64)
	return n, err == nil
}

// kind is what a piece of text is, before its type is known.
type kind int

const (
	boolean kind = iota
	number
	text
	byteString
	array
	tuple
)

// node is a parsed value.
type node struct {
	kind kind
	text string
	// typed is the type that the text gives it, or empty.
	typed string
	items []node
}

var (
	errUntyped  = errors.New("an array without elements needs a type, as in @as []")
	errMismatch = errors.New("a value and its type do not go together")
)

// signature returns the type of n: what the text says, or what a value of the
// kind is without a word (GVariant text format, "Type inference").
func (n *node) signature() (string, error) {
	switch {
	case n.typed != "":
		return n.typed, nil
	case n.kind == boolean:
		return "b", nil
	case n.kind == number && isDouble(n.text):
		return "d", nil
	case n.kind == number:
		return "i", nil
	case n.kind == text:
		return "s", nil
	case n.kind == byteString:
		return "ay", nil
	case n.kind == array:
		return n.arraySignature()
	}
	var b strings.Builder
	b.WriteByte('(')
	for i := range n.items {
		s, err := n.items[i].signature()
		if err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	b.WriteByte(')')
	return b.String(), nil
}

// arraySignature takes the type of the elements from the first that has one in
// its text, else from the first.
func (n *node) arraySignature() (string, error) {
	if len(n.items) == 0 {
		return "", errUntyped
	}
	witness := &n.items[0]
	for i := range n.items {
		if n.items[i].hasType() {
			witness = &n.items[i]
			break
		}
	}
	s, err := witness.signature()
	return "a" + s, err
}

func (n *node) hasType() bool {
	if n.typed != "" {
		return true
	}
	for i := range n.items {
		if n.items[i].hasType() {
			return true
		}
	}
	return false
}

func isDouble(s string) bool {
	return !strings.HasPrefix(strings.TrimLeft(s, "+-"), "0x") && strings.ContainsAny(s, ".eE") ||
		strings.HasSuffix(s, "inf") || strings.HasSuffix(s, "nan")
}

// encode appends n as a value of the type.
func (n *node) encode(w *Writer, signature string) error {
	if n.typed != "" && n.typed != signature {
		return errMismatch
	}
	switch n.kind {
	case boolean:
		if signature == "b" {
			w.Bool(n.text == "true")
			return nil
		}
	case number:
		return encodeNumber(w, n.text, signature)
	case text:
		return encodeText(w, n.text, signature)
	case byteString:
		if signature == "ay" {
			w.Bytes(append([]byte(n.text), 0))
			return nil
		}
	case array:
		if signature[0] == 'a' {
			return n.encodeArray(w, signature[1:])
		}
	case tuple:
		if signature[0] == '(' {
			return n.encodeTuple(w, signature[1:len(signature)-1])
		}
	}
	return errMismatch
}

func encodeText(w *Writer, s, signature string) error {
	switch {
	case signature == "s", signature == "o":
		w.String(s)
	case signature == "g" && len(s) <= math.MaxUint8:
		w.signature(s)
	default:
		return errMismatch
	}
	return nil
}

func (n *node) encodeArray(w *Writer, element string) (err error) {
	w.Array(alignment(element), func() {
		for i := range n.items {
			if err == nil {
				err = n.items[i].encode(w, element)
			}
		}
	})
	return err
}

func (n *node) encodeTuple(w *Writer, members string) error {
	w.Struct()
	for i := range n.items {
		length := firstType(members)
		if length == 0 {
			return errMismatch
		}
		if err := n.items[i].encode(w, members[:length]); err != nil {
			return err
		}
		members = members[length:]
	}
	if members != "" {
		return errMismatch
	}
	return nil
}

func encodeNumber(w *Writer, s, signature string) error {
	bits := map[string]int{"y": 8, "n": 16, "q": 16, "i": 32, "u": 32, "x": 64, "t": 64, "d": 64}[signature]
	switch signature {
	case "n", "i", "x":
		v, err := strconv.ParseInt(s, 0, bits)
		return w.sized(uint64(v), bits, outOfRange(s, err))
	case "y", "q", "u", "t":
		v, err := strconv.ParseUint(s, 0, bits)
		return w.sized(v, bits, outOfRange(s, err))
	case "d":
		v, err := strconv.ParseFloat(s, 64)
		return w.sized(math.Float64bits(v), bits, outOfRange(s, err))
	}
	return errMismatch
}

// sized appends the low bits of v, unless there was an error.
func (w *Writer) sized(v uint64, bits int, err error) error {
	switch {
	case err != nil:
		return err
	case bits == 8:
		w.bytes(byte(v))
	case bits == 16:
		w.uint16(uint16(v))
	case bits == 32:
		w.Uint32(uint32(v))
	default:
		w.Uint64(v)
	}
	return nil
}

func outOfRange(s string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s is not a number of its type", s)
}

// alignment of a type, by its first character (D-Bus Specification, "Summary of
// D-Bus marshalling").
func alignment(signature string) int {
	switch signature[0] {
	case 'y', 'g':
		return 1
	case 'n', 'q':
		return 2
	case 'x', 't', 'd', '(':
		return 8
	}
	return 4
}

// firstType returns the length of the first complete type in a signature, and 0
// if there is none.
func firstType(s string) int {
	if s == "" {
		return 0
	}
	switch {
	case s[0] == 'a':
		if n := firstType(s[1:]); n > 0 {
			return 1 + n
		}
		return 0
	case s[0] == '(':
		length := 1
		for length < len(s) && s[length] != ')' {
			n := firstType(s[length:])
			if n == 0 {
				return 0
			}
			length += n
		}
		if length >= len(s) || length == 1 {
			return 0
		}
		return length + 1
	case strings.IndexByte("bynqiuxtdsog", s[0]) >= 0:
		return 1
	}
	return 0
}
