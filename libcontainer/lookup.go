package libcontainer

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"hull/internal/linux"
)

// lookUp returns an error if a path leads nowhere and that can be said at once. Who
// asks a filesystem whose server is dead sleeps in the kernel and cannot be killed:
// what is not known by heart is asked only of those that have no server.
func lookUp(path string) error {
	fd, rest, err := nearestCached(path)
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if rest == "" || !isLocal(fd) {
		return nil
	}
	return lookUpAt(fd, rest)
}

// nearestCached opens what openCached opens of a path or above it, and says what is
// left of the path from there.
func nearestCached(path string) (fd int, rest string, err error) {
	for {
		fd, err = openCached(path)
		if !errors.Is(err, unix.EAGAIN) || path == "/" {
			return fd, rest, err
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = filepath.Dir(path)
	}
}

// openCached opens what the kernel can find without asking a filesystem; else the
// error is EAGAIN (Linux 5.12, openat2(2)).
func openCached(path string) (int, error) {
	return unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: linux.ResolveCached})
}

// lookUpAt is lookUp in one filesystem.
func lookUpAt(dir int, path string) error {
	fd, err := unix.Openat2(dir, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS,
	})
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.ELOOP) {
		return nil // it leads elsewhere
	}
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// isLocal reports whether the filesystem of a directory has no server, be it across
// a network or a process, nor one below it.
func isLocal(fd int) bool {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st); err != nil {
		return false
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	id := strconv.AppendUint(nil, st.Mnt_id, 10)
	for line := range bytes.Lines(table) {
		if first, _, _ := bytes.Cut(line, []byte(" ")); !bytes.Equal(first, id) {
			continue
		}
		_, after, _ := bytes.Cut(line, []byte(" - "))
		kind, _, _ := bytes.Cut(after, []byte(" "))
		return slices.Contains([]string{"tmpfs", "ramfs", "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs"}, string(kind))
	}
	return false
}
