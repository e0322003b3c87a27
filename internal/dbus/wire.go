package dbus

import "encoding/binary"

// Writer marshals values. Each is aligned to its size from the beginning.
type Writer struct{ buf []byte }

func (w *Writer) align(n int) {
	for len(w.buf)%n != 0 {
		w.buf = append(w.buf, 0)
	}
}

func (w *Writer) bytes(b ...byte) { w.buf = append(w.buf, b...) }

// uint16 appends a value of type q.
func (w *Writer) uint16(v uint16) {
	w.align(2)
	w.buf = binary.LittleEndian.AppendUint16(w.buf, v)
}

// Uint32 appends a value of type u.
func (w *Writer) Uint32(v uint32) {
	w.align(4)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, v)
}

// Uint64 appends a value of type t.
func (w *Writer) Uint64(v uint64) {
	w.align(8)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, v)
}

// Bool appends a value of type b.
func (w *Writer) Bool(v bool) { //nolint:revive // v is the value, it controls nothing
	n := uint32(0)
	if v {
		n = 1
	}
	w.Uint32(n)
}

// String appends a value of type s or o.
func (w *Writer) String(s string) {
	w.Uint32(uint32(len(s)))
	w.buf = append(append(w.buf, s...), 0)
}

func (w *Writer) signature(s string) {
	w.buf = append(append(append(w.buf, byte(len(s))), s...), 0)
}

// Bytes appends a value of type ay.
func (w *Writer) Bytes(b []byte) {
	w.Uint32(uint32(len(b)))
	w.buf = append(w.buf, b...)
}

// Struct begins a struct or a dictionary entry.
func (w *Writer) Struct() { w.align(8) }

// Array appends an array with what f appends as its elements, whose alignment
// is given. The length does not count the padding before the first element.
func (w *Writer) Array(alignment int, f func()) {
	w.Uint32(0)
	length := len(w.buf) - 4
	w.align(alignment)
	first := len(w.buf)
	f()
	binary.LittleEndian.PutUint32(w.buf[length:], uint32(len(w.buf)-first))
}

// Variant appends a variant; f appends its value, of the given type.
func (w *Writer) Variant(signature string, f func()) {
	w.signature(signature)
	f()
}

// Reader unmarshals values in their order.
type Reader struct {
	buf []byte
	pos int
}

func (r *Reader) align(n int) { r.pos = (r.pos + n - 1) / n * n }

func (r *Reader) byte() (byte, error) {
	if r.pos >= len(r.buf) {
		return 0, errMalformed
	}
	r.pos++
	return r.buf[r.pos-1], nil
}

// Uint32 reads a value of type u.
func (r *Reader) Uint32() (uint32, error) {
	r.align(4)
	if r.pos+4 > len(r.buf) {
		return 0, errMalformed
	}
	r.pos += 4
	return binary.LittleEndian.Uint32(r.buf[r.pos-4:]), nil
}

// String reads a value of type s or o.
func (r *Reader) String() (string, error) {
	n, err := r.Uint32()
	if err != nil {
		return "", err
	}
	return r.text(uint64(n))
}

func (r *Reader) signature() (string, error) {
	n, err := r.byte()
	if err != nil {
		return "", err
	}
	return r.text(uint64(n))
}

func (r *Reader) text(n uint64) (string, error) {
	if n+1 > uint64(len(r.buf)-r.pos) {
		return "", errMalformed
	}
	s := string(r.buf[r.pos : r.pos+int(n)])
	r.pos += int(n) + 1
	return s, nil
}
