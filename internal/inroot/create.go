package inroot

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// dirPerm is the mode of directories that are made on the way.
const dirPerm = 0o755

// MkdirAll opens the directory unsafePath and makes what is missing of it,
// with perm before the umask. A symbolic link that points to nothing is
// followed inside the root and its target is made, as an image with
// /var/run → /run but no /run expects.
func (r Root) MkdirAll(unsafePath string, perm uint32) (Handle, error) {
	return r.create(unsafePath, maxLinks, func(dir Handle, name string) error {
		return dir.Mkdir(name, perm)
	})
}

// CreateFile opens unsafePath, whatever it is, and makes an empty regular file
// of it, and directories on the way, when there is nothing.
func (r Root) CreateFile(unsafePath string, perm uint32) (Handle, error) {
	return r.create(unsafePath, maxLinks, func(dir Handle, name string) error {
		return dir.Mknod(name, unix.S_IFREG|perm, 0)
	})
}

// Symlink makes the symbolic link unsafePath, and directories on the way. One
// that has the same content already is a success.
func (r Root) Symlink(content, unsafePath string) error {
	dir, name, err := r.Parent(unsafePath)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Symlink(content, name)
}

// Parent opens the directory of unsafePath, makes it if it is missing, and
// returns the last component beside it.
func (r Root) Parent(unsafePath string) (Handle, string, error) {
	parent, name := split(unsafePath)
	if !single(name) {
		return Handle{}, "", unix.EISDIR
	}
	dir, err := r.MkdirAll(parent, dirPerm)
	return dir, name, err
}

// maker makes name in dir, and neither follows nor replaces anything there.
type maker func(dir Handle, name string) error

// create opens unsafePath, or calls mk for its last component. Each directory
// is opened, not named, when something is made in it, so a component that is
// exchanged meanwhile changes where inside the root a thing is made, and never
// makes one outside (CVE-2024-45310).
func (r Root) create(unsafePath string, links int, mk maker) (Handle, error) {
	h, err := r.Open(unsafePath)
	if !errors.Is(err, unix.ENOENT) {
		return h, err
	}
	parent, name := split(unsafePath)
	dir, err := r.create(parent, links, func(dir Handle, name string) error {
		return dir.Mkdir(name, dirPerm)
	})
	if err != nil {
		return Handle{}, err
	}
	defer dir.Close()
	if !single(name) {
		return r.Open(unsafePath)
	}
	switch err := mk(dir, name); {
	case err == nil:
		return dir.Child(name, unix.O_PATH)
	case errors.Is(err, unix.EEXIST):
		return r.createBehind(dir, parent, name, links, mk)
	default:
		return Handle{}, err
	}
}

// createBehind is for an entry that exists although resolving it says ENOENT:
// a symbolic link that points to nothing, or one that came in between.
func (r Root) createBehind(dir Handle, parent, name string, links int, mk maker) (Handle, error) {
	content, err := dir.Readlink(name)
	if err != nil {
		return dir.Child(name, unix.O_PATH)
	}
	if links == 0 {
		return Handle{}, unix.ELOOP
	}
	if !strings.HasPrefix(content, "/") {
		content = parent + "/" + content
	}
	return r.create(content, links-1, mk)
}

// split cuts the last component off. It does not clean: "a/.." and "a" differ
// when a is a symbolic link, and only the kernel may say how.
func split(unsafePath string) (parent, name string) {
	trimmed := strings.TrimRight(unsafePath, "/")
	i := strings.LastIndexByte(trimmed, '/')
	if i < 0 {
		return "/", trimmed
	}
	return trimmed[:i+1], trimmed[i+1:]
}
