package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"reflect"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
)

// MaxSize is the length in bytes of the longest config.json that is accepted.
const MaxSize = 32 << 20

// Load reads and decodes the configuration at path.
func Load(path string) (*specs.Spec, error) {
	b, err := Read(path)
	if err != nil {
		return nil, err
	}
	s, err := Decode(b)
	if err != nil {
		return nil, fault.New("load", path, err)
	}
	return s, nil
}

// Read returns the content of the file at path, for Decode or DecodeProcess. It
// refuses more than MaxSize bytes, so that a device or an endless pipe does not
// fill the memory.
func Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New("open", path, cause(err))
	}
	defer f.Close()
	var buf bytes.Buffer
	if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() && fi.Size() <= MaxSize {
		buf.Grow(int(fi.Size()) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(io.LimitReader(f, MaxSize+1)); err != nil {
		return nil, fault.New("read", path, cause(err))
	}
	if buf.Len() > MaxSize {
		return nil, fault.New("read", path, errTooBig())
	}
	return buf.Bytes(), nil
}

// Decode decodes a config.json and checks its ociVersion. It does not validate
// the rest: see Validate.
func Decode(b []byte) (*specs.Spec, error) {
	s, err := decode[specs.Spec](b)
	if err != nil {
		return nil, err
	}
	p := new(problems)
	version(p, s.Version)
	return s, p.err()
}

// DecodeProcess decodes a process object, as "exec --process" takes it. It does
// not validate it: see ValidateProcess.
func DecodeProcess(b []byte) (*specs.Process, error) {
	return decode[specs.Process](b)
}

func decode[T any](b []byte) (*T, error) {
	if len(b) > MaxSize {
		return nil, errTooBig()
	}
	var v *T
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, describe(err, b)
	}
	if v == nil {
		return nil, fault.Newf("", "", "must be a JSON object, not null")
	}
	return v, nil
}

func errTooBig() error {
	return fault.Newf("", "", "longer than %d bytes", MaxSize)
}

// cause strips the operation and path of the os package, which the fault names.
func cause(err error) error {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// describe says where in b the decoder stopped, and what belongs there.
func describe(err error, b []byte) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line, column := position(b, syntax.Offset)
		return fault.Newf("", "", "line %d, column %d: %s", line, column, syntax.Error())
	}
	var typed *json.UnmarshalTypeError
	if errors.As(err, &typed) {
		line, column := position(b, typed.Offset)
		return fault.Newf("", typed.Field, "must be %s, not %s", expected(typed.Type), typed.Value).
			WithHint("line %d, column %d", line, column)
	}
	return err
}

// position converts the number of bytes read into a line and a column, both
// from 1, of the last byte read.
func position(b []byte, offset int64) (line, column int) {
	read := b[:min(max(offset, 0), int64(len(b)))]
	line = 1 + bytes.Count(read, []byte{'\n'})
	column = len(read) - (bytes.LastIndexByte(read, '\n') + 1)
	return line, max(column, 1)
}

// expected says in the words of JSON what a Go type is decoded from.
func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Uint, reflect.Uint64:
		return "an integer from 0 to 18446744073709551615"
	case reflect.Uint32:
		return "an integer from 0 to 4294967295"
	case reflect.Uint16:
		return "an integer from 0 to 65535"
	case reflect.Int32:
		return "an integer from -2147483648 to 2147483647"
	default:
		return "an integer"
	}
}
