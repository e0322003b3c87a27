package libcontainer

import (
	"path"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer/plan"
	"hull/libcontainer/rootfs"
)

// targets looks for the places of mounts and devices in the root filesystem, with
// the eyes of init: it has to reach them, to make those that are missing, and to
// find a directory where the source is one.
func (c *checker) targets() {
	all, ok := c.openLayout()
	if !ok {
		return
	}
	defer all.Close()
	who, known := c.initIdentity()
	if known {
		if err := reachable(c.plan.Rootfs.Path, &who); err != nil {
			c.fail("root.path", rootfs.Unreachable(c.plan.Rootfs.Path, err))
			return
		}
	}
	for i := range c.plan.Mounts {
		before := layout{Root: all.Root, filled: all.filled[:i]}
		if err := mountTarget(before, &c.plan.Mounts[i]); err != nil {
			c.fail("", err)
		} else if known {
			c.fail("", placing(before, &c.plan.Mounts[i], &who))
		}
	}
	if !known {
		return
	}
	for i := range c.plan.Devices {
		d := &c.plan.Devices[i]
		same := func(in specs.LinuxDevice) bool { return path.Clean(in.Path) == path.Clean(d.Path) }
		mounted := layout{Root: all.Root, filled: all.filled[:len(c.plan.Mounts)]}
		c.fail(fieldOf("linux.devices", slices.IndexFunc(c.spec.Linux.Devices, same), "path"), deviceTarget(mounted, d, &who))
	}
}

// mountTarget returns the error of init if what a mount has to go with is not what
// is in its place.
func mountTarget(before layout, m *plan.Mount) error {
	switch {
	case m.Target == "/proc" && m.Kind == plan.Bind && !isProcfs(m.Source):
		return rootfs.NoProcfs(m)
	case before.isOpen(m.Target):
		return nil
	case m.Kind == plan.Reconfigure:
		return unmounted(before, m)
	}
	return mismatch(before, m)
}

// deviceTarget returns the error of init with the place of a device.
func deviceTarget(mounted layout, d *plan.Device, who *identity) error {
	if mounted.isOpen(d.Path) {
		return nil
	}
	if err := rootfs.OtherFile(mounted.Root, d); err != nil {
		return err
	}
	why := toPass
	if h, err := mounted.Open(d.Path); err != nil {
		why = toMake
	} else {
		h.Close()
	}
	if err := mounted.approach(path.Dir(mounted.resolve(d.Path)), who, why); err != nil {
		return rootfs.UnmadeDevice(d, err)
	}
	return nil
}

// reachable returns why somebody cannot reach a path of the host.
func reachable(of string, who *identity) error {
	for dir := path.Dir(of); ; dir = path.Dir(dir) {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		err = who.access(fd, unix.X_OK)
		unix.Close(fd)
		if err != nil || dir == "/" {
			return err
		}
	}
}

// placing returns the error of init on the way to the target of a mount, or with
// making it.
func placing(before layout, m *plan.Mount, who *identity) error {
	if m.Kind == plan.Link || m.Flags&plan.CopySymlink != 0 || before.isOpen(m.Target) {
		return nil
	}
	there, err := rootfs.Find(before.Root, m)
	if err != nil {
		return err
	}
	dir := path.Dir(before.resolve(m.Target))
	if err := before.approach(dir, who, toPass); err != nil {
		return rootfs.Misplaced(m, err)
	}
	if there || m.Kind == plan.Reconfigure {
		return nil
	}
	if err := before.approach(dir, who, toMake); err != nil {
		return rootfs.Unmade(m, err)
	}
	return nil
}

// unmounted returns the error of init if it shall change what is no mount.
func unmounted(l layout, m *plan.Mount) error {
	h, err := l.Open(m.Target)
	if err != nil {
		return rootfs.Misplaced(m, err)
	}
	defer h.Close()
	var st unix.Statx_t
	err = unix.Statx(h.FD(), "", unix.AT_EMPTY_PATH, unix.STATX_TYPE, &st)
	if err != nil || m.Target == "/" || st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return nil
	}
	return rootfs.Unmounted(m)
}

// mismatch returns the error of init if one of source and target is a directory
// and the other is not.
func mismatch(l layout, m *plan.Mount) error {
	file, known := isFileSource(m)
	if !known {
		return nil
	}
	h, err := l.Open(m.Target)
	if err != nil {
		return nil
	}
	defer h.Close()
	if st, err := h.Stat(); err == nil && file != (st.Mode&unix.S_IFMT != unix.S_IFDIR) {
		return rootfs.Mismatched(m)
	}
	return nil
}

// isFileSource reports whether what is mounted is not a directory.
func isFileSource(m *plan.Mount) (file, known bool) {
	const unusual = plan.CopySymlink | plan.SourceNoFollow | plan.TargetNoFollow | plan.FallbackBind
	switch {
	case m.Flags&unusual != 0:
		return false, false
	case m.Kind == plan.NewFilesystem:
		return false, true
	case m.Kind != plan.Bind:
		return false, false
	}
	var st unix.Stat_t
	err := unix.Stat(m.Source, &st)
	return st.Mode&unix.S_IFMT != unix.S_IFDIR, err == nil
}

func isProcfs(source string) bool {
	var st unix.Statfs_t
	return unix.Statfs(source, &st) != nil || int64(st.Type) == unix.PROC_SUPER_MAGIC //nolint:unconvert // its width depends on the architecture
}
