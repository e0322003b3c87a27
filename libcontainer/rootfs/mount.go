package rootfs

import (
	"errors"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// MountAll carries out the plan's mounts, in their order.
func (r *Rootfs) MountAll() error {
	defer unix.Umask(unix.Umask(0))
	for i := range r.plan.Mounts {
		m := &r.plan.Mounts[i]
		if err := r.mount(i, m); err != nil {
			return mountError(m, err)
		}
		if m.Target == "/" && m.Kind != plan.Reconfigure {
			if err := r.reroot(); err != nil {
				return mountError(m, err)
			}
		}
	}
	return nil
}

// reroot makes what was mounted on the root the root: what follows goes there.
func (r *Rootfs) reroot() error {
	root, err := inroot.OpenRoot(r.plan.Rootfs.Path)
	if err != nil {
		return fault.New("open the new root", "", err)
	}
	r.root.Close()
	r.root = root
	return nil
}

func (r *Rootfs) mount(i int, m *plan.Mount) error {
	switch m.Kind {
	case plan.NewFilesystem:
		return r.mountNew(m)
	case plan.Bind:
		return r.mountBind(i, m)
	case plan.Reconfigure:
		return r.reconfigure(m)
	case plan.Link:
		return r.root.Symlink(m.Source, m.Target)
	}
	return unix.EOPNOTSUPP
}

// mountError says what was attempted, on which object, and where the user
// wrote it: `mount tmpfs on /x (mounts[3]): cause`.
func mountError(m *plan.Mount, err error) error {
	op, object := m.Describe()
	return fault.New(op, object, err)
}

// mountBind clones a mount of the host, or takes the clone that the parent
// made, and attaches it.
func (r *Rootfs) mountBind(i int, m *plan.Mount) error {
	tree, err := r.sourceTree(i, m)
	if err != nil {
		return err
	}
	defer tree.Close()
	if m.Flags&plan.CopySymlink != 0 {
		if content, err := tree.Readlink(""); err == nil {
			return r.root.Symlink(content, m.Target)
		}
	}
	return r.attachBind(tree, m)
}

func (r *Rootfs) attachBind(tree inroot.Handle, m *plan.Mount) error {
	if err := setAttributes(tree, m); err != nil {
		return err
	}
	to, err := r.place(m, tree)
	if err != nil {
		return err
	}
	defer to.close()
	return to.attach(tree)
}

func (r *Rootfs) sourceTree(i int, m *plan.Mount) (inroot.Handle, error) {
	if m.Flags&plan.Supplied != 0 {
		fd, err := r.source(i)
		if err != nil {
			return inroot.Handle{}, err
		}
		return inroot.Own(fd), nil
	}
	if tree, ok := r.clones[i]; ok {
		delete(r.clones, i)
		return tree, nil
	}
	return cloneHost(m.Source, m.Flags)
}

// cloneHost clones the mount that path of the host is on; path is trusted.
func cloneHost(path string, f plan.MountFlags) (inroot.Handle, error) {
	var flags uint = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
	if f&plan.Recursive != 0 {
		flags |= unix.AT_RECURSIVE
	}
	if f&(plan.SourceNoFollow|plan.CopySymlink) != 0 {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, flags)
	if err != nil {
		return inroot.Handle{}, &fault.Error{Op: "open the source", Cause: err, Hint: f.SourceHint(err)}
	}
	return inroot.Own(fd), nil
}

// reconfigure is "remount": options of the superblock where some are given,
// then the attributes of the mount.
func (r *Rootfs) reconfigure(m *plan.Mount) error {
	target, err := r.root.Open(m.Target)
	if err != nil {
		return targetError(err, unix.O_PATH)
	}
	defer target.Close()
	if len(m.Options) > 0 {
		if err := reconfigureFilesystem(target, m); err != nil {
			return err
		}
	}
	return setAttributes(target, m)
}

func reconfigureFilesystem(target inroot.Handle, m *plan.Mount) error {
	fd, err := unix.Fspick(target.FD(), "", unix.FSPICK_EMPTY_PATH|unix.FSPICK_CLOEXEC)
	if err != nil {
		return pickError(err)
	}
	fs := inroot.Own(fd)
	defer fs.Close()
	for i := range m.Options {
		if err := setOption(fs, &m.Options[i]); err != nil {
			return logged(fs, m.Type, "option "+optionText(&m.Options[i]), err)
		}
	}
	if err := unix.FsconfigReconfigure(fd); err != nil {
		return logged(fs, m.Type, "", err)
	}
	return nil
}

func pickError(err error) error {
	hint := ""
	if errors.Is(err, unix.EINVAL) {
		hint = "not a mount point"
	}
	return &fault.Error{Op: "open the filesystem", Cause: err, Hint: hint}
}

func optionText(o *plan.FSOption) string {
	if o.IsFlag {
		return o.Key
	}
	return o.Key + "=" + o.Value
}
