package cgroup

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The helpers here return the bare errno: their callers know better names for
// the operation and the object.

// writeFile opens path and writes value in one write(2): a cgroup file takes
// one command a write.
func writeFile(path, value string) error {
	fd, err := openFile(path, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return retry(func() error {
		_, err := unix.Write(fd, []byte(value))
		return err
	})
}

// readFile returns the content of path.
func readFile(path string) (string, error) {
	fd, err := openFile(path, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return readAll(fd)
}

// readAll reads fd from its start to its end, also when it was read before.
func readAll(fd int) (string, error) {
	var b strings.Builder
	var buf [4096]byte
	for {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Pread(fd, buf[:], int64(b.Len()))
			return err
		})
		if err != nil {
			return "", err
		}
		if n == 0 {
			return b.String(), nil
		}
		b.Write(buf[:n])
	}
}

func openFile(path string, flags int) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Open(path, flags|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

// retry repeats f while a signal interrupts it. The Go runtime sends itself
// signals, and a write that reclaims memory is interruptible.
func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// hasField reports whether the comma-separated list has the field.
func hasField(list, field string) bool {
	for f := range strings.SplitSeq(list, ",") {
		if f == field {
			return true
		}
	}
	return false
}

// value returns what follows `key ` on its own line of a flat keyed file, and
// 0 when it is not there.
func value(content, key string) uint64 {
	for line := range strings.Lines(content) {
		if k, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok && k == key {
			n, _ := strconv.ParseUint(v, 10, 64)
			return n
		}
	}
	return 0
}

// gone reports whether err says that the cgroup is not there: ENOENT when a
// path is opened, ENODEV when it went while a file of it was open.
func gone(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) }

// denied reports whether err is for lack of privilege or of a writable mount.
func denied(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS)
}
