package rootfs

import (
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
)

// copier copies the content of an image's directory into a new tmpfs that is
// not attached yet. The source may change meanwhile and is only ever opened
// entry by entry, without following; the destination is ours alone.
type copier struct {
	root inroot.Handle
	// links are the paths below root of files with more than one name.
	links map[inode]string
	buf   []byte
}

type inode struct{ dev, ino uint64 }

// copyUp copies what the directory from holds, and its owner, to the mount
// root to: modes, owners, times, extended attributes, symbolic and hard links.
// What the tmpfs or the user namespace cannot represent (an attribute, an
// unmapped owner) is left out.
func copyUp(from, to inroot.Handle) error {
	c := copier{root: to, links: map[inode]string{}, buf: make([]byte, 1<<15)}
	src, err := from.Child(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err == nil {
		defer src.Close()
		var st unix.Stat_t
		if st, err = src.Stat(); err == nil {
			err = c.top(src, to, &st)
		}
	}
	if err != nil {
		return fault.New("copy up", "", err)
	}
	return nil
}

// top copies the directory itself but for its mode, which the options of the
// tmpfs have settled.
func (c *copier) top(src, dst inroot.Handle, st *unix.Stat_t) error {
	err := unix.Fchownat(dst.FD(), ".", int(st.Uid), int(st.Gid), 0)
	if err := ignoreUnmapped(err); err != nil {
		return err
	}
	if err := c.directory(src, dst, ""); err != nil {
		return err
	}
	copyAttributes(src, dst)
	return nil
}

func (c *copier) directory(src, dst inroot.Handle, below string) error {
	names, err := readNames(src)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.entry(src, dst, name, below+name); err != nil {
			return fault.New("", below+name, err)
		}
	}
	return nil
}

func readNames(dir inroot.Handle) ([]string, error) {
	var (
		buf   [8192]byte
		names []string
	)
	for {
		n, err := unix.Getdents(dir.FD(), buf[:])
		if err != nil || n == 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

func (c *copier) entry(src, dst inroot.Handle, name, path string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(src.FD(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	id := inode{uint64(st.Dev), st.Ino} //nolint:unconvert // its width depends on the architecture
	if first, ok := c.links[id]; ok {
		return unix.Linkat(c.root.FD(), first, dst.FD(), name, 0)
	}
	if err := c.content(src, dst, name, path, &st); err != nil {
		return err
	}
	if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		c.links[id] = path
	}
	return nil
}

func (c *copier) content(src, dst inroot.Handle, name, path string, st *unix.Stat_t) error {
	to := inodeAt{dst, name, st}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return c.subdirectory(src, to, path)
	case unix.S_IFREG:
		return c.file(src, to)
	case unix.S_IFLNK:
		content, err := src.Readlink(name)
		if err != nil {
			return err
		}
		if err := dst.Symlink(content, name); err != nil {
			return err
		}
	default:
		if err := dst.Mknod(name, st.Mode, st.Rdev); err != nil {
			return err
		}
	}
	return to.finish(func() {})
}

func (c *copier) subdirectory(src inroot.Handle, at inodeAt, path string) error {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY
	from, err := src.Child(at.name, flags)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := at.dir.Mkdir(at.name, 0o700); err != nil {
		return err
	}
	to, err := at.dir.Child(at.name, flags)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := c.directory(from, to, path+"/"); err != nil {
		return err
	}
	return at.finish(func() { copyAttributes(from, to) })
}

func (c *copier) file(src inroot.Handle, at inodeAt) error {
	// Not to hang on a fifo that took the file's place.
	from, err := src.Child(at.name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := at.dir.Create(at.name, 0o600)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := c.data(from, to); err != nil {
		return err
	}
	return at.finish(func() { copyAttributes(from, to) })
}

func (c *copier) data(from, to inroot.Handle) error {
	for {
		n, err := unix.Read(from.FD(), c.buf)
		if err != nil || n == 0 {
			return err
		}
		if err := writeAll(to, c.buf[:n]); err != nil {
			return err
		}
	}
}

// writeAll goes on after a short write, which is how a full tmpfs begins.
func writeAll(to inroot.Handle, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(to.FD(), b)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// inodeAt is a copy that was made at name in dir, of what st is about.
type inodeAt struct {
	dir  inroot.Handle
	name string
	st   *unix.Stat_t
}

// finish gives the copy its owner, mode, extended attributes and times, once its
// content is there, and in this order: a write and chown(2) take capabilities off a
// file, chown(2) clears the set-id bits, chmod(2) changes an access control list,
// and what is made in a directory would inherit a default one.
func (at inodeAt) finish(attributes func()) error {
	mode := at.st.Mode & 0o7777
	err := unix.Fchownat(at.dir.FD(), at.name, int(at.st.Uid), int(at.st.Gid), unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		// A program stays ours, and must not run as who its owner is not.
		mode &^= unix.S_ISUID | unix.S_ISGID
	}
	if err := ignoreUnmapped(err); err != nil {
		return err
	}
	if at.st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Fchmodat(at.dir.FD(), at.name, mode, 0); err != nil {
			return err
		}
	}
	attributes()
	times := []unix.Timespec{at.st.Atim, at.st.Mtim}
	return unix.UtimesNanoAt(at.dir.FD(), at.name, times, unix.AT_SYMLINK_NOFOLLOW)
}

// ignoreUnmapped forgives an owner that the user namespace has no id for.
func ignoreUnmapped(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

// copyAttributes copies the extended attributes that the tmpfs takes: which,
// depends on the kernel (user.* since 6.6), its security modules and the user
// namespace.
func copyAttributes(from, to inroot.Handle) {
	var list [4096]byte
	n, err := unix.Flistxattr(from.FD(), list[:])
	if err != nil {
		return
	}
	var value [4096]byte
	for start, i := 0, 0; i < n; i++ {
		if list[i] != 0 {
			continue
		}
		name := string(list[start:i])
		start = i + 1
		if size, err := unix.Fgetxattr(from.FD(), name, value[:]); err == nil {
			_ = unix.Fsetxattr(to.FD(), name, value[:size], 0)
		}
	}
}
