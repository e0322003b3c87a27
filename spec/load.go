package spec

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"reflect"

	"github.com/opencontainers/runtime-spec/specs-go"

	"hull/internal/fault"
	"hull/internal/jsonpull"
)

// MaxSize is the length in bytes of the longest config.json that is accepted. The
// largest values in one are the arguments and the environment of the process, of
// which execve(2) takes 6 MiB; all else has its limits in the kernel, too.
const MaxSize = 8 << 20

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
	defer func() { _ = f.Close() }() // only read
	return ReadFrom(f)
}

// ReadFrom is Read for a file that is open.
func ReadFrom(f *os.File) ([]byte, error) {
	path := f.Name()
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
	s, err := decode[specs.Spec](b, nil)
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
	return decode[specs.Process](b, nil)
}

// DecodeResources decodes the resources of a container that is to get others.
// Faults have the paths that they would have in a config.json; the values are for
// package cgroup to judge.
func DecodeResources(b []byte) (*specs.LinuxResources, error) {
	here := &step{before: &step{name: "linux"}, name: "resources"}
	r, err := decode[specs.LinuxResources](b, here)
	if err != nil {
		return nil, err
	}
	p := new(problems)
	nulFinder{p}.walk(reflect.ValueOf(r), here)
	return r, p.err()
}

// decode parses b and fills a T from it, whose JSON path is here.
//
// encoding/json would do as well, but it takes four times as long (see package
// jsonpull), knows no JSON paths, and lets a document say everything twice.
func decode[T any](b []byte, here *step) (*T, error) {
	if len(b) > MaxSize {
		return nil, errTooBig()
	}
	v := new(T)
	f := filler{in: jsonpull.New(b), problems: new(problems), room: maxHeld}
	switch kind := f.value(reflect.ValueOf(v).Elem(), here); kind {
	case jsonpull.Null:
		f.problems.add(here.String(), "must be an object, not null")
	default:
		f.in.End()
	}
	if err := f.in.Err(); err != nil {
		return nil, atOffset(b, err, f.where)
	}
	return v, f.problems.err()
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

// atOffset says where in b the parser stopped.
func atOffset(b []byte, err *jsonpull.SyntaxError, where string) error {
	line, column := position(b, err.Offset)
	return fault.Newf("", where, "line %d, column %d: %w", line, column, err)
}

// position converts an offset into the line and the column of the byte there,
// both from 1.
func position(b []byte, offset int) (line, column int) {
	before := b[:offset]
	line = 1 + bytes.Count(before, []byte{'\n'})
	return line, offset - bytes.LastIndexByte(before, '\n')
}
