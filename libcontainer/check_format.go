package libcontainer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// format returns why execve(2) is not going to know what to do with a program that
// is there: nothing loads files of its kind, or what it asks for is missing.
func (c *checker) format(root layout, file string) error {
	at := c.fromCwd(file)
	if root.isOpen(at) {
		return nil
	}
	h, err := root.OpenFile(at, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(h.FD()), at)
	defer f.Close()
	interpreter, err := interpreterOf(f)
	if interpreter != "" {
		err = c.findProgram(root, c.fromCwd(interpreter))
	}
	if errors.Is(err, unix.EISDIR) { // execve(2) says it so
		err = unix.EACCES
	}
	return err
}

// formatOnHost is format for a program of the host.
func formatOnHost(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil // which says nothing of its execution
	}
	defer f.Close()
	interpreter, err := interpreterOf(f)
	if interpreter != "" {
		return executable(interpreter)
	}
	return err
}

// elfHeader is the size of an ELF header of 64 bits, and shebang that of what the
// kernel reads of a script (BINPRM_BUF_SIZE).
const (
	elfHeader = 64
	shebang   = 256
)

// interpreterOf returns the path of what a program takes to be executed:
// what stands behind #!, or a dynamic loader. It is "" if there is none, or none
// that is known, and ENOEXEC if the kernel cannot execute such a file.
func interpreterOf(f *os.File) (string, error) {
	start := make([]byte, shebang)
	n, err := f.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", nil
	}
	start = start[:n]
	if line, ok := bytes.CutPrefix(start, []byte("#!")); ok {
		line, _, _ = bytes.Cut(line, []byte("\n"))
		word, _, _ := bytes.Cut(bytes.Trim(line, " \t"), []byte(" "))
		word, _, _ = bytes.Cut(word, []byte("\t"))
		if len(word) == 0 {
			return "", unix.ENOEXEC
		}
		return string(word), nil
	}
	foreign := !bytes.HasPrefix(start, []byte("\x7fELF"))
	if !foreign && len(start) >= elfHeader {
		var likeUs bool
		if likeUs, foreign = compareMachine(start); likeUs {
			return dynamicLoader(f, start), nil
		}
	}
	if foreign && !knowsOtherFormats() {
		return "", unix.ENOEXEC
	}
	return "", nil
}

// compareMachine compares an ELF header with the one of this program: whether it
// is for the same machine, and whether for one that this one cannot be. A header
// of another width or byte order says nothing: many machines have two.
func compareMachine(header []byte) (same, foreign bool) {
	own := make([]byte, elfHeader)
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return false, false
	}
	defer f.Close()
	if _, err := io.ReadFull(f, own); err != nil || !bytes.Equal(own[4:6], header[4:6]) {
		return false, false
	}
	same = bytes.Equal(own[18:20], header[18:20]) // e_machine of elf(5)
	return same, !same
}

// dynamicLoader returns the path in the segment PT_INTERP of an ELF file of this
// machine, or "".
func dynamicLoader(f *os.File, header []byte) string {
	const (
		ptInterp    = 3
		segmentSize = 56 // of an Elf64_Phdr
	)
	order := binary.NativeEndian
	if header[4] != 2 || order.Uint16(header[54:]) != segmentSize { // ELFCLASS64
		return ""
	}
	segment := make([]byte, segmentSize)
	for i := range int64(order.Uint16(header[56:])) {
		if _, err := f.ReadAt(segment, int64(order.Uint64(header[32:]))+i*segmentSize); err != nil {
			return ""
		}
		if size := order.Uint64(segment[32:]); order.Uint32(segment) == ptInterp && size <= unix.PathMax {
			path := make([]byte, size)
			if _, err := f.ReadAt(path, int64(order.Uint64(segment[8:]))); err != nil {
				return ""
			}
			return string(bytes.TrimRight(path, "\x00"))
		}
	}
	return ""
}

// knowsOtherFormats reports whether binfmt_misc has been told of formats that
// the kernel does not know itself: there is more than its two own files.
func knowsOtherFormats() bool {
	entries, err := os.ReadDir("/proc/sys/fs/binfmt_misc")
	return err == nil && len(entries) > 2
}
