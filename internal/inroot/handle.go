package inroot

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Handle owns a descriptor that stands for a file, a directory or a mount.
// It is a plain number: no finalizer closes it and no poller knows it, because
// an init stage opens hundreds and forgets none. The zero Handle stands for
// nothing; closing it is harmless.
type Handle struct {
	// above is the descriptor plus one, so that the zero value is not
	// standard input.
	above int
}

// Own makes a Handle that owns fd.
func Own(fd int) Handle { return Handle{above: fd + 1} }

// FD is the descriptor, still owned by h; -1 when h stands for nothing.
func (h Handle) FD() int { return h.above - 1 }

// Valid tells whether h stands for anything.
func (h Handle) Valid() bool { return h.above > 0 }

// Close gives the descriptor back. It reports nothing: what hull closes was
// never written to, or was written with one write(2) that has reported.
func (h Handle) Close() {
	if h.Valid() {
		_ = unix.Close(h.FD())
	}
}

// Stat is fstat(2).
func (h Handle) Stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstat(h.FD(), &st)
	return st, err
}

// FSMagic is the type of the filesystem, as statfs(2) has it.
func (h Handle) FSMagic() (int64, error) {
	var st unix.Statfs_t
	err := unix.Fstatfs(h.FD(), &st)
	return int64(st.Type), err //nolint:unconvert // its width depends on the architecture
}

// Readlink is the content of the symbolic link name in the directory h, or of
// h itself when name is empty.
func (h Handle) Readlink(name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(h.FD(), name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// Child opens name, one component that is not a symbolic link, in the
// directory h. The flags are those of open(2).
func (h Handle) Child(name string, flags int) (Handle, error) {
	return openat2(h, name, flags, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_MAGICLINKS)
}

// Create makes the regular file name in the directory h and opens it for
// writing; it follows nothing and replaces nothing. The mode is subject to the
// umask.
func (h Handle) Create(name string, perm uint32) (Handle, error) {
	if !single(name) {
		return Handle{}, unix.EINVAL
	}
	fd, err := unix.Openat(h.FD(), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, perm)
	if err != nil {
		return Handle{}, err
	}
	return Own(fd), nil
}

// Mknod makes the node name in the directory h; it follows nothing and
// replaces nothing. The mode is subject to the umask.
func (h Handle) Mknod(name string, mode uint32, dev uint64) error {
	if !single(name) {
		return unix.EINVAL
	}
	return unix.Mknodat(h.FD(), name, mode, int(dev))
}

// Mkdir makes the directory name in the directory h, subject to the umask.
func (h Handle) Mkdir(name string, perm uint32) error {
	if !single(name) {
		return unix.EINVAL
	}
	return unix.Mkdirat(h.FD(), name, perm)
}

// Symlink makes the symbolic link name in the directory h. A link that is
// already there with the same content is a success.
func (h Handle) Symlink(content, name string) error {
	if !single(name) {
		return unix.EINVAL
	}
	err := unix.Symlinkat(content, h.FD(), name)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	if has, linkErr := h.Readlink(name); linkErr != nil || has != content {
		return err
	}
	return nil
}

// single tells whether name is one component that names an entry, which is
// what keeps the *at calls above inside their directory.
func single(name string) bool {
	if name == "" || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		if name[i] == '/' {
			return false
		}
	}
	return true
}
