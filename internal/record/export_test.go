package record

import "bytes"

// Line writes a line as it is.
func Line(w *Walker, name, value string) {
	w.begin(name)
	w.out = append(w.out, value...)
	w.end()
}

// Sealed gives lines, or what is a record already but for a wrong checksum, the right
// one: no mutation has it.
func Sealed(b []byte) []byte {
	if !bytes.HasPrefix(b, []byte(header)) {
		b = append([]byte(header), b...)
	}
	if i := bytes.LastIndex(b, []byte("\n"+trailer)); i >= 0 {
		b = b[:i+1]
	}
	return seal(bytes.Clone(b))
}
