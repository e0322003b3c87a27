package rootfs

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// MakeDevices makes the plan's device nodes and symbolic links.
func (r *Rootfs) MakeDevices() error {
	defer unix.Umask(unix.Umask(0))
	d := directory{root: r.root}
	defer d.close()
	for i := range r.plan.Devices {
		if err := d.makeDevice(&r.plan.Devices[i]); err != nil {
			return deviceError(&r.plan.Devices[i], err)
		}
	}
	for i := range r.plan.DevLinks {
		l := &r.plan.DevLinks[i]
		if err := d.makeLink(l); err != nil {
			return fault.New("link", l.Path+" to "+l.Target, err)
		}
	}
	return nil
}

func deviceError(dev *plan.Device, err error) error {
	hint := ""
	if err == unix.ENOTDIR || err == unix.EACCES { //nolint:errorlint // without a hint of its own
		hint = targetHint(err)
	}
	return &fault.Error{Op: "make device", Object: dev.Path, Cause: err, Hint: hint}
}

// directory is the directory that things are made in, kept open from one
// thing to its neighbour.
type directory struct {
	root inroot.Root
	path string
	inroot.Handle
}

func (d *directory) close() {
	d.Close()
	d.Handle, d.path = inroot.Handle{}, ""
}

// enter opens the directory of unsafePath and returns the last component.
func (d *directory) enter(unsafePath string) (string, error) {
	parent, name := path.Split(unsafePath)
	if d.Valid() && d.path == parent {
		return name, nil
	}
	d.close()
	h, err := d.root.MkdirAll(parent, 0o755)
	if err != nil {
		return "", err
	}
	d.Handle, d.path = h, parent
	return name, nil
}

func (d *directory) makeDevice(dev *plan.Device) error {
	name, err := d.enter(dev.Path)
	if err != nil {
		return err
	}
	if dev.Source == plan.BindHost {
		return d.bindDevice(dev, name)
	}
	err = d.Mknod(name, dev.Mode, unix.Mkdev(dev.Major, dev.Minor))
	switch {
	case err == nil:
		return d.ownDevice(dev, name)
	case errors.Is(err, unix.EEXIST):
		return d.acceptDevice(dev, name)
	case errors.Is(err, unix.EPERM):
		// Without CAP_MKNOD, or in a user namespace.
		return d.bindDevice(dev, name)
	}
	return err
}

func (d *directory) ownDevice(dev *plan.Device, name string) error {
	if dev.UID == 0 && dev.GID == 0 {
		return nil
	}
	err := unix.Fchownat(d.FD(), name, int(dev.UID), int(dev.GID), unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.EINVAL) {
		return &fault.Error{Op: "set the owner", Cause: err, Hint: "the id has no mapping in the user namespace"}
	}
	return err
}

// acceptDevice lets what exists be, if it is the device that is wanted;
// otherwise "the runtime MUST generate an error" (config-linux.md, "Devices").
func (d *directory) acceptDevice(dev *plan.Device, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(d.FD(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if isDevice(&st, dev) {
		return nil
	}
	return errOtherFile()
}

func errOtherFile() error {
	return &fault.Error{Cause: unix.EEXIST, Hint: "the image has something else there"}
}

// isDevice tells whether st is of the type and number that dev says.
func isDevice(st *unix.Stat_t, dev *plan.Device) bool {
	if st.Mode&unix.S_IFMT != dev.Mode&unix.S_IFMT {
		return false
	}
	return dev.Mode&unix.S_IFMT == unix.S_IFIFO || st.Rdev == unix.Mkdev(dev.Major, dev.Minor)
}

// bindDevice binds the host's node of the same path over an empty file, which
// may be one that an earlier container has left.
func (d *directory) bindDevice(dev *plan.Device, name string) error {
	var there unix.Stat_t
	err := unix.Fstatat(d.FD(), name, &there, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case err != nil && !errors.Is(err, unix.ENOENT):
		return err
	case err != nil: // it is to be made
	case isDevice(&there, dev):
		return nil
	case there.Mode&unix.S_IFMT != unix.S_IFREG || there.Size > 0:
		return errOtherFile()
	}
	tree, err := cloneDevice(dev)
	if err != nil {
		return err
	}
	defer tree.Close()
	target, err := d.file(name)
	if err != nil {
		return err
	}
	defer target.Close()
	to := place{dir: target}
	return to.attach(tree)
}

// cloneDevice clones the mount of the host's node of the same path.
func cloneDevice(dev *plan.Device) (inroot.Handle, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, dev.Path,
		unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return inroot.Handle{}, &fault.Error{
			Op: "open the host's node", Cause: err,
			Hint: "mknod(2) is not permitted here, so the host's node of the same path is bound",
		}
	}
	tree := inroot.Own(fd)
	st, err := tree.Stat()
	if err == nil && !isDevice(&st, dev) {
		err = &fault.Error{Op: "open the host's node", Cause: unix.ENODEV, Hint: "it is another device"}
	}
	if err != nil {
		tree.Close()
		return inroot.Handle{}, err
	}
	return tree, nil
}

// file opens name, which may not be a symbolic link, and makes an empty file
// if there is nothing (CVE-2025-52565, CVE-2026-88264).
func (d *directory) file(name string) (inroot.Handle, error) {
	if err := d.Mknod(name, unix.S_IFREG|0o666, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return inroot.Handle{}, err
	}
	return d.Child(name, unix.O_PATH)
}

// makeLink makes l. Anything that the image has there already stays, except a
// device node at /dev/ptmx: it would hand out the terminals of another devpts.
func (d *directory) makeLink(l *plan.Symlink) error {
	name, err := d.enter(l.Path)
	if err != nil {
		return err
	}
	err = d.Symlink(l.Target, name)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(d.FD(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return nil
	}
	if err := unix.Unlinkat(d.FD(), name, 0); err != nil {
		return err
	}
	return d.Symlink(l.Target, name)
}
