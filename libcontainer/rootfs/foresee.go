package rootfs

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// Foresee returns the error that MountAll is going to have with a new filesystem,
// as far as its source and options show it: they are given to a context that no
// superblock is made of. The caller needs CAP_SYS_ADMIN.
func Foresee(m *plan.Mount) error {
	return withContext(m, func(inroot.Handle) error { return nil })
}

// Attempt is Foresee for a filesystem that is made as well, and forgotten: one that
// fails, or of which nobody keeps anything.
func Attempt(m *plan.Mount) error {
	return withContext(m, func(fs inroot.Handle) error {
		if err := unix.FsconfigCreate(fs.FD()); err != nil {
			return hinted(logged(fs, m.Type, "", err), newHint(m, err))
		}
		return nil
	})
}

// withContext calls then with a context that has the source and the options.
func withContext(m *plan.Mount, then func(fs inroot.Handle) error) error {
	if m.Kind != plan.NewFilesystem || exceedsFsconfig(m) {
		return nil
	}
	fd, err := unix.Fsopen(m.Type, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return mountError(m, &fault.Error{Cause: err, Hint: newHint(m, err)})
	}
	fs := inroot.Own(fd)
	defer fs.Close()
	err = configure(fs, writable(m))
	if err == nil {
		err = then(fs)
	}
	if err != nil {
		return mountError(m, err)
	}
	return nil
}

// Refused returns the error that MountAll is going to have with a new filesystem
// that the kernel does not make because of err.
func Refused(m *plan.Mount, err error) error {
	return mountError(m, hinted(fault.New("", "", err), newHint(m, err)))
}

// Mismatched returns the error that MountAll is going to have if one of source and
// target is a directory and the other is not, and nil where it has another.
func Mismatched(m *plan.Mount) error {
	if demandsDirectory(m.Target, m) {
		return nil
	}
	return mountError(m, &fault.Error{Op: "attach", Cause: unix.ENOTDIR, Hint: attachHint(unix.ENOTDIR)})
}

// Find looks for the target of m inside root as MountAll is going to, and returns
// its error if that is not because the target is missing.
func Find(root inroot.Root, m *plan.Mount) (there bool, err error) {
	clean, flags := path.Clean(m.Target), targetFlags(m)
	h, err := root.OpenPlain(clean, flags)
	if errors.Is(err, unix.ELOOP) && clean != "/proc" && clean != "/sys" {
		if m.Flags&plan.TargetNoFollow != 0 {
			flags |= unix.O_NOFOLLOW
		}
		h, err = root.OpenFile(clean, flags)
	}
	h.Close()
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.ENOENT):
		return false, nil
	}
	return false, Misplaced(m, err)
}

// Misplaced returns the error that MountAll is going to have with a target that it
// cannot reach.
func Misplaced(m *plan.Mount, err error) error {
	return mountError(m, targetError(err, targetFlags(m)))
}

// Unmade returns the error that MountAll is going to have with a target that it
// cannot make.
func Unmade(m *plan.Mount, err error) error { return mountError(m, unmade(err)) }

// Unreachable returns the error that Prepare is going to have with a root
// directory that it cannot reach.
func Unreachable(root string, err error) error {
	return &fault.Error{Op: opBindRoot, Object: root, Cause: err, Hint: rootHint(err)}
}

// Unmounted returns the error that MountAll is going to have with a change of what
// is no mount, or nil if nothing changes.
func Unmounted(m *plan.Mount) error {
	if len(m.Options) > 0 {
		return mountError(m, pickError(unix.EINVAL))
	}
	if list := changes(m); len(list) > 0 {
		return mountError(m, attrError(inroot.Handle{}, &list[0].attr, unix.EINVAL))
	}
	return nil
}

// OtherFile returns the error that MakeDevices is going to have with what the image
// has in the place of a device, or on the way to it.
func OtherFile(root inroot.Root, dev *plan.Device) error {
	dir, name := path.Split(dev.Path)
	h, err := root.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return deviceError(dev, err)
	}
	defer h.Close()
	var st unix.Stat_t
	err = unix.Fstatat(h.FD(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	bindable := dev.Source == plan.BindHost && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0
	if err != nil || isDevice(&st, dev) || bindable {
		return nil
	}
	return deviceError(dev, errOtherFile())
}

// UnmadeDevice returns the error that MakeDevices is going to have with a device
// that it cannot make.
func UnmadeDevice(dev *plan.Device, err error) error { return deviceError(dev, err) }

// NoProcfs returns the error that MountAll is going to have with a bind mount of
// something else on /proc.
func NoProcfs(m *plan.Mount) error { return mountError(m, errCoversProc(notProcfs)) }
