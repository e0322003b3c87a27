package seccomp

import (
	"cmp"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// createTemporary creates a file under a name that no key has.
func (c cache) createTemporary() (name string, fd int, err error) {
	const attempts = 8 // of 2^64 names: more means that something else is wrong
	for range attempts {
		name = "new-" + strconv.FormatUint(rand.Uint64(), 36)
		fd, err = unix.Openat(c.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != unix.EEXIST {
			break
		}
	}
	return name, fd, err
}

// evict removes the oldest files until maxCached are left. That includes what
// killed writers left behind; a living writer whose file goes this way does
// not cache, and nothing worse.
func (c cache) evict() error {
	names, err := c.list()
	if err != nil || len(names) <= maxCached {
		return err
	}
	type file struct {
		name  string
		mtime unix.Timespec
	}
	files := make([]file, 0, len(names))
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Fstatat(c.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			continue // another process evicts too
		}
		files = append(files, file{name, st.Mtim})
	}
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(cmp.Compare(a.mtime.Sec, b.mtime.Sec), cmp.Compare(a.mtime.Nsec, b.mtime.Nsec))
	})
	for _, f := range files[:max(0, len(files)-maxCached)] {
		if err := unix.Unlinkat(c.fd, f.name, 0); err != nil && err != unix.ENOENT {
			return err
		}
	}
	return nil
}

// list returns the names in the directory.
func (c cache) list() ([]string, error) {
	fd, err := unix.Openat(c.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), ".")
	defer func() { _ = dir.Close() }()
	return dir.Readdirnames(-1)
}
