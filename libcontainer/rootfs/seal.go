package rootfs

import (
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// Seal closes the root filesystem, after Enter: the working directory,
// read-only tmpfs mounts, read-only paths, masked paths, a read-only root, and
// the propagation that the container asked for.
func (r *Rootfs) Seal() error {
	r.makeWorkingDirectory()
	for _, f := range r.fresh {
		if f.access == plan.ReadOnly {
			if err := makeReadOnly(f.tree); err != nil {
				return mountError(f.mount, fault.New("make read-only", "", err))
			}
		}
	}
	for _, path := range r.plan.ReadonlyPaths {
		if err := r.readonlyPath(path); err != nil {
			return fault.New("make read-only", path, err)
		}
	}
	if err := r.maskPaths(); err != nil {
		return err
	}
	if r.plan.Rootfs.Access == plan.ReadOnly {
		if err := makeReadOnly(r.root.Handle); err != nil {
			return fault.New("make read-only", "/", err)
		}
	}
	if p := r.plan.Rootfs.Propagation; p != 0 {
		if err := setPropagation(r.root.FD(), "", unix.AT_EMPTY_PATH, p); err != nil {
			return fault.New("set propagation of", "/", err)
		}
	}
	return nil
}

// makeWorkingDirectory makes process.cwd if the image lacks it, as engines
// expect. Who enters it later says what is wrong if it cannot be made: it may
// exist all the same, where only the container's user can look.
func (r *Rootfs) makeWorkingDirectory() {
	cwd := r.plan.Process.Cwd
	if cwd == "" || cwd == "/" {
		return
	}
	defer unix.Umask(unix.Umask(0))
	if dir, err := r.root.MkdirAll(cwd, 0o755); err == nil {
		dir.Close()
	}
}

func makeReadOnly(tree inroot.Handle) error {
	return unix.MountSetattr(tree.FD(), "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// readonlyPath binds unsafePath, with what is mounted below it, on itself and
// makes that mount read-only; mounts below it keep their own mode, as the
// configuration gave it. A path that does not exist needs no protection.
func (r *Rootfs) readonlyPath(unsafePath string) error {
	h, err := r.root.Open(unsafePath)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	tree, err := cloneHandle(h, unix.AT_RECURSIVE)
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := makeReadOnly(tree); err != nil {
		return err
	}
	to := place{dir: h}
	return to.attach(tree)
}

func absent(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) }

func cloneHandle(h inroot.Handle, flags uint) (inroot.Handle, error) {
	fd, err := unix.OpenTree(h.FD(), "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|flags)
	if err != nil {
		return inroot.Handle{}, fault.New("clone the mount", "", err)
	}
	return inroot.Own(fd), nil
}

// masks covers paths: files with /dev/null, directories with one empty,
// read-only tmpfs for all of them.
type masks struct {
	root  inroot.Root
	label plan.FSOption
	// null and empty are made when first needed.
	null, empty inroot.Handle
}

func (r *Rootfs) maskPaths() error {
	m := masks{root: r.root, label: r.plan.MountLabel}
	defer func() {
		m.null.Close()
		m.empty.Close()
	}()
	for _, path := range r.plan.MaskedPaths {
		if err := m.mask(path); err != nil {
			return fault.New("mask", path, err)
		}
	}
	return nil
}

func (m *masks) mask(unsafePath string) error {
	h, err := m.root.Open(unsafePath)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	st, err := h.Stat()
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return m.maskDirectory(h)
	}
	return m.maskFile(h)
}

func (m *masks) maskFile(h inroot.Handle) error {
	if !m.null.Valid() {
		null, err := openNull(m.root)
		if err != nil {
			return err
		}
		m.null = null
	}
	tree, err := cloneHandle(m.null, 0)
	if err != nil {
		return err
	}
	defer tree.Close()
	to := place{dir: h}
	return to.attach(tree)
}

// maskDirectory attaches the empty tmpfs itself the first time, and clones of
// it afterwards: before kernel 6.15 only an attached mount can be cloned.
func (m *masks) maskDirectory(h inroot.Handle) error {
	to := place{dir: h}
	if m.empty.Valid() {
		tree, err := cloneHandle(m.empty, 0)
		if err != nil {
			return err
		}
		defer tree.Close()
		return to.attach(tree)
	}
	tree, err := makeFilesystem(emptyDirectory(m.label))
	if err != nil {
		return err
	}
	m.empty = tree
	return to.attach(tree)
}

// emptyDirectory is a tmpfs without room for anything but its root, and its
// superblock is read-only: no remount of one mask opens another.
func emptyDirectory(label plan.FSOption) *plan.Mount {
	m := &plan.Mount{
		Type: "tmpfs",
		Options: []plan.FSOption{
			{Key: "nr_blocks", Value: "1"},
			{Key: "nr_inodes", Value: "1"},
			{Key: "mode", Value: "755"},
			{Key: "ro", IsFlag: true},
		},
		Set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC,
	}
	if label.Key != "" {
		m.Options = append(m.Options, label)
	}
	return m
}

// openNull returns a handle of the container's /dev/null that is the null
// device for certain: an image may have put a symbolic link or a file there
// (CVE-2025-31133, CVE-2026-88265).
func openNull(root inroot.Root) (inroot.Handle, error) {
	const op = "open"
	h, err := root.OpenFile("/dev/null", unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return inroot.Handle{}, &fault.Error{Op: op, Object: "/dev/null", Cause: err, Hint: "files are masked with it"}
	}
	st, err := h.Stat()
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3)) {
		err = unix.ENODEV
	}
	if err != nil {
		h.Close()
		return inroot.Handle{}, &fault.Error{
			Op: op, Object: "/dev/null", Cause: err,
			Hint: "it must be the null device, 1:3, and no link: files are masked with it",
		}
	}
	return h, nil
}
