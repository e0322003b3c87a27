package rootfs

import (
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// Foresee returns the error that MountAll is going to have with a new filesystem,
// as far as its source and options show it: they are given to a context that no
// superblock is made of. The caller needs CAP_SYS_ADMIN.
func Foresee(m *plan.Mount) error {
	if m.Kind != plan.NewFilesystem || exceedsFsconfig(m) {
		return nil
	}
	fd, err := unix.Fsopen(m.Type, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return mountError(m, &fault.Error{Cause: err, Hint: newHint(m, err)})
	}
	fs := inroot.Own(fd)
	defer fs.Close()
	if err := configure(fs, writable(m)); err != nil {
		return mountError(m, err)
	}
	return nil
}

// Refused returns the error that MountAll is going to have with a new filesystem
// that a user namespace may not mount.
func Refused(m *plan.Mount) error {
	return mountError(m, hinted(fault.New("", "", unix.EPERM), newHint(m, unix.EPERM)))
}

// Mismatched returns the error that MountAll is going to have if one of source and
// target is a directory and the other is not, and nil where it has another.
func Mismatched(m *plan.Mount) error {
	if demandsDirectory(m.Target, m) {
		return nil
	}
	return mountError(m, &fault.Error{Op: "attach", Cause: unix.ENOTDIR, Hint: attachHint(unix.ENOTDIR)})
}
