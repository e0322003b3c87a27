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

// makeLegacy is makeFilesystem by mount(2), whose option string may fill a page.
// What that makes is attached from the first and named by a path; so it is made
// in a tmpfs of our own, which covers the place meanwhile, and cloned from there.
func (p *place) makeLegacy(m *plan.Mount) (tree inroot.Handle, err error) {
	flags, data := legacyOptions(m)
	if len(data) >= unix.Getpagesize() { // the kernel would cut it
		return tree, &fault.Error{
			Op: "pass the options", Cause: unix.E2BIG,
			Hint: "together they exceed a page; overlay takes its layers one by one since kernel 6.7, as lowerdir+=DIR",
		}
	}
	stage, err := p.stage()
	if err != nil {
		return tree, err
	}
	defer stage.Close()
	err = within(stage, func() error {
		tree, err = mountOn(stageEntry, m, flags, data)
		// With what is mounted there, of which the clone is no part.
		if undo := unix.Unmount(".", unix.MNT_DETACH); err == nil && undo != nil {
			return fault.New("uncover the target", "", undo)
		}
		return err
	})
	if err != nil {
		tree.Close()
		return inroot.Handle{}, err
	}
	return tree, nil
}

// stageEntry is the one directory of a stage.
const stageEntry = "fs"

// stage attaches a tmpfs here with a directory to mount on.
func (p *place) stage() (inroot.Handle, error) {
	stage, err := makeFilesystem(&plan.Mount{Type: "tmpfs", Options: []plan.FSOption{{Key: "mode", Value: "700"}}})
	if err != nil {
		return stage, err
	}
	if err = stage.Mkdir(stageEntry, 0o700); err == nil {
		err = p.attach(stage)
	}
	if err != nil {
		stage.Close()
		return inroot.Handle{}, err
	}
	return stage, nil
}

// within calls f with dir as the working directory.
func within(dir inroot.Handle, f func() error) error {
	fd, err := unix.Open(".", unix.O_PATH|unix.O_CLOEXEC, 0) //nolint:forbidigo // where this process is
	if err != nil {
		return fault.New("open the working directory", "", err)
	}
	back := inroot.Own(fd)
	defer back.Close()
	if err := unix.Fchdir(dir.FD()); err != nil {
		return fault.New("enter the target", "", err)
	}
	err = f()
	if backErr := unix.Fchdir(back.FD()); err == nil && backErr != nil {
		return fault.New("return to the working directory", "", backErr)
	}
	return err
}

// mountOn mounts m on an entry of the working directory, a stage, and returns a
// detached clone of that.
func mountOn(entry string, m *plan.Mount, flags uintptr, data string) (inroot.Handle, error) {
	// What is mounted on a shared mount would be shared, and its clone as well.
	if err := setPropagation(unix.AT_FDCWD, ".", 0, unix.MS_PRIVATE); err != nil {
		return inroot.Handle{}, err
	}
	if err := unix.Mount(m.Source, entry, m.Type, flags, data); err != nil {
		return inroot.Handle{}, &fault.Error{Cause: err, Hint: newHint(m, err)}
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, entry, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return inroot.Handle{}, fault.New("clone the mount", "", err)
	}
	return inroot.Own(fd), nil
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
