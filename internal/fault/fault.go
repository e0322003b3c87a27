// Package fault is the error value of hull: which operation failed, on which
// object, why, and what the reader can do about it.
//
// Its text is one line, `operation object: cause (hint)`, in lower case and
// without "failed to". A value keeps its errno when it crosses from the init
// stage to the parent (see Encode), so errors.Is works on both sides.
//
// Do not use it to add a layer of words: wrap only when the layer knows an
// object that the cause does not name.
package fault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// Error is one failed operation. The zero value of each field is left out of
// the text.
type Error struct {
	// Op is what was attempted, as a verb: "mount proc", "set hostname".
	Op string
	// Object is what it was attempted on: a path, a JSON path, an ID.
	Object string
	// Cause is what went wrong; an errno where the kernel said no.
	Cause error
	// Hint says what the reader can do, without parentheses.
	Hint string
}

// New returns the error of op on object, caused by cause.
func New(op, object string, cause error) *Error {
	return &Error{Op: op, Object: object, Cause: cause}
}

// Newf is New with a cause made of a format, for what no errno describes. Long
// strings among args are cut in the middle.
func Newf(op, object, format string, args ...any) *Error {
	return New(op, object, fmt.Errorf(format, shortened(args)...))
}

// WithHint sets the hint and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Error renders `operation object: cause (hint)`.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Object != "" {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(Shorten(e.Object))
	}
	if e.Cause != nil {
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(e.Cause.Error())
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

const (
	wireVersion = 1
	maxDepth    = 16
)

const (
	causeNone = iota
	causeText
	causeErrno
	causeFault
)

// errMalformed is what Decode reports of bytes that Encode did not make.
var errMalformed = errors.New("malformed fault message")

// Encode renders err for the other side of the process boundary. Errors that
// are neither *Error nor an errno travel as their text and lose their type.
func Encode(err error) []byte { return Append(nil, err) }

// Append is Encode to the end of b. It takes no memory if b has room, err is an
// *Error, and its cause an errno of Linux.
func Append(b []byte, err error) []byte {
	return appendCause(append(b, wireVersion), err, 0)
}

// Decode is the inverse of Encode. A message that cannot be understood yields
// an error that says so; it never panics on hostile bytes.
func Decode(b []byte) error {
	if len(b) == 0 || b[0] != wireVersion {
		return errMalformed
	}
	err, rest, ok := readCause(b[1:], 0)
	if !ok || len(rest) != 0 {
		return errMalformed
	}
	return err
}

func appendCause(b []byte, err error, depth int) []byte {
	var (
		f     *Error
		errno syscall.Errno
	)
	switch {
	case err == nil:
		return append(b, causeNone)
	case depth < maxDepth && asFault(err, &f):
		b = append(b, causeFault)
		b = appendString(b, f.Op)
		b = appendString(b, f.Object)
		b = appendString(b, f.Hint)
		return appendCause(b, f.Cause, depth+1)
	case asErrno(err, &errno):
		b = append(b, causeErrno)
		return binary.LittleEndian.AppendUint32(b, uint32(errno))
	default:
		b = append(b, causeText)
		return appendString(b, err.Error())
	}
}

// asFault and asErrno look at the value itself, not through wrappers, so that
// no words of a wrapper are lost.
func asFault(err error, target **Error) bool {
	f, ok := err.(*Error) //nolint:errorlint // see above
	*target = f
	return ok
}

func asErrno(err error, target *syscall.Errno) bool {
	e, ok := err.(syscall.Errno) //nolint:errorlint // see above
	*target = e
	return ok
}

func appendString(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func readCause(b []byte, depth int) (err error, rest []byte, ok bool) { //nolint:revive // the error is the value read, not an outcome
	if len(b) == 0 || depth > maxDepth {
		return nil, nil, false
	}
	kind, b := b[0], b[1:]
	switch kind {
	case causeNone:
		return nil, b, true
	case causeErrno:
		if len(b) < 4 {
			return nil, nil, false
		}
		return syscall.Errno(binary.LittleEndian.Uint32(b)), b[4:], true
	case causeText:
		s, b, ok := readString(b)
		return errors.New(s), b, ok
	case causeFault:
		return readFault(b, depth)
	}
	return nil, nil, false
}

func readFault(b []byte, depth int) (error, []byte, bool) { //nolint:revive // as readCause
	var (
		f  Error
		ok bool
	)
	for _, field := range []*string{&f.Op, &f.Object, &f.Hint} {
		if *field, b, ok = readString(b); !ok {
			return nil, nil, false
		}
	}
	f.Cause, b, ok = readCause(b, depth+1)
	return &f, b, ok
}

func readString(b []byte) (string, []byte, bool) {
	if len(b) < 4 {
		return "", nil, false
	}
	n := binary.LittleEndian.Uint32(b)
	b = b[4:]
	if uint64(n) > uint64(len(b)) {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}
