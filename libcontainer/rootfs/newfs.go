package rootfs

import (
	"path"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// mountNew makes a superblock and attaches it.
func (r *Rootfs) mountNew(m *plan.Mount) error {
	to, err := r.place(m, inroot.Handle{})
	if err != nil {
		return err
	}
	defer to.close()
	ready, err := withMode(writable(m), &to)
	if err != nil {
		return err
	}
	filesystem := makeFilesystem
	if exceedsFsconfig(ready) {
		filesystem = to.makeLegacy
	}
	tree, err := filesystem(ready)
	if err != nil && isEPERM(err) && m.Flags&plan.FallbackBind != 0 {
		return bindHosts(m, &to, err)
	}
	if err != nil {
		return err
	}
	return r.attachNew(m, &to, tree)
}

func (r *Rootfs) attachNew(m *plan.Mount, to *place, tree inroot.Handle) error {
	if m.Type != "tmpfs" {
		defer tree.Close()
	} else {
		r.keep(m, to, tree)
	}
	if m.Flags&plan.CopyUp != 0 && !to.made {
		if err := copyUp(to.dir, tree); err != nil {
			return err
		}
	}
	if m.Type == "mqueue" && r.plan.MountLabel.Value != "" {
		if err := labelRoot(tree, r.plan.MountLabel.Value); err != nil {
			return err
		}
	}
	if len(m.Propagation) > 0 {
		if err := setAttributes(tree, &plan.Mount{Propagation: m.Propagation}); err != nil {
			return err
		}
	}
	return to.attach(tree)
}

// labelRoot gives the root of a filesystem its SELinux label. The one of mqueue
// comes with the ipc namespace: it is too late for the option context= then.
func labelRoot(tree inroot.Handle, label string) error {
	fd, err := unix.Openat(tree.FD(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) //nolint:forbidigo // a mount that nobody else has seen
	if err == nil {
		err = unix.Fsetxattr(fd, "security.selinux", []byte(label), 0)
		unix.Close(fd)
	}
	if err != nil {
		return fault.New("set linux.mountLabel", label, err)
	}
	return nil
}

// keep remembers a tmpfs: it becomes read-only in Seal, and things are made in
// it meanwhile.
func (r *Rootfs) keep(m *plan.Mount, to *place, tree inroot.Handle) {
	f := freshMount{mount: m, path: path.Clean(m.Target), tree: tree}
	if staysReadOnly(m) {
		f.access = plan.ReadOnly
	}
	r.fresh = append(r.fresh, f)
	if to.plain && to.name == "" {
		r.anchor = f
	}
}

func staysReadOnly(m *plan.Mount) bool {
	if m.Attributes()&unix.MOUNT_ATTR_RDONLY != 0 {
		return true
	}
	for i := range m.Options {
		if isReadOnlyFlag(&m.Options[i]) {
			return true
		}
	}
	return false
}

// writable is m without the read-only of a tmpfs, which Seal makes up for:
// targets of later mounts and devices are still to be made in it.
func writable(m *plan.Mount) *plan.Mount {
	if m.Type != "tmpfs" || !staysReadOnly(m) {
		return m
	}
	w := *m
	w.Set &^= unix.MOUNT_ATTR_RDONLY
	w.RecSet &^= unix.MOUNT_ATTR_RDONLY
	w.Options = nil
	for _, o := range m.Options {
		if !isReadOnlyFlag(&o) {
			w.Options = append(w.Options, o)
		}
	}
	return &w
}

// withMode gives a tmpfs that asks for no mode the one of the directory it
// covers: a tmpfs on the image's /tmp is 01777.
func withMode(m *plan.Mount, to *place) (*plan.Mount, error) {
	asks := func(o plan.FSOption) bool { return o.Key == "mode" }
	if m.Type != "tmpfs" || to.made || slices.ContainsFunc(m.Options, asks) {
		return m, nil
	}
	st, err := to.dir.Stat()
	if err != nil {
		return nil, fault.New("stat the target", "", err)
	}
	w := *m
	mode := strconv.FormatUint(uint64(st.Mode&0o7777), 8)
	w.Options = append(slices.Clip(m.Options), plan.FSOption{Key: "mode", Value: mode})
	return &w, nil
}

func isReadOnlyFlag(o *plan.FSOption) bool { return o.IsFlag && o.Key == "ro" }

// makeFilesystem returns a detached mount of a new superblock with all its
// attributes.
func makeFilesystem(m *plan.Mount) (inroot.Handle, error) {
	fd, err := unix.Fsopen(m.Type, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return inroot.Handle{}, &fault.Error{Cause: err, Hint: newHint(m, err)}
	}
	fs := inroot.Own(fd)
	defer fs.Close()
	if err := configure(fs, m); err != nil {
		return inroot.Handle{}, err
	}
	if err := unix.FsconfigCreate(fs.FD()); err != nil {
		return inroot.Handle{}, hinted(logged(fs, m.Type, "", err), newHint(m, err))
	}
	mnt, err := unix.Fsmount(fs.FD(), unix.FSMOUNT_CLOEXEC, int(m.Attributes()))
	if err != nil {
		return inroot.Handle{}, hinted(logged(fs, m.Type, "", err), newHint(m, err))
	}
	return inroot.Own(mnt), nil
}

// configure gives the filesystem context its source and options.
func configure(fs inroot.Handle, m *plan.Mount) error {
	source := m.Source
	if source == "" {
		source = m.Type
	}
	if err := unix.FsconfigSetString(fs.FD(), "source", source); err != nil {
		return logged(fs, m.Type, "source "+source, err)
	}
	for i := range m.Options {
		o := &m.Options[i]
		if err := setOption(fs, o); err != nil {
			return hinted(logged(fs, m.Type, "option "+optionText(o), err), optionHint(o, err))
		}
	}
	return nil
}

func setOption(fs inroot.Handle, o *plan.FSOption) error {
	if o.IsFlag {
		return unix.FsconfigSetFlag(fs.FD(), o.Key)
	}
	return unix.FsconfigSetString(fs.FD(), o.Key, o.Value)
}

// bindHosts is for a sysfs or mqueue that the user namespace may not mount:
// the host's own one is bound, with everything below it.
func bindHosts(m *plan.Mount, to *place, refused error) error {
	var source string
	switch m.Type {
	case "sysfs":
		source = "/sys"
	case "mqueue":
		source = "/dev/mqueue"
	default:
		return refused
	}
	tree, err := cloneHost(source, plan.Recursive)
	if err != nil {
		return refused
	}
	defer tree.Close()
	if err := setAttributes(tree, m); err != nil {
		return err
	}
	return to.attach(tree)
}
