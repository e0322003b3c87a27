package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/libcontainer/plan"
)

// fsconfigMax is the longest value that FSCONFIG_SET_STRING takes: the kernel
// copies 256 bytes with the NUL. lowerdir= of an overlay with many layers is
// longer, and "lowerdir+" came only with kernel 6.7.
const fsconfigMax = 255

// exceedsFsconfig tells whether fsconfig(2) cannot say what m wants: a filesystem
// without a parser of parameters, as overlay before kernel 6.5, gets no value
// with a comma that way, escaped or not.
func exceedsFsconfig(m *plan.Mount) bool {
	for i := range m.Options {
		value := m.Options[i].Value
		if len(value) > fsconfigMax || strings.Contains(value, `\,`) {
			return true
		}
	}
	return false
}

// mountLegacy uses mount(2), whose option string may fill a page. The
// directory to mount on is the current one, so that it is still a handle and
// not a path that is mounted on; the attributes are part of the same call.
func (r *Rootfs) mountLegacy(m *plan.Mount, to *place) error {
	flags, data := legacyOptions(m)
	if len(data) >= unix.Getpagesize() { // the kernel would cut it
		return &fault.Error{
			Op: "pass the options", Cause: unix.E2BIG,
			Hint: "together they exceed a page; overlay takes its layers one by one since kernel 6.7, as lowerdir+=DIR",
		}
	}
	back, err := unix.Open(".", unix.O_PATH|unix.O_CLOEXEC, 0) //nolint:forbidigo // where this process is
	if err != nil {
		return fault.New("open the working directory", "", err)
	}
	defer inroot.Own(back).Close()
	dir := to.dir
	if to.name != "" {
		if dir, err = to.dir.Child(to.name, unix.O_PATH); err != nil {
			return err
		}
		defer dir.Close()
	}
	if err := unix.Fchdir(dir.FD()); err != nil {
		return fault.New("enter the target", "", err)
	}
	err = unix.Mount(m.Source, ".", m.Type, flags, data)
	if backErr := unix.Fchdir(back); err == nil && backErr != nil {
		return fault.New("return to the working directory", "", backErr)
	}
	if err != nil {
		return &fault.Error{Cause: err, Hint: newHint(m, err)}
	}
	if len(m.Propagation) == 0 {
		return nil
	}
	mounted, err := r.root.Open(m.Target)
	if err != nil {
		return fault.New("open the target", "", err)
	}
	defer mounted.Close()
	return setAttributes(mounted, &plan.Mount{Propagation: m.Propagation})
}

// legacyOptions turns attributes and options back into what mount(2) takes.
func legacyOptions(m *plan.Mount) (flags uintptr, data string) {
	attrs := m.Attributes()
	for _, f := range []struct {
		attr uint64
		ms   uintptr
	}{
		{unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY},
		{unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID},
		{unix.MOUNT_ATTR_NODEV, unix.MS_NODEV},
		{unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC},
		{unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME},
		{unix.MOUNT_ATTR_STRICTATIME, unix.MS_STRICTATIME},
		{unix.MOUNT_ATTR_NODIRATIME, unix.MS_NODIRATIME},
		{unix.MOUNT_ATTR_NOSYMFOLLOW, unix.MS_NOSYMFOLLOW},
	} {
		if attrs&f.attr != 0 {
			flags |= f.ms
		}
	}
	var rest []string
	for i := range m.Options {
		o := &m.Options[i]
		if ms, ok := superblockFlag(o); ok {
			flags |= ms
			continue
		}
		rest = append(rest, quoted(o))
	}
	return flags, strings.Join(rest, ",")
}

// quoted is an option as mount(2) takes it. The one kind of value with a comma
// that is not escaped is an SELinux context, whose quotes package spec took away.
func quoted(o *plan.FSOption) string {
	if strings.Contains(o.Value, ",") && !strings.Contains(o.Value, `\`) {
		return o.Key + `="` + o.Value + `"`
	}
	return optionText(o)
}

// superblockFlag is the MS_* of a flag that any superblock has; 0 is for those
// that say what is the case anyway.
func superblockFlag(o *plan.FSOption) (ms uintptr, ok bool) {
	if !o.IsFlag {
		return 0, false
	}
	switch o.Key {
	case "ro":
		return unix.MS_RDONLY, true
	case "sync":
		return unix.MS_SYNCHRONOUS, true
	case "dirsync":
		return unix.MS_DIRSYNC, true
	case "lazytime":
		return unix.MS_LAZYTIME, true
	case "mand":
		return unix.MS_MANDLOCK, true
	case "rw", "async", "nolazytime", "nomand":
		return 0, true
	}
	return 0, false
}
