// Package inroot is the only resolver of paths that a container controls, and
// the only door to /proc.
//
// A Root is opened once. Its methods are shaped like those of package os, but
// mean "inside": an absolute symbolic link starts at the root, ".." stops
// there, and no magic link of procfs is followed (openat2(2),
// RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS). They hand out Handles, never names:
// what was checked is what is used (CVE-2021-30465, CVE-2024-45310).
// Parameters called unsafePath may be anything that an image contains.
//
// A Proc is a procfs of our own that no mount of the container can cover
// (CVE-2025-52881).
//
// The package refuses to return a path, and to open anything by a name that
// some other process could have changed in between. Its Root and Handle
// methods return bare errnos: the caller knows what the path was for.
package inroot

import (
	"errors"

	"golang.org/x/sys/unix"
)

// tries bounds how often openat2(2) is repeated: it says EAGAIN when a rename
// anywhere on the system could have moved ".." out of the root meanwhile, and
// an attacker can rename all day.
const tries = 128

// maxLinks is how many dangling symbolic links a creation follows, as many as
// path resolution does in the kernel (path_resolution(7)).
const maxLinks = 40

const inside = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// Root is the root directory of a container.
type Root struct {
	Handle
}

// NewRoot makes the Root of the directory that h stands for, and owns h.
func NewRoot(h Handle) Root { return Root{h} }

// OpenRoot opens the directory path of the host, which is trusted.
func OpenRoot(path string) (Root, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Root{}, err
	}
	return Root{Own(fd)}, nil
}

// Open returns an O_PATH handle of unsafePath, following symbolic links.
func (r Root) Open(unsafePath string) (Handle, error) {
	return openat2(r.Handle, unsafePath, unix.O_PATH, inside)
}

// OpenFile opens unsafePath with flags of open(2), which may not create. With
// O_PATH|O_NOFOLLOW it returns a symbolic link itself.
func (r Root) OpenFile(unsafePath string, flags int) (Handle, error) {
	return openat2(r.Handle, unsafePath, flags, inside)
}

// OpenPlain is OpenFile for a path that may hold no symbolic link at all: what
// it finds is what the text says. ELOOP means that there was one.
func (r Root) OpenPlain(unsafePath string, flags int) (Handle, error) {
	return openat2(r.Handle, unsafePath, flags, inside|unix.RESOLVE_NO_SYMLINKS)
}

// Readlink is the content of the symbolic link unsafePath.
func (r Root) Readlink(unsafePath string) (string, error) {
	h, err := r.OpenFile(unsafePath, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer h.Close()
	return h.Readlink("")
}

func openat2(dir Handle, path string, flags int, resolve uint64) (Handle, error) {
	how := unix.OpenHow{Flags: uint64(flags) | unix.O_CLOEXEC, Resolve: resolve}
	for range tries {
		fd, err := unix.Openat2(dir.FD(), path, &how)
		if err == nil {
			return Own(fd), nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return Handle{}, err
		}
	}
	return Handle{}, unix.EAGAIN
}
